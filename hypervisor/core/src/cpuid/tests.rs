use super::allowed::Word;
use super::*;
use crate::cpu_shape::CpuShape;
use crate::time::Hertz;
use machines::{INTEL_XEON, Machine, QEMU_EPYC, QEMU_SKYLAKE};

mod machines;

fn host(machine: &'static Machine) -> impl Fn(u32, u32) -> Leaf {
    move |leaf, subleaf| {
        let of = |wanted| {
            machine
                .iter()
                .find(|&&(number, sub, _)| number == leaf && sub == wanted)
                .map(|&(_, _, answer)| answer)
        };
        let has_subleaves = matches!(leaf, 4 | 7 | 0xb | 0xd | 0x1f | 0x8000_001d);
        of(if has_subleaves { subleaf } else { 0 }).unwrap_or_default()
    }
}

fn policy(vcpus: u16) -> CpuidPolicy {
    CpuidPolicy {
        shape: CpuShape::flat(vcpus),
        features: CpuidFeatures::all(),
        physical_bits: 39,
        xcr0: 7,
        tsc: None,
        lapic_timer: Hertz::new(1_000_000_000).unwrap(),
        hypervisor: HypervisorLeaves {
            interface: [1, 2, 3, 4],
            compatible: None,
        },
    }
}

fn vcpu(id: u32) -> VcpuDynamic {
    VcpuDynamic {
        apic_id: ApicId(id),
        cr4: 0,
        xcr0: 1,
    }
}

fn epyc(vcpus: u16) -> CpuidTable {
    CpuidTable::new(&policy(vcpus), &host(QEMU_EPYC))
}

#[test]
fn the_emulated_epyc_looks_as_expected() {
    let table = epyc(2);
    let ask = |leaf, subleaf| table.query(leaf, subleaf, &vcpu(1));
    assert_eq!(ask(0, 0), [0xd, 0x6874_7541, 0x444d_4163, 0x6974_6e65]);
    let [eax, ebx, ecx, edx] = ask(1, 0);
    assert_eq!(eax, 0x0080_0f12);
    assert_eq!(ebx, 0x0102_0800, "APIC id 1, two ids, CLFLUSH 64");
    // Host f6d8320b: without MONITOR (3), OSXSAVE (27); with x2APIC (21), TSC deadline (24), hypervisor (31).
    assert_eq!(ecx, 0xf7f8_3203 & !(1 << 27));
    assert_eq!(edx, 0x178b_fbfd, "multi-processing, no extra bits");
    assert_eq!(ask(5, 0), [0; 4], "no MONITOR");
    assert_eq!(ask(6, 0), [4, 0, 0, 0]);
    assert_eq!(ask(7, 0), [1, 0x0098_01a9, 0, 0]);
    assert_eq!(ask(0xa, 0), [0; 4], "no performance counters");
    let limit = ask(0x8000_0000, 0)[0];
    assert_eq!(limit, 0x8000_001e);
    let [_, _, ecx, edx] = ask(0x8000_0001, 0);
    // Host 77: without hardware virtualization (2), LOCK MOV CR0 (4) ...
    assert_eq!(ecx, 0x40_0063, "topology extensions, which are emulated");
    assert_eq!(edx, 0x2dd3_fbfd & !(1 << 19));
    assert_eq!(
        ask(0x8000_0002, 0),
        [0x2044_4d41, 0x4359_5045, 0x6f72_5020, 0x7373_6563]
    );
    assert_eq!(ask(0x8000_0008, 0), [0x3027, 0, 0x1001, 0]);
    assert_eq!(ask(0x8000_000a, 0), [0; 4], "no hardware virtualization");
    assert_eq!(ask(0x8000_001d, 2), [0x43, 0x01c0_003f, 0x3ff, 0]);
    assert_eq!(
        ask(0x8000_001d, 3),
        [0x4163 & 0x3fff | 1 << 14, 0x03c0_003f, 0x1fff, 6]
    );
    assert_eq!(ask(0x8000_001d, 4), [0; 4]);
    assert_eq!(ask(0x8000_001e, 0), [1, 1, 0, 0]);
}

#[test]
fn dynamic_bits_follow_cr4() {
    let table = epyc(1);
    let mut state = vcpu(0);
    assert_eq!(table.query(1, 0, &state)[2] & 1 << 27, 0);
    state.cr4 = 1 << 18;
    assert_eq!(table.query(1, 0, &state)[2] & 1 << 27, 1 << 27);
    state.cr4 = 1 << 22;
    assert_eq!(table.query(7, 0, &state)[2] & 1 << 4, 1 << 4);
    assert_eq!(table.query(7, 1, &state)[2], 0);
    assert_eq!(table.query(1, 0, &state)[3] & 1 << 28, 0, "one CPU");
}

