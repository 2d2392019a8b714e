//! A guest's serial port: found as a 16550A, written to faster than its reader reads, and read by interrupts.
//!
//! The partition `keeper` has the other end: it expects [`OUTPUT`] bytes of a known pattern, then sends [`INPUT`] of the same, and
//! expects the sum of what arrived, and agrees.
#![no_std]
#![no_main]

use micro_guests::abi::start::StartInfo;
use micro_guests::{apic, check, cpu, guest, result, say, trap, wait};

guest!(main);

/// Bytes that the guest sends.
const OUTPUT: u32 = 20_000;
/// Bytes that it gets.
const INPUT: u32 = 3000;
/// What the reader sends until it gets something.
const READY: u8 = b'S';
/// What the reader sends when all was right.
const CONSENT: u8 = b'K';
/// COM1 and its pin of the I/O APIC.
const COM1: u16 = 0x3f8;
const PIN: u32 = 4;
const VECTOR: u8 = 0x50;

fn main(_: &StartInfo) {
    apic::enable();
    trap::install();
    find();
    while register(5) & 1 == 0 || register(0) != READY {
        wait::nap(1);
    }
    let mut busy = 0;
    for number in 0..OUTPUT {
        busy += send(pattern(number));
    }
    result("waits_for_the_reader", busy);
    check!(busy > 0, "20000 bytes fit a ring of 2048 at once");
    receive();
    say!("{INPUT} bytes arrived");
    wait::until("the reader's consent", 5000, || register(5) & 1 != 0);
    check!(register(0) == CONSENT, "the reader does not agree");
}

/// The byte with this number.
fn pattern(number: u32) -> u8 {
    (number.wrapping_mul(7) ^ number >> 8) as u8
}

fn register(offset: u16) -> u8 {
    cpu::in8(COM1 + offset)
}

/// What drivers look at, to know what they have.
fn find() {
    cpu::out8(COM1 + 1, 0);
    cpu::out8(COM1 + 7, 0x5a);
    check!(register(7) == 0x5a, "the scratch register forgets");
    cpu::out8(COM1 + 4, 0x1a);
    let modem = register(6) & 0xf0;
    check!(modem == 0x90, "a loop shows modem lines {modem:#x}");
    cpu::out8(COM1 + 4, 0xb);
    cpu::out8(COM1 + 3, 0x83);
    cpu::out8(COM1, 1);
    cpu::out8(COM1 + 1, 0);
    cpu::out8(COM1 + 3, 3);
    cpu::out8(COM1 + 2, 7);
    let cause = register(2);
    check!(cause == 0xc1, "the interrupt identification is {cause:#x}");
}

/// Sends a byte; gives how often the port was busy.
fn send(byte: u8) -> u64 {
    let mut busy = 0;
    while register(5) & 0x20 == 0 {
        busy += 1;
        // The reader may share the CPU.
        wait::nap(1);
    }
    cpu::out8(COM1, byte);
    busy
}

/// Gets all bytes, asleep while there are none, and sends their sum.
fn receive() {
    // SAFETY: the registers of the I/O APIC, which nobody else uses.
    unsafe {
        for (index, value) in [
            (0x11 + 2 * PIN, apic::id() << 24),
            (0x10 + 2 * PIN, VECTOR.into()),
        ] {
            (0xfec0_0000 as *mut u32).write_volatile(index);
            (0xfec0_0010 as *mut u32).write_volatile(value);
        }
    }
    cpu::out8(COM1 + 2, 0x81);
    cpu::out8(COM1 + 1, 1);
    let mut sum = 0_u32;
    let mut number = 0;
    while number < INPUT {
        // A wait leaves interrupts off.
        cpu::sti();
        let interrupts = trap::count(VECTOR);
        if register(5) & 1 == 0 {
            wait::until("an interrupt of the port", 5000, || {
                trap::count(VECTOR) > interrupts || register(5) & 1 != 0
            });
            continue;
        }
        let byte = register(0);
        if number == 0 && byte == READY {
            continue;
        }
        check!(byte == pattern(number), "byte {number} is {byte:#x}");
        sum += u32::from(byte);
        number += 1;
    }
    cpu::cli();
    check!(trap::count(VECTOR) > 0, "the port never interrupted");
    result("interrupts", trap::count(VECTOR));
    for byte in sum.to_le_bytes() {
        send(byte);
    }
}
