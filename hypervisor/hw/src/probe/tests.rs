use super::machines::*;
use super::*;

fn probe(machine: &Machine) -> Result<SvmProbe, Refusal> {
    SvmProbe::read(machine, machine)
}

fn found(probe: &SvmProbe) -> Vec<&'static str> {
    probe
        .table()
        .filter(|(_, found)| *found)
        .map(|(name, _)| name)
        .collect()
}

#[test]
fn qemu_epyc_runs_with_nested_paging_only() {
    let machine = Machine::new(&QEMU_EPYC);
    let probe = probe(&machine).unwrap();
    assert_eq!((probe.revision, probe.asids), (1, 16));
    assert_eq!(found(&probe), ["NP"]);
    let identity = CpuIdentity::read(&machine);
    assert_eq!(identity.vendor, Vendor::Amd);
    assert_eq!(
        identity.to_string(),
        "AMD EPYC Processor (family 0x17, model 0x1, stepping 2)"
    );
    let features = CpuFeatures::read(&machine);
    assert!(features.no_execute && features.gigabyte_pages && features.smep);
    assert!(!features.x2apic && !features.invariant_tsc);
    assert_eq!(features.physical_bits, 40);
}

#[test]
fn qemu_max_adds_virtual_gif() {
    let probe = probe(&Machine::new(&QEMU_MAX)).unwrap();
    assert_eq!(found(&probe), ["NP", "VGIF"]);
}

#[test]
fn bochs_ryzen_has_next_rip_and_flush_by_asid() {
    let machine = Machine::new(&BOCHS_RYZEN);
    let probe = probe(&machine).unwrap();
    assert_eq!(probe.asids, 32768);
    assert!(CpuFeatures::read(&machine).invariant_tsc);
    assert!(probe.has(SvmFeature::NextRip) && probe.has(SvmFeature::FlushByAsid));
    assert!(!probe.has(SvmFeature::DecodeAssists) && !probe.has(SvmFeature::Avic));
}

#[test]
fn a_cpu_without_svm_is_refused_by_name() {
    let refusal = probe(&Machine::new(&QEMU64_NO_SVM)).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "this CPU lacks AMD SVM hardware virtualization (CPUID 8000_0001 ECX bit 2)"
    );
}

#[test]
fn an_intel_cpu_is_refused_in_spite_of_garbage_in_the_svm_leaf() {
    let machine = Machine::new(&QEMU_SKYLAKE);
    assert!(matches!(probe(&machine), Err(Refusal::Missing { .. })));
    assert_eq!(CpuIdentity::read(&machine).vendor, Vendor::Intel);
    // Even where the SVM bit were set, the leaf is out of range.
    let machine = machine.with(0x8000_0001, [0, 0, 4, 0x2c10_0800]);
    assert!(matches!(probe(&machine), Err(Refusal::Missing { .. })));
}

fn intel(machine: &Machine) -> Result<VmxProbe, Refusal> {
    VmxProbe::read(machine, machine)
}

#[test]
fn bochs_skylake_x_runs_with_all_that_is_known() {
    let probe = intel(&skylake_x()).unwrap();
    assert_eq!((probe.revision, probe.gigabyte_pages), (0x2b, true));
    assert!(probe.table().iter().all(|(_, found)| *found));
    let controls = probe.controls;
    assert_eq!(controls.pin, 0x7f);
    // No exits by CR3 moves, no windows, no CR8 loads yet.
    assert_eq!(controls.processor, 0xb620_6dfa);
    assert_eq!(controls.secondary, 0x0010_10ea);
    assert_eq!(controls.exit, 0x007f_6fff);
    assert_eq!(controls.entry, 0x0000_d1ff);
    let read = Virtualization::read(&skylake_x(), &skylake_x());
    assert_eq!(read, Ok(Virtualization::Vmx(probe)));
}

