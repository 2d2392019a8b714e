//! The local APIC: in x2APIC mode unless a guest asks for registers in memory.

use core::arch::asm;
use core::sync::atomic::{AtomicBool, Ordering::SeqCst};

use crate::abi::start::StartInfo;
use crate::cpu::{rdmsr, wrmsr};
use crate::option;

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

/// The page of the xAPIC's registers.
const PAGE: u64 = 0xfee0_0000;

/// Where the registers are.
static MODE: AtomicBool = AtomicBool::new(true);

/// Switches the APIC on with its registers in memory, from power-up.
pub fn enable_memory_mapped() {
    MODE.store(false, SeqCst);
    write_mmio(0xf0, 0x1ff);
    write_mmio(0x3e0, 0b1011);
}

/// Switches the APIC on with its registers in memory where the arguments say `mode=xapic`, else in x2APIC mode.
pub fn enable_as_told(info: &'static StartInfo) {
    if option(info, "mode") == Some("xapic") {
        enable_memory_mapped();
    } else {
        enable();
    }
}

/// Writes a register of the xAPIC.
#[inline(always)]
pub fn write_mmio(offset: u64, value: u32) {
    // SAFETY: the APIC's page is no memory of the program. One plain MOV, as guests do it.
    unsafe {
        asm!("mov dword ptr [{}], {:e}", in(reg) PAGE + offset, in(reg) value, options(nostack))
    };
}

/// Reads a register of the xAPIC.
#[inline(always)]
pub fn read_mmio(offset: u64) -> u32 {
    let value: u32;
    // SAFETY: as above.
    unsafe {
        asm!("mov {:e}, dword ptr [{}]", out(reg) value, in(reg) PAGE + offset, options(nostack))
    };
    value
}

/// Ends the interrupt in service.
pub fn end_of_interrupt() {
    if MODE.load(SeqCst) {
        wrmsr(EOI, 0);
    } else {
        write_mmio(0xb0, 0);
    }
}

/// The running vCPU's APIC id.
pub fn id() -> u32 {
    if MODE.load(SeqCst) {
        rdmsr(0x802) as u32
    } else {
        read_mmio(0x20) >> 24
    }
}

/// Writes a register by its number: the MSR's number less 0x800, the page's offset divided by 16.
pub fn write(register: u32, value: u32) {
    if MODE.load(SeqCst) {
        wrmsr(0x800 + register, u64::from(value));
    } else {
        write_mmio(u64::from(register) << 4, value);
    }
}

/// Reads a register by the same number.
pub fn read(register: u32) -> u32 {
    if MODE.load(SeqCst) {
        rdmsr(0x800 + register) as u32
    } else {
        read_mmio(u64::from(register) << 4)
    }
}

/// Sends an interrupt to the running vCPU by the ICR's shorthand.
pub fn send_to_self(vector: u8) {
    command(0, 0x4_4000 | u32::from(vector));
}

/// Writes the interrupt command register: a destination, as the ICR's high half has it, and the low half.
pub fn command(destination: u32, low: u32) {
    if MODE.load(SeqCst) {
        wrmsr(ICR, u64::from(destination) << 32 | u64::from(low));
    } else {
        write_mmio(0x310, destination << 24);
        write_mmio(0x300, low);
    }
}

/// Whether a bit of the 256 bits that begin at `register` is set: 0x10 are those in service, 0x20 those requested.
pub fn vector_bit(register: u32, vector: u8) -> bool {
    read(register + u32::from(vector) / 32) >> (vector % 32) & 1 != 0
}
