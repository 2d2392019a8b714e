//! Says in words why an entry failed (SDM 3C 26.2, 26.3, 30.4), for the crash record.
//!
//! The CPU tells only of which kind the failed check was. Here the checks are made again over the fields as they are, and the
//! first that fails is named.

mod controls;
mod guest;
mod host;
mod segments;

use super::access::VmcsAccess;
use super::exit_reason as reason;
use super::field::Field;
use super::vmcs::Vmcs;
use crate::probe::VmxProbe;

/// Whether a check fails, and what is said then.
type Check = (bool, &'static str);

/// What is said where all checks pass.
const NOTHING_FOUND: &str = "the CPU found a failed check that is not known here";

/// A VMCS to be checked, for a CPU with these rules.
struct Subject<'a, A> {
    vmcs: &'a Vmcs<A>,
    probe: &'a VmxProbe,
}

impl<A: VmcsAccess> Subject<'_, A> {
    fn get(&self, field: Field) -> u64 {
        self.vmcs.get(field)
    }

    /// Whether a bit of a field is 1.
    fn has(&self, field: Field, bit: u32) -> bool {
        self.get(field) >> bit & 1 != 0
    }
}

/// The words of the first check that fails.
fn first(checks: &[Check]) -> Option<&'static str> {
    checks
        .iter()
        .find(|(failed, _)| *failed)
        .map(|(_, text)| *text)
}

/// Whether an address has all of its bits from 47 on alike.
const fn canonical(address: u64) -> bool {
    let sign = (address as i64) >> 47;
    sign == 0 || sign == -1
}

/// Whether all eight entries of a PAT name a memory type.
fn valid_pat(pat: u64) -> bool {
    pat.to_le_bytes()
        .iter()
        .all(|entry| matches!(entry, 0 | 1 | 4..=7))
}

/// VMLAUNCH or VMRESUME failed with this error number; 0 where no VMCS was current.
pub fn explain_refusal<A: VmcsAccess>(
    vmcs: &Vmcs<A>,
    probe: &VmxProbe,
    number: u32,
) -> &'static str {
    let subject = Subject { vmcs, probe };
    match number {
        0 => "no VMCS is current",
        4 => "VMLAUNCH of a VMCS that was launched already",
        5 => "VMRESUME of a VMCS that was not launched",
        6 => "VMRESUME after VMXOFF and VMXON without VMCLEAR",
        7 => controls::failed(&subject)
            .unwrap_or("the entry's control fields are refused by a check that is not known here"),
        8 => host::failed(&subject)
            .unwrap_or("the host's state is refused by a check that is not known here"),
        11 => "the VMCS has another revision than the CPU",
        12 => "a field is accessed that this CPU does not have",
        13 => "a read-only field is written",
        25 => "the entry's control fields do not fit to the executive VMCS",
        26 => "the entry is blocked by a shadow of MOV SS",
        _ => "the VMX instruction failed for another reason",
    }
}

/// The entry ended with this basic reason and bit 31: the first failed check of the guest's state.
pub fn explain_state<A: VmcsAccess>(
    vmcs: &Vmcs<A>,
    probe: &VmxProbe,
    basic_reason: u16,
) -> &'static str {
    match basic_reason {
        reason::MSR_LOADING => "the entry's list of MSRs could not be loaded",
        reason::MACHINE_CHECK => "a machine check came during the entry",
        _ => {
            let subject = Subject { vmcs, probe };
            guest::failed(&subject)
                .or_else(|| segments::failed(&subject))
                .unwrap_or(NOTHING_FOUND)
        }
    }
}

/// What is to be said of other exits that end a partition.
pub fn explain_exit<A: VmcsAccess>(vmcs: &Vmcs<A>, basic_reason: u16) -> &'static str {
    match basic_reason {
        // Bits 31:30 of the qualification (SDM 3C table 27-2).
        reason::TASK_SWITCH => match vmcs.get(Field::Qualification) >> 30 & 3 {
            0 => "a task switch by CALL: guests on Intel CPUs have no hardware task switches",
            1 => "a task switch by IRET: guests on Intel CPUs have no hardware task switches",
            2 => "a task switch by JMP: guests on Intel CPUs have no hardware task switches",
            _ => {
                "a task switch by a task gate in the IDT: guests on Intel CPUs have no hardware task switches"
            }
        },
        reason::NESTED_MISCONFIGURED => "an entry of the nested tables is not valid",
        _ => "",
    }
}
