//! Control registers, flags and the instructions that act on the whole CPU.

use core::arch::asm;

use bulkhead_core::addr::{Hpa, Hva};
use bulkhead_core::time::Instant;

/// CR0.
pub fn cr0() -> u64 {
    let value;
    // SAFETY: reading has no effect.
    unsafe { asm!("mov {}, cr0", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// CR2: the address of the last page fault.
pub fn cr2() -> u64 {
    let value;
    // SAFETY: reading has no effect.
    unsafe { asm!("mov {}, cr2", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// CR3: the root of the page tables.
pub fn cr3() -> Hpa {
    let value: u64;
    // SAFETY: reading has no effect.
    unsafe { asm!("mov {}, cr3", out(reg) value, options(nomem, nostack, preserves_flags)) };
    Hpa::new(value & 0x000f_ffff_ffff_f000)
}

/// CR4.
pub fn cr4() -> u64 {
    let value;
    // SAFETY: reading has no effect.
    unsafe { asm!("mov {}, cr4", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// Sets CR0.
///
/// # Safety
/// Paging and protection must stay on, and whatever the code relies on must stay as it is.
pub unsafe fn set_cr0(value: u64) {
    // SAFETY: the caller vouches for the value.
    unsafe { asm!("mov cr0, {}", in(reg) value, options(nostack, preserves_flags)) };
}

/// Loads new page tables and drops all non-global translations.
///
/// # Safety
/// The tables at `root` must map the running code, its stack and all data in use at the same
/// addresses.
pub unsafe fn set_cr3(root: Hpa) {
    // SAFETY: the caller vouches for the tables.
    unsafe { asm!("mov cr3, {}", in(reg) root.as_u64(), options(nostack, preserves_flags)) };
}

/// Sets CR4.
///
/// # Safety
/// The bits must be ones that the CPU has, and whatever the code relies on must stay as it is.
pub unsafe fn set_cr4(value: u64) {
    // SAFETY: the caller vouches for the value.
    unsafe { asm!("mov cr4, {}", in(reg) value, options(nostack, preserves_flags)) };
}

/// RFLAGS.
pub fn rflags() -> u64 {
    let value;
    // SAFETY: pushes and pops one word of the stack.
    unsafe { asm!("pushfq", "pop {}", out(reg) value, options(preserves_flags)) };
    value
}

/// The stack pointer, near enough: that of the caller or of this function.
pub fn stack_pointer() -> u64 {
    let value;
    // SAFETY: copies a register.
    unsafe { asm!("mov {}, rsp", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// Drops the translation of one page on this CPU.
#[inline]
pub fn flush_page(page: Hva) {
    // SAFETY: dropping a cached translation never changes what memory holds.
    unsafe { asm!("invlpg [{}]", in(reg) page.as_u64(), options(nostack, preserves_flags)) };
}

/// The time-stamp counter.
#[inline]
pub fn tsc() -> Instant {
    let (low, high): (u32, u32);
    // SAFETY: RDTSC changes nothing but EAX and EDX.
    unsafe {
        asm!("rdtsc", out("eax") low, out("edx") high, options(nomem, nostack, preserves_flags));
    }
    Instant(u64::from(high) << 32 | u64::from(low))
}

/// Allows interrupts.
///
/// # Safety
/// The IDT must be loaded, and the running code must hold no lock that an interrupt handler takes.
#[inline]
pub unsafe fn enable_interrupts() {
    // SAFETY: the caller vouches for the handlers.
    unsafe { asm!("sti", options(nostack)) };
}

/// Holds interrupts back.
#[inline]
pub fn disable_interrupts() {
    // SAFETY: holding interrupts back is always sound.
    unsafe { asm!("cli", options(nostack)) };
}

/// Sleeps until the next interrupt, with interrupts on only while asleep.
///
/// # Safety
/// As [`enable_interrupts`].
#[inline]
pub unsafe fn wait_for_interrupt() {
    // SAFETY: STI holds interrupts back for one instruction, so none is lost before HLT.
    unsafe { asm!("sti", "hlt", "cli", options(nostack)) };
}

/// Stops this CPU for good.
pub fn halt() -> ! {
    loop {
        // SAFETY: stopping is always sound; an NMI returns here and stops again.
        unsafe { asm!("cli", "hlt", options(nomem, nostack)) };
    }
}
