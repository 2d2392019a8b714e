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
