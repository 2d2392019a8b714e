//! The cause of an exception in words.

use core::fmt;

use crate::layout::{CPU_REGION_BYTES, CPU_REGIONS, MAX_CPUS, Stack};

/// What is known about an exception.
pub(super) struct Cause {
    pub vector: u8,
    pub error_code: u64,
    pub fault_address: u64,
    pub rsp: u64,
}

/// Names of the exceptions (APM 2 8.2).
#[rustfmt::skip]
const NAMES: [&str; 32] = [
    "divide error (#DE)", "debug exception (#DB)", "NMI", "breakpoint (#BP)",
    "overflow (#OF)", "bound range exceeded (#BR)", "invalid opcode (#UD)", "device not available (#NM)",
    "double fault (#DF)", "coprocessor overrun", "invalid TSS (#TS)", "segment not present (#NP)",
    "stack fault (#SS)", "general protection (#GP)", "page fault (#PF)", "reserved exception 15",
    "x87 error (#MF)", "alignment check (#AC)", "machine check (#MC)", "SIMD error (#XF)",
    "reserved exception 20", "control protection (#CP)", "reserved exception 22", "reserved exception 23",
    "reserved exception 24", "reserved exception 25", "reserved exception 26", "reserved exception 27",
    "hypervisor injection (#HV)", "VMM communication (#VC)", "security exception (#SX)", "reserved exception 31",
];

/// The stack whose guard page holds `address`.
fn guarded_stack(address: u64) -> Option<&'static str> {
    let offset = address.checked_sub(CPU_REGIONS)?;
    if offset / CPU_REGION_BYTES >= MAX_CPUS as u64 {
        return None;
    }
    let offset = offset % CPU_REGION_BYTES;
    Stack::ALL
        .iter()
        .find(|stack| (stack.offset.saturating_sub(0x1000)..stack.offset).contains(&offset))
        .map(|stack| stack.name)
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.get(usize::from(self.vector));
        f.write_str(name.copied().unwrap_or("unknown exception"))?;
        match self.vector {
            14 => {
                let bit = |number: u32| self.error_code >> number & 1 == 1;
                let access = match (bit(4), bit(1)) {
                    (true, _) => "instruction fetch from",
                    (false, true) => "write to",
                    (false, false) => "read from",
                };
                let reason = match (bit(3), bit(0)) {
                    (true, _) => "a page whose table entry is malformed",
                    (false, true) => "a page that forbids it",
                    (false, false) => "an unmapped page",
                };
                write!(f, ": {access} {:#x}, {reason}", self.fault_address)?;
                if let Some(stack) = guarded_stack(self.fault_address) {
                    write!(f, ": overflow of the {stack} stack")?;
                }
            }
            8 => {
                // A push below a stack cannot be delivered as #PF on that same stack.
                let near = guarded_stack(self.fault_address)
                    .or_else(|| guarded_stack(self.rsp.wrapping_sub(8)));
                if let Some(stack) = near {
                    write!(f, ": overflow of the {stack} stack")?;
                }
            }
            10..=13 if self.error_code != 0 => {
                write!(f, ": selector or vector index {:#x}", self.error_code)?;
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bulkhead_core::id::CpuId;

    use super::*;

    fn text(vector: u8, error_code: u64, fault_address: u64, rsp: u64) -> String {
        Cause {
            vector,
            error_code,
            fault_address,
            rsp,
        }
        .to_string()
    }

    #[test]
    fn page_faults_are_told_in_words() {
        assert_eq!(
            text(14, 2, 0x10, 0),
            "page fault (#PF): write to 0x10, an unmapped page"
        );
        assert_eq!(
            text(14, 0x11, 0x2000, 0),
            "page fault (#PF): instruction fetch from 0x2000, a page that forbids it"
        );
    }

    #[test]
    fn an_overflowed_stack_is_named() {
        let bottom = Stack::MAIN.bottom(CpuId(3)).as_u64();
        assert_eq!(
            text(8, 0, bottom - 8, bottom),
            "double fault (#DF): overflow of the main stack"
        );
        assert_eq!(text(8, 0, 0, bottom + 64), "double fault (#DF)");
    }

    #[test]
    fn selectors_are_shown_where_there_is_one() {
        assert_eq!(text(13, 0, 0, 0), "general protection (#GP)");
        assert_eq!(
            text(13, 0x28, 0, 0),
            "general protection (#GP): selector or vector index 0x28"
        );
    }
}
