//! The APIC's registers as MSRs (x2APIC mode; APM 2 16.9).

use x86_64::registers::model_specific::{ApicBase, Msr};

const FIRST: u32 = 0x800;
const APIC_BASE: u32 = 0x1b;
const ENABLE: u64 = 1 << 11;
const EXTENDED: u64 = 1 << 10;

/// Switches to x2APIC mode.
pub fn enable() {
    let (frame, flags) = ApicBase::read_raw();
    let value = frame.start_address().as_u64() | flags;
    // SAFETY: every partition has an APIC with x2APIC mode; nothing uses its memory page.
    unsafe { Msr::new(APIC_BASE).write(value | ENABLE | EXTENDED) };
}

/// Writes the register whose offset in memory would be `register` * 16.
pub fn write(register: u32, value: u32) {
    // SAFETY: callers pass registers that exist and can be written; they affect interrupts only.
    unsafe { Msr::new(FIRST + register).write(value.into()) };
}