#[test]
fn what_vmx_lacks_is_refused_by_name() {
    let without = |msr: u32, bit: u32| {
        let value = skylake_x().read(msr);
        intel(&skylake_x().with_msrs(&[(msr, value & !(1 << bit))]))
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        without(0x48b, 39),
        "this CPU lacks unrestricted guests (IA32_VMX_PROCBASED_CTLS2 bit 39)"
    );
    assert_eq!(
        without(0x48b, 33),
        "this CPU lacks EPT nested paging (IA32_VMX_PROCBASED_CTLS2 bit 33)"
    );
    for (msr, bits) in [
        (0x48d, &[32, 35, 37][..]),
        (0x48e, &[34, 35, 39, 42, 43, 51, 53, 54, 57, 60, 61, 63]),
        (0x48b, &[33, 38, 39]),
        (0x48f, &[34, 41, 50, 51, 52, 53]),
        (0x490, &[34, 41, 46, 47]),
        (0x48c, &[6, 14, 16, 20, 25, 26]),
    ] {
        for bit in bits {
            let text = without(msr, *bit);
            assert!(text.ends_with(&format!("bit {bit})")), "{msr:#x}: {text}");
        }
    }
}

/// Optional features of a CPU, or what it lacks.
fn offered(record: &VmxRecord) -> Result<Vec<&'static str>, String> {
    let probe = intel(&record.machine()).map_err(|refusal| refusal.to_string())?;
    let found = probe.table().into_iter().filter(|(_, found)| *found);
    Ok(found.map(|(name, _)| name).collect())
}

#[test]
fn bochs_intel_models_run_or_are_refused_by_name() {
    use bochs::*;
    const OLD: [&str; 4] = ["execute-only", "VPID", "preemption-timer", "RDTSCP"];
    const EPT: [&str; 6] = [
        "1G-EPT",
        "EPT-A/D",
        "execute-only",
        "VPID",
        "preemption-timer",
        "RDTSCP",
    ];
    const APICV: [&str; 3] = [
        "x2APIC-virtualization",
        "APIC-registers",
        "virtual-interrupts",
    ];
    let with = |base: &[&'static str], more: &[&'static str]| [base, more].concat();
    let haswell = with(
        &with(&EPT, &["INVPCID"]),
        &with(&APICV, &["VMCS-shadowing"]),
    );
    let all = with(
        &with(&EPT, &["INVPCID", "XSAVES"]),
        &with(&APICV, &["VMCS-shadowing", "PML", "TSC-scaling"]),
    );
    for (record, expected) in [
        (
            &COREI5_ARRANDALE_M520,
            with(&OLD, &["x2APIC-virtualization"]),
        ),
        (&COREI7_SANDY_BRIDGE_2600K, with(&OLD, &[])),
        (
            &COREI7_IVY_BRIDGE_3770K,
            with(&OLD, &["x2APIC-virtualization"]),
        ),
        (&COREI7_HASWELL_4770, haswell.clone()),
        (&BROADWELL_ULT, haswell),
        (&COREI7_SKYLAKE_X, all.clone()),
        (
            &COREI3_CNL,
            with(
                &with(&EPT, &["INVPCID", "XSAVES", "x2APIC-virtualization"]),
                &["VMCS-shadowing", "TSC-scaling"],
            ),
        ),
        (&COREI7_ICELAKE_U, all.clone()),
        (&TIGERLAKE, all.clone()),
        (&SAPPHIRE_RAPIDS, all.clone()),
        (&ARROW_LAKE, all),
    ] {
        assert_eq!(offered(record), Ok(expected), "{}", record.name);
    }
    for (record, missing) in [
        (&CORE2_PENRYN_T9600, "EPT nested paging"),
        (&COREI5_LYNNFIELD_750, "unrestricted guests"),
    ] {
        let refusal = offered(record).unwrap_err();
        assert!(refusal.contains(missing), "{}: {refusal}", record.name);
    }
}

/// Who delivers interrupts to guests on this CPU.
fn delivery(record: &VmxRecord) -> vmx::Delivery {
    intel(&record.machine()).unwrap().delivery
}

