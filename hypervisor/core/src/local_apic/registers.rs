//! Register numbers and bits of the local APIC (SDM 3A tables 10-1 and 10-6).
//!
//! A register's number is its MMIO offset divided by 16 and its x2APIC MSR minus 0x800.

/// First MSR of the x2APIC range.
pub const X2APIC_MSR_FIRST: u32 = 0x800;
/// IA32_APIC_BASE.
pub const MSR_APIC_BASE: u32 = 0x1b;
/// IA32_TSC_DEADLINE.
pub const MSR_TSC_DEADLINE: u32 = 0x6e0;
/// The MSR of the end-of-interrupt register: callers send it straight to [`super::LocalApic::eoi`].
pub const MSR_EOI: u32 = 0x80b;
/// The MSR of the self-IPI register.
pub const MSR_SELF_IPI: u32 = 0x83f;

/// APIC_BASE: this is the bootstrap processor.
pub const BASE_BSP: u64 = 1 << 8;
/// APIC_BASE: x2APIC mode.
pub const BASE_X2APIC: u64 = 1 << 10;
/// APIC_BASE: global enable.
pub const BASE_ENABLE: u64 = 1 << 11;
/// Where the register page is after reset.
pub const DEFAULT_BASE: u64 = 0xfee0_0000;

pub(super) const ID: u8 = 0x02;
pub(super) const VERSION: u8 = 0x03;
pub(super) const TPR: u8 = 0x08;
pub(super) const APR: u8 = 0x09;
pub(super) const PPR: u8 = 0x0a;
pub(super) const EOI: u8 = 0x0b;
pub(super) const RRD: u8 = 0x0c;
pub(super) const LDR: u8 = 0x0d;
pub(super) const DFR: u8 = 0x0e;
pub(super) const SVR: u8 = 0x0f;
pub(super) const ISR: u8 = 0x10;
pub(super) const ISR_LAST: u8 = 0x17;
pub(super) const TMR: u8 = 0x18;
pub(super) const TMR_LAST: u8 = 0x1f;
pub(super) const IRR: u8 = 0x20;
pub(super) const IRR_LAST: u8 = 0x27;
pub(super) const ESR: u8 = 0x28;
pub(super) const ICR_LOW: u8 = 0x30;
pub(super) const ICR_HIGH: u8 = 0x31;
pub(super) const LVT_FIRST: u8 = 0x32;
pub(super) const LVT_LAST: u8 = 0x37;
pub(super) const TIMER_INITIAL: u8 = 0x38;
pub(super) const TIMER_CURRENT: u8 = 0x39;
pub(super) const TIMER_DIVIDE: u8 = 0x3e;
pub(super) const SELF_IPI: u8 = 0x3f;

/// Spurious-interrupt vector register: software enable.
pub(super) const SVR_ENABLE: u32 = 1 << 8;
/// Focus checking off: kept as written, without effect on CPUs of today.
pub(super) const SVR_FOCUS_OFF: u32 = 1 << 9;
/// Do not broadcast EOIs of level-triggered interrupts.
pub(super) const SVR_SUPPRESS_EOI: u32 = 1 << 12;

/// Error status: this APIC was told to send a vector below 16.
pub(super) const ESR_SEND_ILLEGAL: u32 = 1 << 5;
/// A vector below 16 arrived or is in the LVT.
pub(super) const ESR_RECEIVE_ILLEGAL: u32 = 1 << 6;
/// An access to a register that does not exist (xAPIC only).
pub(super) const ESR_ILLEGAL_REGISTER: u32 = 1 << 7;

/// An LVT entry is masked.
pub(super) const LVT_MASKED: u32 = 1 << 16;
/// An LVT entry's read-only bits: delivery status and remote IRR.
pub(super) const LVT_READ_ONLY: u32 = 1 << 12 | 1 << 14;
/// LINT0/LINT1: level-triggered.
pub(super) const LVT_LEVEL: u32 = 1 << 15;

/// Version 0x14 (an integrated APIC with x2APIC-era registers) with six LVT entries.
pub(super) const VERSION_VALUE: u32 = 0x0005_0014;
/// Version register: EOI broadcasts can be suppressed.
pub(super) const VERSION_SUPPRESS_EOI: u32 = 1 << 24;
