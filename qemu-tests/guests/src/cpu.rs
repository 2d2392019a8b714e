//! Instructions. A micro-guest may do anything to itself, so the wrappers are safe to call.

use core::arch::asm;

/// OUT, 8 bits.
#[inline(always)]
pub fn out8(port: u16, value: u8) {
    // SAFETY: a port access touches no memory of this program.
    unsafe { asm!("out dx, al", in("dx") port, in("al") value, options(nostack, preserves_flags)) };
}

/// OUT, 32 bits.
#[inline(always)]
pub fn out32(port: u16, value: u32) {
    // SAFETY: a port access touches no memory of this program.
    unsafe {
        asm!("out dx, eax", in("dx") port, in("eax") value, options(nostack, preserves_flags))
    };
}

/// IN, 8 bits.
#[inline(always)]
pub fn in8(port: u16) -> u8 {
    let value;
    // SAFETY: a port access touches no memory of this program.
    unsafe { asm!("in al, dx", in("dx") port, out("al") value, options(nostack, preserves_flags)) };
    value
}

/// IN, 32 bits.
#[inline(always)]
pub fn in32(port: u16) -> u32 {
    let value;
    // SAFETY: a port access touches no memory of this program.
    unsafe {
        asm!("in eax, dx", in("dx") port, out("eax") value, options(nostack, preserves_flags))
    };
    value
}

/// RDMSR.
#[inline(always)]
pub fn rdmsr(msr: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: a read changes nothing; a missing MSR raises #GP, which the guest asked for.
    unsafe {
        asm!("rdmsr", in("ecx") msr, out("eax") low, out("edx") high, options(nostack, preserves_flags))
    };
    u64::from(high) << 32 | u64::from(low)
}

/// WRMSR.
#[inline(always)]
pub fn wrmsr(msr: u32, value: u64) {
    // SAFETY: the guest's own choice.
    unsafe {
        asm!("wrmsr", in("ecx") msr, in("eax") value as u32, in("edx") (value >> 32) as u32,
             options(nostack, preserves_flags));
    }
}

/// RDTSC.
#[inline(always)]
pub fn rdtsc() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: changes nothing but the registers.
    unsafe {
        asm!("rdtsc", out("eax") low, out("edx") high, options(nostack, nomem, preserves_flags))
    };
    u64::from(high) << 32 | u64::from(low)
}

/// CPUID.
#[inline(always)]
pub fn cpuid(leaf: u32, subleaf: u32) -> [u32; 4] {
    let result = core::arch::x86_64::__cpuid_count(leaf, subleaf);
    [result.eax, result.ebx, result.ecx, result.edx]
}

/// STI.
#[inline(always)]
pub fn sti() {
    // SAFETY: the guest loaded its IDT before.
    unsafe { asm!("sti", options(nostack)) };
}

/// CLI.
#[inline(always)]
pub fn cli() {
    // SAFETY: always sound.
    unsafe { asm!("cli", options(nostack)) };
}

/// STI and HLT, so that no interrupt is lost between them.
#[inline(always)]
pub fn sti_hlt() {
    // SAFETY: the guest loaded its IDT before.
    unsafe { asm!("sti", "hlt", options(nostack)) };
}
