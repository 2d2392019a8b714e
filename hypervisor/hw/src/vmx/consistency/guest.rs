//! Checks of the guest's state but its segments (SDM 3C 26.3.1.1, 26.3.1.3 to 26.3.1.6).

use super::{Check, Subject, canonical, first, valid_pat};
use crate::probe::vmx::bit;
use crate::vmx::access::VmcsAccess;
use crate::vmx::field::Field;

const CR0_PE: u64 = 1;
const CR0_PG: u64 = 1 << 31;
const CR0_WP: u64 = 1 << 16;
/// Bits that unrestricted guests and the cache control keep free (SDM 3C 26.3.1.1).
const CR0_UNCHECKED: u64 = CR0_PE | CR0_PG | 1 << 29 | 1 << 30;
const CR4_PAE: u64 = 1 << 5;
const CR4_PCIDE: u64 = 1 << 17;
const CR4_CET: u64 = 1 << 23;
const EFER_LME: u64 = 1 << 8;
const EFER_LMA: u64 = 1 << 10;
/// SCE, LME, LMA, NXE.
const EFER_KNOWN: u64 = 1 | EFER_LME | EFER_LMA | 1 << 11;
/// IA32_DEBUGCTL: bits 1:0, 15:6.
const DEBUG_CONTROL_KNOWN: u64 = 0xffc3;
const RFLAGS_IF: u64 = 1 << 9;
const RFLAGS_TF: u64 = 1 << 8;
const RFLAGS_VM: u64 = 1 << 17;
/// Bits that are always 0: 63:22, 15, 5, 3.
const RFLAGS_ZERO: u64 = !0x3f_ffff | 1 << 15 | 1 << 5 | 1 << 3;
/// Shadows of STI and of MOV SS; blocking by SMI and by NMI.
const BY_STI: u64 = 1 << 0;
const BY_MOV_SS: u64 = 1 << 1;
const BY_SMI: u64 = 1 << 2;
const BY_NMI: u64 = 1 << 3;
/// Activity: HLT, and the last that there is.
const HALTED: u64 = 1;
const LAST_ACTIVITY: u64 = 3;
/// Pending debug exceptions: single step; the bits that there are.
const SINGLE_STEP: u64 = 1 << 14;
const PENDING_KNOWN: u64 = 0xf | 1 << 12 | SINGLE_STEP | 1 << 16;
/// Reserved bits of a PDPTE.
const PDPTE_RESERVED: u64 = 0b110 | 0xf << 5 | 0xfff << 52;