#[test]
fn the_xsave_leaf_follows_xcr0() {
    let table = epyc(1);
    let mut state = vcpu(0);
    assert_eq!(table.query(0xd, 0, &state), [7, 576, 0x340, 0]);
    state.xcr0 = 7;
    assert_eq!(table.query(0xd, 0, &state), [7, 0x340, 0x340, 0]);
    assert_eq!(
        table.query(0xd, 1, &state),
        [5, 0, 0, 0],
        "neither XSAVEC nor XSAVES"
    );
    assert_eq!(table.query(0xd, 2, &state), [0x100, 0x240, 0, 0]);
    assert_eq!(table.query(0xd, 3, &state), [0; 4]);
    assert_eq!(table.query(0xd, u32::MAX, &state), [0; 4]);
    assert_eq!(table.allowed_xcr0(), 7);
    let without_avx = CpuidPolicy {
        xcr0: 3,
        ..policy(1)
    };
    let table = CpuidTable::new(&without_avx, &host(QEMU_EPYC));
    assert_eq!(table.query(0xd, 0, &state), [3, 576, 576, 0]);
    let words = table.feature_words();
    assert_eq!(
        words.leaf1_ecx & (1 << 28 | 1 << 29 | 1 << 12),
        0,
        "no AVX, F16C, FMA"
    );
    assert_eq!(words.leaf7_ebx & 1 << 5, 0, "no AVX2");
    let without_xsave = CpuidPolicy {
        xcr0: 0,
        ..policy(1)
    };
    let table = CpuidTable::new(&without_xsave, &host(QEMU_EPYC));
    assert_eq!(table.query(0xd, 0, &state), [0; 4]);
    assert_eq!(table.feature_words().leaf1_ecx & 1 << 26, 0);
}

#[test]
fn compacted_areas_align_what_asks_for_it() {
    let wide = |leaf: u32, subleaf: u32| match (leaf, subleaf) {
        (0xd, 0) => [0xe7, 0, 0, 0],
        (0xd, 2) => [0x100, 0x240, 0, 0],
        (0xd, 5) => [0x40, 0x440, 0, 0],
        (0xd, 6) => [0x200, 0x480, 2, 0],
        (0xd, 7) => [0x400, 0x680, 2, 0],
        _ => [0; 4],
    };
    let layout = ExtendedStateLayout::new(&wide, u64::MAX, 3);
    assert_eq!(layout.allowed(), 0xe7);
    assert_eq!(layout.standard_bytes(0xe7), 0xa80);
    assert_eq!(layout.standard_bytes(7), 0x340);
    assert_eq!(layout.compacted_bytes(0xe7), 0x340 + 0x40 + 0x200 + 0x400);
    assert_eq!(layout.compacted_bytes(1 << 6 | 3), 576 + 0x200);
    assert_eq!(layout.query(1, 7), [3, 0x340, 0, 0]);
    let half = ExtendedStateLayout::new(&wide, 0x67, 3);
    assert_eq!(half.allowed(), 7, "AVX-512 comes whole or not at all");
}

#[test]
fn the_topology_is_one_package_of_single_threaded_cores() {
    for (vcpus, bits) in [
        (1u16, 0u32),
        (2, 1),
        (3, 2),
        (4, 2),
        (5, 3),
        (64, 6),
        (300, 9),
    ] {
        let table = epyc(vcpus);
        let id = u32::from(vcpus) - 1;
        let ask = |subleaf| table.query(0xb, subleaf, &vcpu(id));
        assert_eq!(ask(0), [0, 1, 0x100, id]);
        assert_eq!(ask(1), [bits, u32::from(vcpus), 0x201, id]);
        assert_eq!(ask(2), [0, 0, 2, id]);
        assert_eq!(ask(9), [0, 0, 9, id]);
        let cores = table.query(0x8000_0008, 0, &vcpu(id))[2];
        assert_eq!(cores & 0xff, id.min(255));
        assert_eq!(cores >> 12, bits);
    }
}

