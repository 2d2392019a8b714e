//! Asks to be started again at its first start, by `way=`, and passes at the second; its memory is cleared in between.
#![no_std]
#![no_main]

use core::arch::asm;

use micro_guests::abi::hypercall::StopReason;
use micro_guests::abi::start::StartInfo;
use micro_guests::{apic, check, cpu, fail, guest, option, stop, trap, wait};

guest!(main);

/// Free memory that is written at the first start, from the start of RAM.
const MARK: u64 = 0x9_0000;

fn main(info: &'static StartInfo) {
    let mark = (info.ram_base + MARK) as *mut u64;
    // SAFETY: the memory is the guest's own and free.
    unsafe {
        check!(
            mark.read_volatile() == 0,
            "memory is not cleared at start {}",
            info.restarts
        );
        mark.write_volatile(1);
    }
    if info.restarts > 0 {
        check!(info.restarts == 1, "this is start {}", info.restarts);
        return;
    }
    trap::install();
    apic::enable();
    wait::nap(50);
    match option(info, "way").unwrap_or("") {
        "cf9" => {
            cpu::out8(0xcf9, 2);
            cpu::out8(0xcf9, 6);
        }
        "keyboard" => cpu::out8(0x64, 0xfe),
        "hypercall" => stop(StopReason::Restart),
        "triple-fault" => {
            let nothing = [0u64; 2];
            // SAFETY: the end of this start is wanted.
            unsafe { asm!("lidt [{}]", "ud2", in(reg) &raw const nothing) };
        }
        other => fail(format_args!("unknown way {other:?}")),
    }
    fail(format_args!("still here"));
}
