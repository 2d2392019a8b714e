//! Hypercalls.

use core::arch::asm;

use crate::abi::hypercall::Number;

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
        asm!("vmmcall", inout("rax") number => status, in("rdi") rdi, in("rsi") rsi,
             inout("rdx") rdx => value, in("r10") r10, options(nostack));
    }
    (status, value)
}
