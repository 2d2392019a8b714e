//! Words for what the hypervisor says in numbers.

use alloc::string::String;
use core::fmt;

use bulkhead_abi::crash::CrashRecord;
use bulkhead_abi::host::PartitionState;

/// A zero-padded text field; what is not UTF-8 is replaced.
pub fn field_text(field: &[u8]) -> String {
    let length = field.iter().position(|&byte| byte == 0);
    let bytes = field.get(..length.unwrap_or(field.len()));
    String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
}

/// The state of a `PartitionInfo`.
pub fn state_name(state: u32) -> &'static str {
    const RUNNING: u32 = PartitionState::Running as u32;
    const STOPPED: u32 = PartitionState::Stopped as u32;
    const CRASHED: u32 = PartitionState::Crashed as u32;
    const PAUSED: u32 = PartitionState::Paused as u32;
    const RESET: u32 = PartitionState::Reset as u32;
    match state {
        RUNNING => "running",
        STOPPED => "stopped",
        CRASHED => "crashed",
        PAUSED => "paused",
        RESET => "reset",
        _ => "in a state that this image does not know",
    }
}

/// The cause in a crash record: the numbers are those of the hypervisor's `StopCause`.
fn cause_name(cause: u32) -> &'static str {
    match cause {
        1 => "triple fault",
        2 => "access to guest-physical memory where nothing is",
        3 => "write to read-only memory",
        4 => "an instruction that the emulator does not know",
        5 => "the CPU refused its state",
        6 => "halted with nothing that could wake it",
        7 => "it reported its own failure",
        8 => "an exit that the hypervisor does not know",
        9 => "memory needed for the operation is not accessible",
        10 => "no memory left for the operation",
        11 => "the machine reported an uncorrected error",
        _ => "a cause that this image does not know",
    }
}

/// A crash record in one line.
pub struct CrashText<'a>(pub &'a CrashRecord);

impl fmt::Display for CrashText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let record = self.0;
        write!(
            f,
            "{} on vCPU {} at rip {:#x}, rsp {:#x}, rflags {:#x}, exit {:#x}",
            cause_name(record.cause),
            record.vcpu,
            record.rip,
            record.rsp,
            record.rflags,
            record.exit_code
        )?;
        if record.gpa != u64::MAX {
            write!(f, ", address {:#x}", record.gpa)?;
        }
        let explanation = field_text(&record.explanation);
        if !explanation.is_empty() {
            write!(f, ": {explanation}")?;
        }
        let count = usize::try_from(record.code_bytes).unwrap_or(0);
        let code = record.code.get(..count).unwrap_or(&record.code);
        if !code.is_empty() {
            f.write_str(", code")?;
        }
        code.iter().try_for_each(|byte| write!(f, " {byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_is_told_in_one_line() {
        let mut record = CrashRecord {
            cause: 2,
            vcpu: 1,
            rip: 0x1000,
            gpa: 0xfe00_0000,
            code_bytes: 2,
            ..CrashRecord::default()
        };
        record.code[..2].copy_from_slice(&[0x0f, 0x0b]);
        let text = std::format!("{}", CrashText(&record));
        assert!(text.starts_with(
            "access to guest-physical memory where nothing is on vCPU 1 at rip 0x1000"
        ));
        assert!(text.ends_with("address 0xfe000000, code 0f 0b"), "{text}");
        record.explanation[..4].copy_from_slice(b"so 1");
        let text = std::format!("{}", CrashText(&record));
        assert!(text.contains("0xfe000000: so 1, code"), "{text}");
        record.gpa = u64::MAX;
        record.code_bytes = 99;
        let text = std::format!("{}", CrashText(&record));
        assert!(!text.contains("address 0x"));
    }

    #[test]
    fn padded_names_are_cut() {
        assert_eq!(field_text(b"linux\0\0\0"), "linux");
        assert_eq!(field_text(b"full"), "full");
        assert_eq!(state_name(PartitionState::Crashed as u32), "crashed");
    }
}
