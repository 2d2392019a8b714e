//! Where the guest's intercepted instructions are known to have no prefix, so that their length need not be read.
//!
//! Called by the vCPU's `next_rip`: a VMREAD less for the exits that come again and again from the same place.
//!
//! Only lengths without prefix are remembered, by RIP and exit reason and not by the address space, whose CR3 would cost the
//! VMREAD that is saved. What can go wrong: a prefixed instruction at an RIP where another address space, or the same one
//! before, had it without. Its guest would go on within that instruction; nobody else notices. Compilers make no such
//! instructions, and a guest that shows a single one of them in time has all its lengths read from then on.

use core::cell::Cell;

use super::exit_reason as reason;

/// Rows of the memory; a power of two.
const ROWS: usize = 32;

/// An instruction without prefix.
#[derive(Clone, Copy)]
struct Row {
    rip: u64,
    /// The exit reason; [`NOTHING`] where the row is free.
    reason: u32,
    length: u32,
}

/// No exit reason.
const NOTHING: u32 = u32::MAX;
const FREE: Row = Row {
    rip: 0,
    reason: NOTHING,
    length: 0,
};

/// What one vCPU's exits have shown since its reset.
pub struct PlainLengths {
    rows: [Cell<Row>; ROWS],
    /// Whether the guest has shown an instruction with prefix.
    prefixed: Cell<bool>,
}

impl PlainLengths {
    /// Nothing is known.
    pub const fn new() -> Self {
        Self {
            rows: [const { Cell::new(FREE) }; ROWS],
            prefixed: Cell::new(false),
        }
    }

    fn row(&self, rip: u64) -> Option<&Cell<Row>> {
        self.rows.get((rip ^ rip >> 5) as usize % ROWS)
    }

    /// The length of the instruction that exited for `reason`, where it is known.
    #[inline(always)]
    pub fn length(&self, reason: u32, rip: u64) -> Option<u64> {
        let row = self.row(rip)?.get();
        (row.rip == rip && row.reason == reason).then_some(u64::from(row.length))
    }

    /// Notes a length that the CPU told.
    #[cold]
    #[inline(never)]
    pub fn learn(&self, reason: u32, rip: u64, length: u64) {
        let Some(plain) = without_prefix(reason) else {
            return;
        };
        if length != u64::from(plain) {
            self.prefixed.set(true);
            for row in &self.rows {
                row.set(FREE);
            }
        }
        if !self.prefixed.get()
            && let Some(row) = self.row(rip)
        {
            row.set(Row {
                rip,
                reason,
                length: plain,
            });
        }
    }
}

/// Bytes of an instruction that has only one form but for prefixes.
const fn without_prefix(number: u32) -> Option<u32> {
    match number as u16 {
        reason::HLT => Some(1),
        reason::CPUID | reason::RDMSR | reason::WRMSR => Some(2),
        reason::VMCALL => Some(3),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CPUID: u32 = reason::CPUID as u32;
    const RDMSR: u32 = reason::RDMSR as u32;
    const PORT: u32 = reason::PORT as u32;

    #[test]
    fn a_plain_instruction_is_remembered_by_place_and_reason() {
        let lengths = PlainLengths::new();
        assert_eq!(lengths.length(CPUID, 0), None);
        lengths.learn(CPUID, 0x1000, 2);
        assert_eq!(lengths.length(CPUID, 0x1000), Some(2));
        assert_eq!(lengths.length(RDMSR, 0x1000), None);
        assert_eq!(lengths.length(CPUID, 0x1000 + (ROWS as u64) * 32), None);
        lengths.learn(RDMSR, 0x1000, 2);
        assert_eq!(lengths.length(CPUID, 0x1000), None);
    }

    #[test]
    fn instructions_of_several_forms_are_not_remembered() {
        let lengths = PlainLengths::new();
        lengths.learn(PORT, 0x1000, 2);
        assert_eq!(lengths.length(PORT, 0x1000), None);
        lengths.learn(CPUID, 0x1000, 2);
        lengths.learn(PORT, 0x2000, 1);
        assert_eq!(lengths.length(CPUID, 0x1000), Some(2));
    }

    #[test]
    fn after_one_prefixed_instruction_all_lengths_are_read() {
        let lengths = PlainLengths::new();
        lengths.learn(CPUID, 0x1000, 2);
        lengths.learn(RDMSR, 0x2000, 3);
        assert_eq!(lengths.length(CPUID, 0x1000), None);
        lengths.learn(CPUID, 0x1000, 2);
        assert_eq!(lengths.length(CPUID, 0x1000), None);
    }
}
