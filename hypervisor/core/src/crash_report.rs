//! The crash record in words.

use core::fmt;

use bulkhead_abi::crash::CrashRecord;

use crate::fault::StopCause;

/// Displays a crash record as lines of text.
pub struct CrashReport<'a> {
    /// The partition's name.
    pub name: &'a str,
    /// The record.
    pub record: &'a CrashRecord,
}

/// RAX to R15 in the order of the record.
const NAMES: [&str; 16] = [
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8 ", "r9 ", "r10", "r11", "r12",
    "r13", "r14", "r15",
];

impl fmt::Display for CrashReport<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let record = self.record;
        let cause = StopCause::ALL
            .into_iter()
            .find(|cause| *cause as u32 == record.cause);
        write!(
            f,
            "partition {} crashed on vCPU {}: ",
            self.name, record.vcpu
        )?;
        match cause {
            Some(cause) => write!(f, "{cause}")?,
            None => write!(f, "cause {}", record.cause)?,
        }
        if record.gpa != u64::MAX {
            write!(f, " at {:#x}", record.gpa)?;
        }
        write!(f, " (exit code {:#x})", record.exit_code)?;
        let length = record.explanation.iter().position(|&byte| byte == 0);
        let explanation = record
            .explanation
            .get(..length.unwrap_or(record.explanation.len()));
        if let Ok(text) = core::str::from_utf8(explanation.unwrap_or_default())
            && !text.is_empty()
        {
            write!(f, ": {text}")?;
        }
        let [cr0, cr2, cr3, cr4, efer] = record.control;
        write!(
            f,
            "\n  rip {:016x} rsp {:016x} rflags {:08x} cs {:04x}",
            record.rip, record.rsp, record.rflags, record.cs
        )?;
        write!(
            f,
            "\n  cr0 {cr0:08x} cr2 {cr2:016x} cr3 {cr3:016x} cr4 {cr4:08x} efer {efer:x}"
        )?;
        for (index, (name, value)) in NAMES.iter().zip(record.registers).enumerate() {
            let separator = if index % 4 == 0 { "\n  " } else { " " };
            write!(f, "{separator}{name} {value:016x}")?;
        }
        f.write_str("\n  code")?;
        for byte in record.code.iter().take(record.code_bytes as usize) {
            write!(f, " {byte:02x}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_cause_the_place_and_the_code() {
        let record = CrashRecord {
            cause: StopCause::NothingMapped as u32,
            vcpu: 1,
            exit_code: 0x400,
            gpa: 0xdead_0000,
            rip: 0x10_0020,
            code_bytes: 2,
            code: [0x0f, 0xa2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            ..CrashRecord::default()
        };
        let text = CrashReport {
            name: "probe",
            record: &record,
        }
        .to_string();
        assert!(text.starts_with(
            "partition probe crashed on vCPU 1: access to guest-physical memory where nothing is \
             at 0xdead0000 (exit code 0x400)\n"
        ), "{text}");
        assert!(text.contains("rip 0000000000100020"), "{text}");
        assert!(text.ends_with("code 0f a2"), "{text}");
    }

    #[test]
    fn says_what_the_backend_knows_of_the_cause() {
        let mut record = CrashRecord {
            cause: StopCause::InvalidState as u32,
            gpa: u64::MAX,
            ..CrashRecord::default()
        };
        record.explanation[..13].copy_from_slice(b"CR4.VMXE is 0");
        let text = CrashReport {
            name: "probe",
            record: &record,
        }
        .to_string();
        assert!(
            text.contains("state (exit code 0x0): CR4.VMXE is 0\n"),
            "{text}"
        );
    }
}