#[test]
fn leaves_out_of_range_answer_as_the_vendor_does() {
    let amd = epyc(1);
    for leaf in [
        0xe,
        0x1f,
        0x20,
        0x8000_001f,
        0x8000_0040,
        0x4000_0010,
        0xc000_0000,
        u32::MAX,
    ] {
        assert_eq!(amd.query(leaf, 0, &vcpu(0)), [0; 4], "{leaf:#x}");
    }
    let known = CpuidPolicy {
        tsc: Hertz::new(3_600_000_000),
        lapic_timer: Hertz::new(24_000_000).unwrap(),
        ..policy(4)
    };
    let with_rates = |leaf: u32, subleaf: u32| match leaf {
        0 => [0x16, 0x756e_6547, 0x6c65_746e, 0x4965_6e69],
        0x16 => [3600, 4000, 100, 0],
        _ => host(QEMU_SKYLAKE)(leaf, subleaf),
    };
    let intel = CpuidTable::new(&known, &with_rates);
    assert_eq!(intel.query(0, 0, &vcpu(0))[0], 0x16);
    assert_eq!(intel.query(0x15, 0, &vcpu(0)), [1, 150, 24_000_000, 0]);
    let last = intel.query(0x16, 0, &vcpu(2));
    assert_eq!(last, [3600, 4000, 100, 0]);
    for leaf in [0x17, 0x1f, 0x20, 0x1000, 0x8000_0040, 0xc000_0000, u32::MAX] {
        assert_eq!(intel.query(leaf, 1, &vcpu(2)), last, "{leaf:#x}");
    }
    assert_eq!(intel.query(0x4000_0010, 0, &vcpu(2)), [0; 4]);
}

#[test]
fn intel_caches_show_the_virtual_cores() {
    let intel = CpuidTable::new(&policy(4), &host(QEMU_SKYLAKE));
    let ask = |subleaf| intel.query(4, subleaf, &vcpu(0))[0];
    assert_eq!(ask(0), 0x121 | 3 << 26, "level 1 is private");
    assert_eq!(ask(2), 0x143 | 3 << 26);
    assert_eq!(ask(3), 0x163 | 3 << 14 | 3 << 26, "level 3 is shared");
    assert_eq!(ask(4), 0);
    let ebx = intel.query(1, 0, &vcpu(3))[1];
    assert_eq!(ebx, 0x0304_0800);
    assert_eq!(intel.query(0x8000_0001, 0, &vcpu(0))[3], 0x2810_0800);
}

#[test]
fn the_hypervisor_names_itself() {
    let table = epyc(1);
    let [last, ebx, ecx, edx] = table.query(0x4000_0000, 0, &vcpu(0));
    let name: Vec<u8> = [ebx, ecx, edx]
        .iter()
        .flat_map(|w| w.to_le_bytes())
        .collect();
    assert_eq!(&name, b"BulkheadHV\0\0");
    assert_eq!(last, 0x4000_0002);
    assert_eq!(table.query(0x4000_0001, 0, &vcpu(0)), [1, 2, 3, 4]);
    assert_eq!(table.query(0x4000_0002, 0, &vcpu(0)), [0, 1_000_000, 0, 0]);
    assert_eq!(table.query(0x4000_0100, 0, &vcpu(0)), [0; 4]);
    let mut compatible = policy(1);
    compatible.hypervisor.compatible = Some(1 << 15);
    let table = CpuidTable::new(&compatible, &host(QEMU_EPYC));
    assert_eq!(table.query(0x4000_0100, 0, &vcpu(0))[0], 0x4000_0101);
    assert_eq!(table.query(0x4000_0101, 0, &vcpu(0)), [1 << 15, 0, 0, 0]);
    assert_eq!(table.query(0x4000_0102, 0, &vcpu(0)), [0; 4]);
}

#[test]
fn nothing_unlisted_is_shown_even_if_the_host_has_everything() {
    let everything = |leaf: u32, _: u32| match leaf {
        0 => [0x1f, 0x756e_6547, 0x6c65_746e, 0x4965_6e69],
        0x8000_0000 => [0x8000_0022, 0, 0, 0],
        _ => [u32::MAX; 4],
    };
    let table = CpuidTable::new(&policy(1), &everything);
    let shown = |leaf, subleaf, register: usize| table.query(leaf, subleaf, &vcpu(0))[register];
    let allowed = |word| allowed::mask(word, 7);
    assert_eq!(
        shown(1, 0, 2),
        allowed(Word::Leaf1Ecx) | 1 << 31 | 1 << 21 | 1 << 24
    );
    assert_eq!(
        shown(1, 0, 2) & (1 << 3 | 1 << 5 | 1 << 6),
        0,
        "MONITOR, virtualization, SMX"
    );
    assert_eq!(shown(1, 0, 3), allowed(Word::Leaf1Edx));
    assert_eq!(shown(7, 0, 1), allowed(Word::Leaf7Ebx));
    assert_eq!(shown(7, 0, 1) & 1 << 16, 0, "AVX-512 needs its XCR0 bits");
    assert_eq!(shown(0x8000_0001, 0, 2), allowed(Word::Extended1Ecx));
    assert_eq!(shown(0x8000_0001, 0, 2) & 1 << 2, 0, "virtualization");
    for leaf in [3, 5, 8, 9, 0xa, 0xc, 0xe, 0xf, 0x10, 0x12, 0x14, 0x17, 0x1b] {
        assert_eq!(table.query(leaf, 0, &vcpu(0)), [0; 4], "{leaf:#x}");
    }
    assert_eq!(
        table.query(0x1f, 1, &vcpu(0)),
        table.query(0xb, 1, &vcpu(0))
    );
    assert_eq!(table.query(0x8000_000a, 0, &vcpu(0)), [0; 4]);
    assert_eq!(
        table.query(0x8000_001f, 0, &vcpu(0)),
        [0; 4],
        "memory encryption"
    );
    assert_eq!(shown(0x8000_0000, 0, 0), 0x8000_0021);
}

