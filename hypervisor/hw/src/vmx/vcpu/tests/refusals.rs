//! The words for failed entries: what the backend itself makes passes every check, and each wrong field is named.

use super::{exit, vcpu};
use crate::gdt;
use crate::vmx::exit_reason as reason;
use crate::vmx::field::Field;
use crate::vmx::instructions::Entered;
use crate::vmx::vcpu::VmxVcpu;
use crate::vmx::vmcs::fake::Fake;
use bulkhead_core::addr::Gpa;
use bulkhead_core::fault::Exception;
use bulkhead_core::id::Vector;
use bulkhead_core::vcpu::{Exit, StartState, Vcpu};

/// The exit reason of an entry whose guest state was refused.
const STATE_REFUSED: u64 = 1 << 31 | 33;

/// In real mode, as after a start-up IPI.
fn real() -> VmxVcpu<Fake> {
    let mut vcpu = vcpu();
    vcpu.reset(StartState::StartUp { vector: Vector(8) });
    with_host(&mut vcpu);
    vcpu
}

/// In 64-bit mode, as guests of ours start.
fn long() -> VmxVcpu<Fake> {
    let mut vcpu = vcpu();
    vcpu.reset(StartState::Direct {
        entry: 0x10_0000,
        stack: 0x20_0000,
        argument: 0,
        page_tables: Gpa::new(0x3000),
        gdt: Gpa::new(0x4000),
    });
    with_host(&mut vcpu);
    vcpu
}

/// With what `activate` adds.
fn with_host(vcpu: &mut VmxVcpu<Fake>) {
    for (field, value) in [
        (Field::HostCr0, 0x8001_0033),
        (Field::HostCr3, 0x1000),
        (Field::HostCr4, 0x2020),
        (Field::HostEfer, 0xd01),
        (Field::HostPat, 0x0007_0406_0007_0406),
        (Field::HostCsSelector, u64::from(gdt::CODE)),
        (Field::HostTrSelector, u64::from(gdt::TSS)),
        (Field::EptPointer, 0x5001e),
        (Field::Vpid, 1),
        // Of a heap below the direct map.
        (Field::IoBitmapA, 0x1000),
        (Field::IoBitmapB, 0x2000),
        (Field::MsrBitmap, 0x3000),
        (Field::VirtualApicPage, 0x4000),
    ] {
        vcpu.vmcs.set(field, value);
    }
}

/// What is said where the CPU refuses the guest's state after these changes.
fn state(vcpu: &mut VmxVcpu<Fake>, changes: &[(Field, u64)]) -> &'static str {
    for (field, value) in changes {
        vcpu.vmcs.set(*field, *value);
    }
    vcpu.vmcs
        .access()
        .exits_with(&[(Field::ExitReason, STATE_REFUSED)]);
    assert_eq!(vcpu.enter(), Exit::InvalidState);
    vcpu.explain()
}

/// What is said where the CPU refuses the instruction with this error.
fn instruction(vcpu: &mut VmxVcpu<Fake>, error: u64, changes: &[(Field, u64)]) -> &'static str {
    for (field, value) in changes {
        vcpu.vmcs.set(*field, *value);
    }
    vcpu.vmcs
        .access()
        .exits_with(&[(Field::InstructionError, error)]);
    vcpu.vmcs.access().ends_with(Entered::Failed);
    assert_eq!(vcpu.enter(), Exit::InvalidState);
    vcpu.explain()
}

#[test]
fn what_the_backend_makes_passes_every_check() {
    for make in [real, long] {
        assert!(state(&mut make(), &[]).contains("not known here"));
        assert!(instruction(&mut make(), 7, &[]).contains("not known here"));
        assert!(instruction(&mut make(), 8, &[]).contains("not known here"));
        let mut injecting = make();
        assert!(injecting.inject_exception(Exception::GP0));
        assert!(instruction(&mut injecting, 7, &[]).contains("not known here"));
    }
}

