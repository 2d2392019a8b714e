//! Measures I/O requests, doorbells and a console that the partition `responder` answers.
#![no_std]
#![no_main]

use micro_guests::abi::start::StartInfo;
use micro_guests::measure::cost;
use micro_guests::{check, cpu, guest, result};

guest!(main);

fn main(_: &StartInfo) {
    // Until the responder has registered, nobody answers and reads give ones.
    while cpu::in32(0xb00) == u32::MAX {
        core::hint::spin_loop();
    }
    check!(
        cpu::in32(0xb04) == 0xb05,
        "the answer was {:#x}",
        cpu::in32(0xb04)
    );
    result(
        "io_request",
        cost(|| {
            cpu::in32(0xb08);
        }),
    );
    // A register of a device in memory, as configuration spaces are.
    let read = || {
        // SAFETY: no RAM of this guest; the responder answers.
        unsafe { (0xe000_0b00 as *const u32).read_volatile() }
    };
    check!(read() == 0xe000_0b01, "the answer was {:#x}", read());
    result(
        "memory_request",
        cost(|| {
            read();
        }),
    );
    result("doorbell", cost(|| cpu::out32(0xb10, 1)));
    // As long as the responder has a console page for it.
    result("console_out", cost(|| cpu::out8(0x3f8, b'.')));
    result(
        "console_status",
        cost(|| {
            cpu::in8(0x3fd);
        }),
    );
}
