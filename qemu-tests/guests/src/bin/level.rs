//! An interrupt of the I/O APIC that is level-triggered comes again after each of its ends until its line falls; one that is
//! edge-triggered comes once. The line is that of COM1, whose transmitter is always empty; with `mode=xapic` the local APIC's registers are in memory.
#![no_std]
#![no_main]

use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

use micro_guests::abi::start::StartInfo;
use micro_guests::trap::{self, Frame, Hooked};
use micro_guests::{apic, check, cpu, guest};

guest!(main);

/// The I/O APIC's index and its data.
const INDEX: u64 = 0xfec0_0000;
const DATA: u64 = 0xfec0_0010;
/// Its input of COM1: the registers of the entry.
const ENTRY: u32 = 0x10 + 2 * 4;
const LEVEL: u32 = 1 << 15;
/// COM1: interrupts enabled, their identification, modem control.
const IER: u16 = 0x3f9;
const IIR: u16 = 0x3fa;
const MCR: u16 = 0x3fc;
const TRANSMITTER_EMPTY: u8 = 2;
const TO_THE_LINE: u8 = 8;

const VECTOR: u8 = 0x55;
const TMR: u32 = 0x18;
/// How often the handler lets it come again.
const TIMES: u64 = 5;

/// At which count the handler looks what it is, and so lets the line fall.
static ENOUGH: AtomicU64 = AtomicU64::new(0);

fn main(info: &'static StartInfo) {
    trap::install();
    apic::enable_as_told(info);
    trap::hook(VECTOR, |_: &mut Frame| {
        if trap::count(VECTOR) >= ENOUGH.load(SeqCst) {
            cpu::in8(IIR);
        }
        Hooked::End
    });
    cpu::out8(MCR, TO_THE_LINE);
    for round in 1..=3 {
        rise(LEVEL, TIMES);
        check!(
            apic::vector_bit(TMR, VECTOR),
            "round {round}: the vector is not level-triggered"
        );
        rise(0, 1);
        check!(
            !apic::vector_bit(TMR, VECTOR),
            "round {round}: the vector is level-triggered"
        );
    }
}

/// Lets the line rise in this mode; the interrupt must come so often.
fn rise(mode: u32, times: u64) {
    route(mode | u32::from(VECTOR));
    let before = trap::count(VECTOR);
    // An edge comes once even where its reason stays.
    let enough = if mode == LEVEL {
        before + times
    } else {
        u64::MAX
    };
    ENOUGH.store(enough, SeqCst);
    cpu::out8(IER, TRANSMITTER_EMPTY);
    for _ in 0..2000 {
        // SAFETY: the IDT is loaded.
        unsafe { asm!("sti", "nop", "nop", "cli", options(nostack)) };
    }
    let came = trap::count(VECTOR) - before;
    check!(came == times, "it came {came} times and not {times} times");
    cpu::out8(IER, 0);
    cpu::in8(IIR);
    check!(
        !apic::vector_bit(0x10, VECTOR) && !apic::vector_bit(0x20, VECTOR),
        "it is still in service or requested"
    );
}

/// Sets the entry of COM1: to the first local APIC.
fn route(low: u32) {
    for (register, value) in [(ENTRY, 1 << 16), (ENTRY + 1, 0), (ENTRY, low)] {
        write(INDEX, register);
        write(DATA, value);
    }
}

fn write(at: u64, value: u32) {
    // SAFETY: the I/O APIC's registers are no memory of the program. One plain MOV, as guests do it.
    unsafe { asm!("mov dword ptr [{}], {:e}", in(reg) at, in(reg) value, options(nostack)) };
}