#[test]
fn each_wrong_field_of_the_state_is_named() {
    use Field::*;
    let cases: [(&[(Field, u64)], &str); 45] = [
        (&[(Cr0, 0x8001_0013)], "CR0 lacks a bit"),
        (&[(Cr0, 1 << 32 | 0x8001_0033)], "CR0 has bits above 31"),
        (&[(Cr0, 0x8001_0032)], "CR0.PG is 1 and CR0.PE is 0"),
        (&[(Cr4, 0x20)], "CR4.VMXE is 0"),
        (&[(Cr4, 0x2020 | 1 << 30)], "CR4 has a bit that this CPU"),
        (&[(Cr4, 0x2000)], "long mode without"),
        (&[(Cr3, 1 << 52)], "CR3 has bits"),
        (&[(Dr7, 1 << 32)], "DR7"),
        (&[(DebugControl, 1 << 5)], "IA32_DEBUGCTL"),
        (&[(SysenterEsp, 1 << 47)], "SYSENTER_ESP"),
        (&[(SysenterEip, 1 << 63)], "SYSENTER_EIP"),
        (&[(GuestPat, 2)], "PAT"),
        (&[(GuestEfer, 0xd02)], "EFER has reserved bits"),
        (&[(GuestEfer, 0x900)], "EFER.LMA differs"),
        (&[(GuestEfer, 0x400)], "EFER.LME differs"),
        (&[(GdtrBase, 1 << 47)], "the base of the GDT"),
        (&[(IdtrBase, 1 << 47)], "the base of the IDT"),
        (&[(GdtrLimit, 1 << 16)], "the limit of the GDT"),
        (&[(IdtrLimit, 1 << 16)], "the limit of the IDT"),
        (&[(Rip, 1 << 47)], "RIP is not canonical"),
        (&[(Rflags, 0x8002)], "RFLAGS has reserved bits"),
        (&[(Rflags, 0)], "bit 1 of RFLAGS"),
        (&[(Rflags, 1 << 17 | 2)], "RFLAGS.VM"),
        (&[(EntryEvent, 0x8000_0031)], "while RFLAGS.IF is 0"),
        (&[(Activity, 4)], "activity state"),
        (
            &[(Activity, 1), (SsRights, 0xc0f3), (CsRights, 0xa0fb)],
            "privilege level above 0",
        ),
        (
            &[(Activity, 1), (Interruptibility, 2)],
            "halted in the shadow",
        ),
        (&[(Activity, 2), (EntryEvent, 0x8000_0202)], "shut down"),
        (&[(Activity, 1), (EntryEvent, 0x8000_0480)], "no halt ends"),
        (
            &[(Interruptibility, 1 << 5)],
            "interruptibility has reserved",
        ),
        (&[(Interruptibility, 3)], "at the same time"),
        (&[(Interruptibility, 1)], "the shadow of STI is there"),
        (
            &[
                (Rflags, 0x202),
                (Interruptibility, 2),
                (EntryEvent, 0x8000_0031),
            ],
            "an interrupt is injected in the shadow",
        ),
        (
            &[(Interruptibility, 2), (EntryEvent, 0x8000_0202)],
            "an NMI is injected in the shadow",
        ),
        (
            &[(Interruptibility, 8), (EntryEvent, 0x8000_0202)],
            "NMIs are blocked",
        ),
        (&[(Interruptibility, 4)], "SMIs"),
        (&[(PendingDebug, 1 << 4)], "pending debug exceptions"),
        (&[(Rflags, 0x102), (Interruptibility, 2)], "single step"),
        (&[(LinkPointer, 0x1000)], "link pointer"),
        (&[(TrRights, 0x89)], "TR is not a present and busy"),
        (&[(TrRights, 0x1_008b)], "TR cannot be used"),
        (&[(LdtrRights, 0x89)], "LDTR is not"),
        (&[(FsBase, 1 << 47)], "the base of FS"),
        (&[(DsBase, 1 << 32)], "the base of DS"),
        (&[(CsRights, 0xe09b)], "CS.L and CS.D"),
    ];
    for (changes, words) in cases {
        let said = state(&mut long(), changes);
        assert!(said.contains(words), "{changes:?}: {said}");
    }
}

#[test]
fn each_wrong_segment_is_named() {
    use Field::*;
    let cases: [(&[(Field, u64)], &str); 18] = [
        (&[(CsRights, 0x1_009b)], "CS is not a present segment"),
        (&[(CsRights, 0x9a)], "CS is neither"),
        (&[(CsRights, 0xf3)], "CS is data with a DPL"),
        (&[(CsRights, 0xfb)], "the DPL of CS differs"),
        (&[(CsRights, 0xff)], "conforming CS"),
        (&[(CsRights, 0x19b)], "the rights of CS"),
        (&[(CsLimit, 0x1f_fffe)], "the limit of CS"),
        (&[(CsRights, 0x9f), (SsRights, 0xf3)], "the DPL of SS"),
        (&[(SsRights, 0x91)], "SS is not a segment"),
        (&[(SsRights, 0x193)], "the rights of SS"),
        (&[(SsLimit, 0x10_0000)], "the limit of SS"),
        (&[(DsRights, 0x92)], "DS is not a present"),
        (&[(EsRights, 0x99)], "ES is not a present"),
        (&[(FsLimit, 0x10_0000)], "the limit of FS"),
        (&[(GsRights, 0x83)], "GS is not a present"),
        (&[(TrSelector, 4)], "the selector of TR"),
        (&[(TrLimit, 0x10_0000)], "the limit of TR"),
        (&[(Rip, 1 << 32)], "RIP has bits above 31"),
    ];
    for (changes, words) in cases {
        let said = state(&mut real(), changes);
        assert!(said.contains(words), "{changes:?}: {said}");
    }
    // Virtual-8086 mode, with the segments of real mode.
    let said = state(&mut real(), &[(Cr0, 0x31), (Rflags, 1 << 17 | 2)]);
    assert!(said.contains("CS is not as virtual-8086"), "{said}");
    // PAE paging.
    let pae = [(Cr0, 0x8000_0031), (Cr4, 0x2020), (Pdpte2, 3)];
    let said = state(&mut real(), &pae);
    assert!(said.contains("PDPTE"), "{said}");
}

