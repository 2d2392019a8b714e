//! The hypercall instruction.

use core::arch::asm;
use core::arch::x86_64::__cpuid;

use mgmt_hypercall::Trap;

/// Which instruction enters the hypervisor.
#[derive(Clone, Copy)]
pub enum Entry {
    /// VMMCALL.
    Amd,
    /// VMCALL.
    Intel,
}

impl Entry {
    /// The one that this CPU has.
    pub fn detect() -> Self {
        let leaf = __cpuid(0);
        let words = [leaf.ebx, leaf.edx, leaf.ecx].map(u32::to_le_bytes);
        match words.as_flattened() {
            b"AuthenticAMD" | b"HygonGenuine" => Entry::Amd,
            _ => Entry::Intel,
        }
    }
}

impl Trap for Entry {
    fn trap(&self, number: u64, [rdi, rsi, rdx, r10, r8]: [u64; 5]) -> (u64, u64) {
        let (mut rax, mut rdx) = (number, rdx);
        // SAFETY: the contract says which registers a hypercall changes; what pages it writes to, the callers know.
        unsafe {
            match self {
                Entry::Amd => asm!(
                    "vmmcall",
                    inout("rax") rax, inout("rdx") rdx, in("rdi") rdi, in("rsi") rsi, in("r10") r10, in("r8") r8,
                    options(nostack)
                ),
                Entry::Intel => asm!(
                    "vmcall",
                    inout("rax") rax, inout("rdx") rdx, in("rdi") rdi, in("rsi") rsi, in("r10") r10, in("r8") r8,
                    options(nostack)
                ),
            }
        }
        (rax, rdx)
    }
}

/// Whether the Bulkhead hypervisor says so in CPUID.
pub fn is_present() -> bool {
    const HYPERVISOR: u32 = 1 << 31;
    if __cpuid(1).ecx & HYPERVISOR == 0 {
        return false;
    }
    let leaf = __cpuid(0x4000_0000);
    let words = [leaf.ebx, leaf.ecx, leaf.edx].map(u32::to_le_bytes);
    words.as_flattened().starts_with(b"BulkheadHV")
}
