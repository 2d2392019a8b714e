//! The crash record: why the hypervisor stopped a partition.

use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

/// What is kept of the first vCPU that failed; all zero where the partition has not crashed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct CrashRecord {
    /// The cause: 0 none; the numbers are those of the hypervisor's `StopCause`.
    pub cause: u32,
    /// The vCPU.
    pub vcpu: u32,
    /// The hardware's exit code, for experts.
    pub exit_code: u64,
    /// The guest-physical address involved, or all ones.
    pub gpa: u64,
    /// RIP.
    pub rip: u64,
    /// RSP.
    pub rsp: u64,
    /// RFLAGS.
    pub rflags: u64,
    /// CR0, CR2, CR3, CR4, EFER.
    pub control: [u64; 5],
    /// RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8 to R15.
    pub registers: [u64; 16],
    /// CS selector and, in the high half, its attributes as the VMCB has them.
    pub cs: u32,
    /// How many of `code` are valid.
    pub code_bytes: u32,
    /// Instruction bytes at RIP.
    pub code: [u8; 16],
    /// Host TSC at the crash.
    pub tsc: u64,
    /// What else is known, such as the check of the entry that failed: UTF-8, zero-padded.
    pub explanation: [u8; EXPLANATION_BYTES],
}

/// Bytes of [`CrashRecord::explanation`].
pub const EXPLANATION_BYTES: usize = 128;

impl Default for CrashRecord {
    fn default() -> Self {
        FromZeros::new_zeroed()
    }
}
