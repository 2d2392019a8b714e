//! Hypercalls.

use core::arch::asm;
use core::sync::atomic::{AtomicU8, Ordering};

use crate::abi::hypercall::Number;
use crate::cpu::cpuid;

/// Makes a hypercall with the arguments RDI, RSI, RDX, R10; gives RAX and RDX.
#[inline(always)]
pub fn call(number: Number, arguments: [u64; 4]) -> (u64, u64) {
    raw(number as u64, arguments)
}

/// The same with any number.
#[inline(always)]
pub fn raw(number: u64, [rdi, rsi, rdx, r10]: [u64; 4]) -> (u64, u64) {
    let (status, value);
    // SAFETY: the hypervisor changes RAX, RDX and the memory that the caller named.
    unsafe {
        if is_intel() {
            asm!("vmcall", inout("rax") number => status, in("rdi") rdi, in("rsi") rsi,
                 inout("rdx") rdx => value, in("r10") r10, options(nostack));
        } else {
            asm!("vmmcall", inout("rax") number => status, in("rdi") rdi, in("rsi") rsi,
                 inout("rdx") rdx => value, in("r10") r10, options(nostack));
        }
    }
    (status, value)
}

/// Whether the CPU's hypercall instruction is VMCALL: CPUID is asked once.
#[inline(always)]
pub fn is_intel() -> bool {
    match VENDOR.load(Ordering::Relaxed) {
        INTEL => true,
        AMD => false,
        _ => detect(),
    }
}

static VENDOR: AtomicU8 = AtomicU8::new(0);
const AMD: u8 = 1;
const INTEL: u8 = 2;

#[cold]
#[inline(never)]
fn detect() -> bool {
    // "GenuineIntel" begins with "Genu".
    let intel = cpuid(0, 0)[1] == u32::from_le_bytes(*b"Genu");
    VENDOR.store(if intel { INTEL } else { AMD }, Ordering::Relaxed);
    intel
}