#[test]
fn no_feature_is_listed_twice() {
    for (index, feature) in FEATURES.iter().enumerate() {
        assert!(feature.bit < 32, "{}", feature.name);
        for other in &FEATURES[..index] {
            assert!(
                (feature.word, feature.bit) != (other.word, other.bit),
                "{} and {}",
                feature.name,
                other.name
            );
        }
    }
}

#[test]
fn a_xeon_shows_what_the_hypervisor_can_switch() {
    let table = CpuidTable::new(&policy(8), &host(INTEL_XEON));
    let state = VcpuDynamic {
        apic_id: ApicId(5),
        cr4: 0,
        xcr0: 7,
    };
    let ask = |leaf, subleaf| table.query(leaf, subleaf, &state);
    assert_eq!(ask(0, 0)[0], 0x1f);
    assert_eq!(ask(7, 0)[1] & 1 << 16, 0, "no AVX-512 without its state");
    assert_eq!(ask(7, 0)[2] & 0x11, 0, "no protection keys, no OSPKE");
    assert_eq!(ask(7, 0)[3], 0x4010, "neither AMX nor speculation control");
    assert_eq!(ask(7, 1), [0x1c10, 0, 0, 0], "no AVX10");
    assert_eq!(ask(0xd, 0), [7, 0x340, 0x340, 0]);
    assert_eq!(ask(0xd, 1), [7, 0x340, 0, 0], "no XSAVES");
    assert_eq!(ask(0x1f, 1), [3, 8, 0x201, 5]);
    assert_eq!(ask(0x1e, 0), [0; 4]);
    assert_eq!(
        ask(0x24, 1),
        ask(0x1f, 1),
        "out of range answers as the last leaf"
    );
    assert_eq!(ask(0x8000_0000, 0), [0x8000_0008, 0, 0, 0]);
    assert_eq!(ask(0x8000_0008, 0)[0], 0x3027);
    let all = CpuidPolicy {
        xcr0: u64::MAX,
        ..policy(8)
    };
    let table = CpuidTable::new(&all, &host(INTEL_XEON));
    assert_eq!(table.allowed_xcr0(), 0xe7, "not AMX");
    let full = VcpuDynamic {
        xcr0: 0xe7,
        ..state
    };
    assert_eq!(table.query(0xd, 0, &full), [0xe7, 0xa80, 0xa80, 0]);
    assert_ne!(table.query(7, 0, &full)[1] & 1 << 16, 0);
    assert_eq!(table.query(0xd, 17, &full), [0; 4]);
}

#[test]
fn two_sockets_of_two_cores_of_two_threads_are_described_alike_by_all_leaves() {
    let shape = CpuShape {
        vcpus: 8,
        threads_per_core: 2,
        cores_per_socket: 2,
    };
    let policy = CpuidPolicy { shape, ..policy(8) };
    let table = CpuidTable::new(&policy, &host(QEMU_EPYC));
    let last = vcpu(shape.apic_id(7).0);
    let ask = |leaf, subleaf| table.query(leaf, subleaf, &last);
    assert_eq!(ask(1, 0)[1], 0x0704_0800);
    assert_eq!(ask(0xb, 0), [1, 2, 0x100, 7]);
    assert_eq!(ask(0xb, 1), [2, 4, 0x201, 7]);
    assert_eq!(ask(0x8000_0008, 0)[2], 0x2003);
    assert_eq!(ask(0x8000_001e, 0), [7, 0x101, 1, 0]);
    let sharers = |subleaf| (ask(0x8000_001d, subleaf)[0] >> 14) + 1;
    assert_eq!((sharers(0), sharers(2), sharers(3)), (2, 2, 4));
    assert_eq!(ask(0x8000_0001, 0)[2] & 0x40_0002, 0x40_0002);

    let table = CpuidTable::new(&policy, &host(INTEL_XEON));
    let caches = |subleaf| {
        let [eax, ..] = table.query(4, subleaf, &last);
        (eax >> 14 & 0xfff, eax >> 26)
    };
    assert_eq!((caches(0), caches(3)), ((1, 1), (3, 1)));
}
