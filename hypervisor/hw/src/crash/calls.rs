//! The calls that led to a crash, as far as the stack shows them.

use core::fmt;

use crate::layout::{CPU_REGION_BYTES, CPU_REGIONS, MAX_CPUS, Stack};
use crate::space;

/// How far below a stack its pointer may be after an overflow.
const GUARD_BYTES: u64 = 0x1000;
/// Addresses that are shown, and how many of them in a line.
const LIMIT: usize = 15;
const PER_LINE: usize = 3;

/// Words on the stack from `rsp` upwards that may be return addresses.
///
/// There are no frame pointers, so some of them are left over from earlier calls.
pub(super) struct Calls {
    pub rsp: u64,
}

impl Calls {
    /// The part of the stack that is in use: only on a main stack, which is known to be mapped
    /// where code runs on it.
    fn words(&self) -> impl Iterator<Item = u64> {
        let (first, end) = used_part(self.rsp).unwrap_or((0, 0));
        (first..end).step_by(8).map(|address| {
            // SAFETY: `used_part` gives only addresses of the main stack in use, which is mapped.
            unsafe { core::ptr::with_exposed_provenance::<u64>(address as usize).read_volatile() }
        })
    }
}

/// From the first whole word at `rsp` to the top of the main stack that it is on, or just fell off.
fn used_part(rsp: u64) -> Option<(u64, u64)> {
    let offset = rsp.checked_sub(CPU_REGIONS)?;
    if offset / CPU_REGION_BYTES >= MAX_CPUS as u64 {
        return None;
    }
    let within = offset % CPU_REGION_BYTES;
    let bottom = Stack::MAIN.offset;
    let end = bottom + Stack::MAIN.bytes;
    let region = rsp - within;
    let in_use = (bottom - GUARD_BYTES..end).contains(&within);
    in_use.then(|| {
        (
            region + within.max(bottom).next_multiple_of(8),
            region + end,
        )
    })
}

impl fmt::Display for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = space::code();
        let mut calls = self
            .words()
            .filter(|word| code.contains(word))
            .take(LIMIT)
            .enumerate()
            .peekable();
        if calls.peek().is_none() {
            return Ok(());
        }
        for (index, call) in calls {
            if index % PER_LINE == 0 {
                f.write_str(if index == 0 { START } else { CONTINUATION })?;
            }
            write!(f, " {call:016x}")?;
        }
        f.write_str("\n")
    }
}

const START: &str = "bulkhead:  calls, perhaps:";
const CONTINUATION: &str = "\nbulkhead:                 ";

#[cfg(test)]
mod tests {
    use bulkhead_core::id::CpuId;

    use super::*;

    #[test]
    fn only_the_used_part_of_a_main_stack_is_read() {
        let top = Stack::MAIN.top(CpuId(2)).as_u64();
        assert_eq!(used_part(top - 20), Some((top - 16, top)));
        assert_eq!(used_part(top), None);
        let bottom = Stack::MAIN.bottom(CpuId(2)).as_u64();
        assert_eq!(used_part(bottom), Some((bottom, top)));
        assert_eq!(used_part(bottom - 8), Some((bottom, top)));
        assert_eq!(used_part(bottom - 0x1008), None);
        assert_eq!(used_part(0x1000), None);
        assert_eq!(used_part(u64::MAX), None);
    }
}
