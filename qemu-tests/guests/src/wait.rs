//! Waiting for something that others do, asleep and not for ever.

use crate::{apic, cpu, fail};

/// The vector of the timer that limits a wait; [`crate::trap::install`] handles it.
pub const VECTOR: u8 = 0x20;
/// Ticks of the APIC's timer for a nap: about a millisecond here.
const NAP: u32 = 1_000_000;

/// Halts until the condition holds, waking every millisecond to look, and fails after `naps` of them.
pub fn until(what: &str, naps: u32, condition: impl Fn() -> bool) {
    for _ in 0..naps {
        cpu::cli();
        if condition() {
            apic::write(0x38, 0);
            return;
        }
        apic::write(0x32, u32::from(VECTOR));
        apic::write(0x38, NAP);
        cpu::sti_hlt();
    }
    cpu::cli();
    if !condition() {
        fail(format_args!("{what} did not happen within {naps} naps"));
    }
}

/// Sleeps.
pub fn nap(naps: u32) {
    for _ in 0..naps {
        cpu::cli();
        apic::write(0x32, u32::from(VECTOR));
        apic::write(0x38, NAP);
        cpu::sti_hlt();
    }
    cpu::cli();
}
