//! The local APIC in x2APIC mode.

use crate::cpu::{rdmsr, wrmsr};

/// APIC_BASE.
pub const BASE: u32 = 0x1b;
/// Task priority.
pub const TPR: u32 = 0x808;
/// End of interrupt.
pub const EOI: u32 = 0x80b;
/// Spurious vector and software enable.
pub const SVR: u32 = 0x80f;
/// Interrupt command.
pub const ICR: u32 = 0x830;
/// Timer entry of the local vector table.
pub const LVT_TIMER: u32 = 0x832;
/// Initial count of the timer.
pub const TIMER_INITIAL: u32 = 0x838;
/// Current count of the timer.
pub const TIMER_CURRENT: u32 = 0x839;
/// Divide configuration of the timer.
pub const TIMER_DIVIDE: u32 = 0x83e;
/// Self IPI.
pub const SELF_IPI: u32 = 0x83f;

/// Switches the APIC on in x2APIC mode, with the spurious vector 0xff and the timer dividing by 1.
pub fn enable() {
    wrmsr(BASE, rdmsr(BASE) | 0xc00);
    wrmsr(SVR, 0x1ff);
    wrmsr(TIMER_DIVIDE, 0b1011);
}
