//! Says in words why an entry failed (SDM 3C 26.2, 26.3, 30.4).

use super::access::VmcsAccess;
use super::exit_reason as reason;
use super::field::Field;
use super::vmcs::Vmcs;
use crate::probe::vmx::bit;

const CR0_PE: u64 = 1;
const CR0_PG: u64 = 1 << 31;
const CR4_PAE: u64 = 1 << 5;
const EFER_LMA: u64 = 1 << 10;
const UNUSABLE: u64 = 1 << 16;

/// What a VM-instruction error number says; 0 where no VMCS was current.
pub fn explain_refusal(number: u32) -> &'static str {
    match number {
        0 => "no VMCS is current",
        2 | 3 => "VMCLEAR was given a wrong address",
        4 => "VMLAUNCH of a VMCS that was launched already",
        5 => "VMRESUME of a VMCS that was not launched",
        7 => "the entry has invalid control fields",
        8 => "the entry has invalid host-state fields",
        9 | 10 => "VMPTRLD was given a wrong address",
        11 => "the VMCS has another revision",
        12 => "a field is accessed that this CPU does not have",
        13 => "a read-only field is written",
        26 => "the entry is blocked by a shadow of MOV SS",
        _ => "the VMX instruction failed for another reason",
    }
}

/// The first failed check of the guest's state.
pub fn explain_state<A: VmcsAccess>(vmcs: &Vmcs<A>, basic_reason: u16) -> &'static str {
    if basic_reason == reason::MSR_LOADING {
        return "an MSR could not be loaded";
    }
    let get = |field| vmcs.get(field);
    let (cr0, cr4, efer) = (get(Field::Cr0), get(Field::Cr4), get(Field::GuestEfer));
    let long = get(Field::EntryControls) & u64::from(bit::ENTRY_LONG_MODE) != 0;
    let code = get(Field::CsRights);
    let rflags = get(Field::Rflags);
    let injected = get(Field::EntryEvent);
    let interrupt = injected >> 31 & 1 != 0 && injected >> 8 & 7 == 0;
    let rip = get(Field::Rip);
    let checks = [
        (
            cr0 & CR0_PG != 0 && cr0 & CR0_PE == 0,
            "CR0.PG is 1 and CR0.PE is 0",
        ),
        (cr0 & 1 << 5 == 0, "CR0.NE is 0"),
        (cr4 & 1 << 13 == 0, "CR4.VMXE is 0"),
        (
            long && (cr0 & CR0_PG == 0 || cr4 & CR4_PAE == 0),
            "long mode without CR0.PG or CR4.PAE",
        ),
        (
            long != (efer & EFER_LMA != 0),
            "EFER.LMA differs from the entry's long mode",
        ),
        (
            !long && cr4 & 1 << 17 != 0,
            "CR4.PCIDE outside of long mode",
        ),
        (
            cr0 & CR0_PG != 0 && (efer >> 8 & 1 != 0) != long,
            "EFER.LME differs from long mode while paging",
        ),
        (
            long && code & 1 << 13 != 0 && code & 1 << 14 != 0,
            "CS.L and CS.D are both 1 in long mode",
        ),
        (
            code & UNUSABLE != 0 || code & 1 << 7 == 0 || code & 1 << 4 == 0,
            "CS is not a present segment of code",
        ),
        (
            !granular(get(Field::CsLimit), code),
            "the limit of CS and its G bit do not go together",
        ),
        (
            get(Field::SsRights) & UNUSABLE == 0
                && !granular(get(Field::SsLimit), get(Field::SsRights)),
            "the limit of SS and its G bit do not go together",
        ),
        (
            !matches!(get(Field::TrRights) & 0x100ff, 0x8b | 0x83),
            "TR is not a busy task-state segment",
        ),
        (rflags & 2 == 0, "bit 1 of RFLAGS is 0"),
        (
            interrupt && rflags & 1 << 9 == 0,
            "an interrupt is injected while RFLAGS.IF is 0",
        ),
        (
            interrupt && get(Field::Interruptibility) & 0b11 != 0,
            "an interrupt is injected in the shadow of STI or MOV SS",
        ),
        (
            get(Field::Interruptibility) & 0b11 == 0b11,
            "the shadows of STI and MOV SS at the same time",
        ),
        (
            (!long || code & 1 << 13 == 0) && rip >> 32 != 0,
            "RIP has bits above 31 outside of 64-bit mode",
        ),
        (
            get(Field::LinkPointer) != u64::MAX,
            "the VMCS link pointer is set",
        ),
    ];
    checks
        .iter()
        .find(|(failed, _)| *failed)
        .map_or("no failed check was found in the state", |(_, text)| text)
}

/// What is to be said of other exits that end a partition.
pub fn explain_exit(basic_reason: u16) -> &'static str {
    match basic_reason {
        reason::TASK_SWITCH => "a hardware task switch, which guests on Intel CPUs do not have",
        49 => "an entry of the nested tables is not valid",
        _ => "",
    }
}

/// Whether a limit can be written with this G bit (SDM 3C 26.3.1.2).
const fn granular(limit: u64, rights: u64) -> bool {
    let pages = rights & 1 << 15 != 0;
    (limit & 0xfff == 0xfff || !pages) && (limit >> 20 == 0 || pages)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vmx::vmcs::fake::Fake;

    /// 64-bit code at rest.
    fn good() -> Vmcs<Fake> {
        let mut vmcs = Vmcs::new(Fake::default());
        for (field, value) in [
            (Field::Cr0, 0x8001_0033),
            (Field::Cr4, 0x2020),
            (Field::GuestEfer, 0xd00),
            (Field::EntryControls, 0x200),
            (Field::CsRights, 0xa09b),
            (Field::CsLimit, 0xffff_ffff),
            (Field::SsRights, 0xc093),
            (Field::SsLimit, 0xffff_ffff),
            (Field::TrRights, 0x8b),
            (Field::Rflags, 2),
            (Field::LinkPointer, u64::MAX),
        ] {
            vmcs.set(field, value);
        }
        vmcs
    }

    #[test]
    fn names_the_failed_check() {
        let none = "no failed check was found in the state";
        assert_eq!(explain_state(&good(), reason::INVALID_STATE), none);
        for (field, value, text) in [
            (Field::Cr4, 0x20, "CR4.VMXE is 0"),
            (
                Field::GuestEfer,
                0x900,
                "EFER.LMA differs from the entry's long mode",
            ),
            (
                Field::EntryEvent,
                0x8000_0031,
                "an interrupt is injected while RFLAGS.IF is 0",
            ),
            (Field::TrRights, 0x89, "TR is not a busy task-state segment"),
            (
                Field::CsLimit,
                0x1f_fffe,
                "the limit of CS and its G bit do not go together",
            ),
        ] {
            let mut bad = good();
            bad.set(field, value);
            assert_eq!(explain_state(&bad, reason::INVALID_STATE), text);
        }
    }

    #[test]
    fn refusals_have_words() {
        assert!(explain_refusal(7).contains("control fields"));
        assert!(explain_refusal(8).contains("host-state"));
        assert_eq!(explain_exit(reason::CPUID), "");
    }
}
