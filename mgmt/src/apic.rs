//! The local APIC: end of interrupt and the one-shot timer.

#[cfg_attr(feature = "bare-bed", path = "apic/memory.rs")]
#[cfg_attr(not(feature = "bare-bed"), path = "apic/msr.rs")]
mod access;

/// Vector of the timer.
pub const TIMER: u8 = 0x20;
/// Vector of interrupts that have gone before they were taken.
pub const SPURIOUS: u8 = 0xff;

const END_OF_INTERRUPT: u32 = 0x0b;
const SPURIOUS_VECTOR: u32 = 0x0f;
const TIMER_ENTRY: u32 = 0x32;
const TIMER_INITIAL: u32 = 0x38;
const TIMER_DIVIDE: u32 = 0x3e;

const SOFTWARE_ENABLE: u32 = 1 << 8;
const DIVIDE_BY_1: u32 = 0b1011;

/// Turns the APIC on, with a one-shot timer that is not running.
pub fn init() {
    access::enable();
    access::write(SPURIOUS_VECTOR, SOFTWARE_ENABLE | u32::from(SPURIOUS));
    access::write(TIMER_DIVIDE, DIVIDE_BY_1);
    access::write(TIMER_ENTRY, TIMER.into());
}

/// Ends the interrupt in service.
pub fn end_of_interrupt() {
    access::write(END_OF_INTERRUPT, 0);
}

/// Raises [`TIMER`] after `ticks` of the timer (at least 1); an earlier setting is replaced.
pub fn arm_timer(ticks: u32) {
    access::write(TIMER_INITIAL, ticks.max(1));
}