#[test]
fn cpus_deliver_interrupts_where_they_have_all_that_it_takes() {
    use bochs::*;
    use vmx::Delivery::{ByCpu, BySoftware};
    for (record, expected) in [
        // MSRs or registers of the x2APIC alone are not enough.
        (&COREI5_ARRANDALE_M520, BySoftware),
        (&COREI7_SANDY_BRIDGE_2600K, BySoftware),
        (&COREI7_IVY_BRIDGE_3770K, BySoftware),
        (&COREI3_CNL, BySoftware),
        (&intel::IVY_BRIDGE, BySoftware),
        (&intel::COFFEE_LAKE, BySoftware),
        (&COREI7_HASWELL_4770, ByCpu),
        (&BROADWELL_ULT, ByCpu),
        (&COREI7_SKYLAKE_X, ByCpu),
        (&COREI7_ICELAKE_U, ByCpu),
        (&TIGERLAKE, ByCpu),
        (&SAPPHIRE_RAPIDS, ByCpu),
        (&ARROW_LAKE, ByCpu),
    ] {
        assert_eq!(delivery(record), expected, "{}", record.name);
        let probe = intel(&record.machine()).unwrap();
        // It is switched on for a guest in x2APIC mode, and not before.
        assert_eq!(probe.controls.secondary & vmx::bit::DELIVERY, 0);
        let off = Virtualization::Vmx(probe).with_software_delivery();
        assert_eq!(off, Virtualization::Vmx(probe.with_software_delivery()));
        assert_eq!(probe.with_software_delivery().delivery, BySoftware);
        // All of Bochs' models have the fault that it has.
        let sound = Virtualization::Vmx(probe).with_sound_delivery();
        assert_eq!(
            sound == off,
            probe.forgets_interrupt_flag || off == Virtualization::Vmx(probe)
        );
    }
    for bit in [36, 40, 41] {
        let value = skylake_x().read(0x48b) & !(1 << bit);
        let machine = skylake_x().with_msrs(&[(0x48b, value)]);
        assert_eq!(intel(&machine).unwrap().delivery, BySoftware, "bit {bit}");
    }
}

#[test]
fn only_the_emulator_is_taken_for_one_that_forgets_the_interrupt_flag() {
    assert!(intel(&skylake_x()).unwrap().forgets_interrupt_flag);
    for record in [&intel::IVY_BRIDGE, &intel::COFFEE_LAKE] {
        assert!(!intel(&record.machine()).unwrap().forgets_interrupt_flag);
    }
}

#[test]
fn tscs_are_scaled_where_the_cpu_can() {
    let scales = |record: &VmxRecord| intel(&record.machine()).unwrap().scales_tsc();
    assert!(scales(&bochs::COREI7_SKYLAKE_X) && scales(&bochs::COREI3_CNL));
    assert!(!scales(&bochs::COREI7_HASWELL_4770) && !scales(&intel::COFFEE_LAKE));
}

#[test]
fn real_intel_parts_run_with_what_they_have() {
    let ivy_bridge = [
        "execute-only",
        "VPID",
        "preemption-timer",
        "RDTSCP",
        "x2APIC-virtualization",
    ];
    assert_eq!(offered(&intel::IVY_BRIDGE), Ok(ivy_bridge.to_vec()));
    let coffee_lake = [
        "1G-EPT",
        "EPT-A/D",
        "execute-only",
        "VPID",
        "preemption-timer",
        "RDTSCP",
        "INVPCID",
        "XSAVES",
        "x2APIC-virtualization",
        "PML",
    ];
    assert_eq!(offered(&intel::COFFEE_LAKE), Ok(coffee_lake.to_vec()));
    let machine = intel::COFFEE_LAKE.machine();
    let probe = intel(&machine).unwrap();
    assert_eq!((probe.revision, probe.timer_shift), (4, 7));
    assert_eq!(probe.cr4_may, 0x37_27ff);
}

/// Of these parts only this register is known; the others here are those of a later part.
#[test]
fn published_secondary_controls_decide_between_run_and_refusal() {
    for (name, value) in intel::SECONDARY_CONTROLS {
        let machine = intel::COFFEE_LAKE.machine().with_msrs(&[(0x48b, value)]);
        match intel(&machine) {
            Ok(probe) => {
                assert_ne!(name, "Nehalem");
                assert_eq!(
                    probe.controls.secondary & !((value >> 32) as u32),
                    0,
                    "{name}"
                );
            }
            Err(refusal) => {
                assert_eq!(name, "Nehalem");
                assert!(refusal.to_string().contains("unrestricted guests"));
            }
        }
    }
}