/// The first check that fails.
pub fn failed<A: VmcsAccess>(subject: &Subject<'_, A>) -> Option<&'static str> {
    control_registers(subject)
        .or_else(|| msrs(subject))
        .or_else(|| tables_and_flags(subject))
        .or_else(|| events(subject))
        .or_else(|| page_directories(subject))
}

fn is_long<A: VmcsAccess>(subject: &Subject<'_, A>) -> bool {
    subject.get(Field::EntryControls) & u64::from(bit::ENTRY_LONG_MODE) != 0
}

fn control_registers<A: VmcsAccess>(subject: &Subject<'_, A>) -> Option<&'static str> {
    let (cr0, cr3, cr4) = (
        subject.get(Field::Cr0),
        subject.get(Field::Cr3),
        subject.get(Field::Cr4),
    );
    let long = is_long(subject);
    let must = subject.probe.cr0_ones & !CR0_UNCHECKED;
    let checks: [Check; 10] = [
        (
            cr0 & must != must,
            "CR0 lacks a bit that VMX wants to be 1 (NE)",
        ),
        (cr0 >> 32 != 0, "CR0 has bits above 31"),
        (
            cr0 & CR0_PG != 0 && cr0 & CR0_PE == 0,
            "CR0.PG is 1 and CR0.PE is 0",
        ),
        (
            cr4 & subject.probe.cr4_ones != subject.probe.cr4_ones,
            "CR4.VMXE is 0",
        ),
        (
            cr4 & !subject.probe.cr4_may != 0,
            "CR4 has a bit that this CPU does not have in VMX operation",
        ),
        (
            cr4 & CR4_CET != 0 && cr0 & CR0_WP == 0,
            "CR4.CET is 1 and CR0.WP is 0",
        ),
        (
            long && (cr0 & CR0_PG == 0 || cr4 & CR4_PAE == 0),
            "long mode without CR0.PG or CR4.PAE",
        ),
        (
            !long && cr4 & CR4_PCIDE != 0,
            "CR4.PCIDE is 1 outside of long mode",
        ),
        (cr3 >> 52 != 0, "CR3 has bits above the physical addresses"),
        (
            subject.has(Field::EntryControls, 2) && subject.get(Field::Dr7) >> 32 != 0,
            "DR7 has bits above 31",
        ),
    ];
    first(&checks)
}

fn msrs<A: VmcsAccess>(subject: &Subject<'_, A>) -> Option<&'static str> {
    let efer = subject.get(Field::GuestEfer);
    let (long, paging) = (is_long(subject), subject.get(Field::Cr0) & CR0_PG != 0);
    let checks: [Check; 7] = [
        (
            subject.has(Field::EntryControls, 2)
                && subject.get(Field::DebugControl) & !DEBUG_CONTROL_KNOWN != 0,
            "IA32_DEBUGCTL has reserved bits",
        ),
        (
            !canonical(subject.get(Field::SysenterEsp)),
            "SYSENTER_ESP is not canonical",
        ),
        (
            !canonical(subject.get(Field::SysenterEip)),
            "SYSENTER_EIP is not canonical",
        ),
        (
            subject.has(Field::EntryControls, 14) && !valid_pat(subject.get(Field::GuestPat)),
            "the PAT has an entry that is no memory type",
        ),
        (efer & !EFER_KNOWN != 0, "EFER has reserved bits"),
        (
            long != (efer & EFER_LMA != 0),
            "EFER.LMA differs from the entry's long mode",
        ),
        (
            paging && (efer & EFER_LME != 0) != long,
            "EFER.LME differs from EFER.LMA while paging is on",
        ),
    ];
    first(&checks)
}

fn tables_and_flags<A: VmcsAccess>(subject: &Subject<'_, A>) -> Option<&'static str> {
    let (rip, rflags) = (subject.get(Field::Rip), subject.get(Field::Rflags));
    let long = is_long(subject);
    // CS.L.
    let code_64 = long && subject.has(Field::CsRights, 13);
    let protected = subject.get(Field::Cr0) & CR0_PE != 0;
    let checks: [Check; 9] = [
        (
            !canonical(subject.get(Field::GdtrBase)),
            "the base of the GDT is not canonical",
        ),
        (
            !canonical(subject.get(Field::IdtrBase)),
            "the base of the IDT is not canonical",
        ),
        (
            subject.get(Field::GdtrLimit) >> 16 != 0,
            "the limit of the GDT has bits above 15",
        ),
        (
            subject.get(Field::IdtrLimit) >> 16 != 0,
            "the limit of the IDT has bits above 15",
        ),
        (
            !code_64 && rip >> 32 != 0,
            "RIP has bits above 31 outside of 64-bit mode",
        ),
        (code_64 && !canonical(rip), "RIP is not canonical"),
        (rflags & RFLAGS_ZERO != 0, "RFLAGS has reserved bits"),
        (rflags & 2 == 0, "bit 1 of RFLAGS is 0"),
        (
            rflags & RFLAGS_VM != 0 && (long || !protected),
            "RFLAGS.VM is 1 in long mode or in real mode",
        ),
    ];
    first(&checks)
}

/// Activity, interruptibility, what is injected, and what waits.
fn events<A: VmcsAccess>(subject: &Subject<'_, A>) -> Option<&'static str> {
    let rflags = subject.get(Field::Rflags);
    let activity = subject.get(Field::Activity);
    let blocking = subject.get(Field::Interruptibility);
    let pending = subject.get(Field::PendingDebug);
    let injected = subject.get(Field::EntryEvent);
    let valid = injected >> 31 & 1 != 0;
    let kind = injected >> 8 & 7;
    let (interrupt, nmi) = (valid && kind == 0, valid && kind == 2);
    let shadow = blocking & (BY_STI | BY_MOV_SS);
    // BTF is bit 1 of IA32_DEBUGCTL.
    let steps = rflags & RFLAGS_TF != 0 && subject.get(Field::DebugControl) & 2 == 0;
    let stepped = pending & SINGLE_STEP != 0;
    let checks: [Check; 16] = [
        (
            interrupt && rflags & RFLAGS_IF == 0,
            "an interrupt is injected while RFLAGS.IF is 0",
        ),
        (
            activity > LAST_ACTIVITY,
            "the activity state does not exist",
        ),
        (
            activity == HALTED && subject.get(Field::SsRights) >> 5 & 3 != 0,
            "the guest is halted at a privilege level above 0",
        ),
        (
            activity != 0 && shadow != 0,
            "the guest is halted in the shadow of STI or MOV SS",
        ),
        (
            valid && activity > HALTED,
            "an event is injected into a guest that is shut down or waits for its start",
        ),
        (
            activity == HALTED && valid && !matches!(kind, 0 | 2 | 3),
            "an event that no halt ends is injected into a halted guest",
        ),
        (blocking >> 5 != 0, "the interruptibility has reserved bits"),
        (
            shadow == BY_STI | BY_MOV_SS,
            "the shadows of STI and MOV SS are there at the same time",
        ),
        (
            blocking & BY_STI != 0 && rflags & RFLAGS_IF == 0,
            "the shadow of STI is there while RFLAGS.IF is 0",
        ),
        (
            interrupt && shadow != 0,
            "an interrupt is injected in the shadow of STI or MOV SS",
        ),
        (
            nmi && blocking & BY_MOV_SS != 0,
            "an NMI is injected in the shadow of MOV SS",
        ),
        (
            nmi && blocking & BY_NMI != 0,
            "an NMI is injected while NMIs are blocked",
        ),
        (blocking & BY_SMI != 0, "SMIs are blocked outside of SMM"),
        (
            pending & !PENDING_KNOWN != 0,
            "the pending debug exceptions have reserved bits",
        ),
        (
            (shadow != 0 || activity == HALTED) && steps != stepped,
            "the pending single step differs from RFLAGS.TF",
        ),
        (
            subject.get(Field::LinkPointer) != u64::MAX,
            "the VMCS link pointer is set",
        ),
    ];
    first(&checks)
}

fn page_directories<A: VmcsAccess>(subject: &Subject<'_, A>) -> Option<&'static str> {
    let paging = subject.get(Field::Cr0) & CR0_PG != 0 && subject.get(Field::Cr4) & CR4_PAE != 0;
    let bad = |field| {
        let entry = subject.get(field);
        entry & 1 != 0 && entry & PDPTE_RESERVED != 0
    };
    let fields = [Field::Pdpte0, Field::Pdpte1, Field::Pdpte2, Field::Pdpte3];
    (paging && !is_long(subject) && fields.into_iter().any(bad))
        .then_some("a PDPTE of PAE paging has reserved bits")
}