#[test]
fn each_wrong_control_is_named() {
    use Field::*;
    let long_pin = long().vmcs.get(PinControls);
    let long_secondary = long().vmcs.get(SecondaryControls);
    let cases: [(&[(Field, u64)], &str); 19] = [
        (&[(PinControls, long_pin | 1 << 7)], "pin-based controls"),
        (&[(ProcessorControls, 0)], "processor-based controls"),
        (
            &[(SecondaryControls, long_secondary | 1)],
            "secondary controls",
        ),
        (&[(ExitControls, 0)], "exit controls"),
        (&[(EntryControls, 0)], "entry controls"),
        (&[(Cr3TargetCount, 5)], "CR3 targets"),
        (&[(Vpid, 0)], "VPID"),
        (&[(IoBitmapB, 0x2001)], "I/O bitmap"),
        (&[(MsrBitmap, 1 << 52)], "MSR bitmap"),
        (&[(VirtualApicPage, 8)], "virtual APIC"),
        (&[(TprThreshold, 16)], "threshold"),
        (&[(EptPointer, 0x5_0018)], "four levels"),
        (&[(EptPointer, 0x5_0f1e)], "pointer to the nested tables"),
        (&[(EntryEvent, 0x8000_0131)], "does not exist"),
        (&[(EntryEvent, 0x8000_0203)], "another vector than 2"),
        (&[(EntryEvent, 0x8000_0320)], "vector above 31"),
        (&[(EntryEvent, 0x8000_030d)], "error code"),
        (
            &[(EntryEvent, 0x8000_0b0d), (EntryErrorCode, 1 << 16)],
            "bits above 15",
        ),
        (&[(EntryEvent, 0x8000_0480)], "length of the injected"),
    ];
    for (changes, words) in cases {
        let said = instruction(&mut long(), 7, changes);
        assert!(said.contains(words), "{changes:?}: {said}");
    }
}

#[test]
fn each_wrong_field_of_the_host_is_named() {
    use Field::*;
    let cases: [(&[(Field, u64)], &str); 11] = [
        (&[(HostCr0, 0x8001_0013)], "the host's CR0"),
        (&[(HostCr4, 0x20)], "the host's CR4 lacks"),
        (&[(HostCr4, 0x2020 | 1 << 30)], "the host's CR4 has"),
        (&[(HostCr3, 1 << 52)], "the host's CR3"),
        (&[(HostDsSelector, 3)], "a selector of the host"),
        (&[(HostCsSelector, 0)], "CS or TR is null"),
        (&[(HostTrBase, 1 << 47)], "not canonical"),
        (&[(ExitControls, 0)], "64-bit mode"),
        (&[(HostCr4, 0x2000)], "the host's CR4.PAE"),
        (&[(HostEfer, 0x400)], "the host's EFER"),
        (&[(HostPat, 3)], "PAT"),
    ];
    for (changes, words) in cases {
        let said = instruction(&mut long(), 8, changes);
        assert!(said.contains(words), "{changes:?}: {said}");
    }
}

#[test]
fn other_refusals_have_words_and_harmless_exits_none() {
    for error in [4, 5, 6, 11, 12, 13, 25, 26, 99] {
        assert!(instruction(&mut long(), error, &[]).len() > 20);
    }
    let mut vcpu = long();
    vcpu.vmcs.access().ends_with(Entered::NoVmcs);
    assert_eq!(vcpu.enter(), Exit::InvalidState);
    assert_eq!(vcpu.explain(), "no VMCS is current");
    let mut vcpu = long();
    exit(&mut vcpu, reason::CPUID, 0x1000, 2);
    assert_eq!(vcpu.explain(), "");
}

#[test]
fn a_task_switch_ends_in_words() {
    for (qualification, words) in [
        (0, "CALL"),
        (1 << 30, "IRET"),
        (2 << 30, "JMP"),
        (3 << 30, "task gate"),
    ] {
        let mut vcpu = long();
        vcpu.vmcs.access().exits_with(&[
            (Field::ExitReason, u64::from(reason::TASK_SWITCH)),
            (Field::Qualification, qualification),
        ]);
        assert_eq!(vcpu.enter(), Exit::Unknown);
        let said = vcpu.explain();
        assert!(said.contains(words) && said.contains("no hardware task switches"));
    }
}

#[test]
fn an_entry_that_failed_for_its_msrs_says_so() {
    let mut vcpu = long();
    let number = u64::from(reason::MSR_LOADING) | 1 << 31;
    vcpu.vmcs
        .access()
        .exits_with(&[(Field::ExitReason, number)]);
    assert_eq!(vcpu.enter(), Exit::InvalidState);
    assert!(vcpu.explain().contains("MSRs"));
}