#[test]
fn tlb_tags_are_used_only_where_they_can_be_flushed() {
    let secondary = |msr: u32, bit: u32| {
        let value = skylake_x().read(msr);
        let machine = skylake_x().with_msrs(&[(msr, value & !(1 << bit))]);
        intel(&machine).unwrap().controls.secondary
    };
    for (msr, bit) in [(0x48b, 37), (0x48c, 32), (0x48c, 41), (0x48c, 42)] {
        assert_eq!(secondary(msr, bit), 0x0010_10ca, "{msr:#x} bit {bit}");
    }
}

#[test]
fn the_preemption_timer_is_used_only_where_it_can_be_kept() {
    let without = skylake_x().with_msrs(&[(0x48f, 0x403f_ffff_0003_6dfb)]);
    let controls = intel(&without).unwrap().controls;
    assert_eq!((controls.pin, controls.exit), (0x3f, 0x003f_6fff));
}

#[test]
fn a_cpu_that_demands_exits_by_cr3_is_refused() {
    let old = skylake_x().with_msrs(&[
        (0x480, 0x0058_1000_0000_002b),
        (0x481, 0x0000_00ff_0000_0016),
        (0x482, 0xfff9_fffe_0401_e172),
        (0x483, 0x407f_ffff_0003_6dff),
        (0x484, 0x0000_ffff_0000_11ff),
    ]);
    let refusal = intel(&old).unwrap_err().to_string();
    assert!(refusal.contains("CR3 without VM exits"), "{refusal}");
}

#[test]
fn vmx_that_the_firmware_locked_off_is_refused_but_unlocked_is_not() {
    let locked = intel(&skylake_x().with_msrs(&[(0x3a, 1)])).unwrap_err();
    assert!(locked.to_string().contains("VT-x in the firmware's setup"));
    assert!(intel(&skylake_x().with_msrs(&[(0x3a, 0)])).is_ok());
}

#[test]
fn an_intel_cpu_without_vmx_is_refused_as_such() {
    let machine = Machine::new(&QEMU_SKYLAKE);
    assert_eq!(
        Virtualization::read(&machine, &machine)
            .unwrap_err()
            .to_string(),
        "this CPU lacks Intel VMX hardware virtualization (CPUID 1 ECX bit 5)"
    );
    let amd = Machine::new(&QEMU_EPYC);
    assert!(matches!(
        Virtualization::read(&amd, &amd),
        Ok(Virtualization::Svm(_))
    ));
}

#[test]
fn svm_without_nested_paging_is_refused_by_name() {
    let machine = Machine::new(&QEMU64_NO_SVM)
        .with(QEMU64[0].0, QEMU64[0].1)
        .with(QEMU64[1].0, QEMU64[1].1);
    assert_eq!(
        probe(&machine).unwrap_err().to_string(),
        "this CPU lacks SVM nested paging (CPUID 8000_000A EDX bit 0)"
    );
}

#[test]
fn each_required_bit_is_required() {
    let epyc = Machine::new(&QEMU_EPYC);
    for (leaf, register, bit) in [
        (0x8000_0001, 2, 2),
        (0x8000_0001, 3, 20),
        (0x8000_000a, 3, 0),
        (0x8000_000a, 1, 4),
    ] {
        let mut answer = epyc.answer(leaf);
        answer[register] &= !(1 << bit);
        let machine = epyc.clone().with(leaf, answer);
        assert!(probe(&machine).is_err(), "{leaf:#x} {register} {bit}");
    }
}

#[test]
fn svm_that_the_firmware_locked_off_is_refused_but_unlocked_is_not() {
    let mut machine = Machine::new(&QEMU_EPYC);
    machine.vm_cr = 1 << 4;
    assert!(probe(&machine).is_ok());
    machine.vm_cr = 1 << 4 | 1 << 3;
    let refusal = probe(&machine).unwrap_err();
    assert!(refusal.to_string().contains("firmware's setup"));
    machine.vm_cr = 1 << 3;
    assert!(probe(&machine).is_ok());
}

#[test]
fn a_cpu_without_any_extended_leaves_is_refused() {
    let machine = Machine::new(&[(0, [1, 0, 0, 0]), (1, [0x6f1, 0, 0, 0])]);
    assert!(probe(&machine).is_err());
    let identity = CpuIdentity::read(&machine);
    assert_eq!((identity.vendor, identity.brand()), (Vendor::Other, ""));
    assert_eq!(CpuFeatures::read(&machine).physical_bits, 36);
}
