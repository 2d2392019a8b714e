//! A well-behaved neighbour: counts the ticks of its timer, checks that its memory stays as it wrote it, and passes after the
//! number that `ticks=` gives.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

use micro_guests::abi::start::StartInfo;
use micro_guests::{apic, check, cpu, guest, idt, number};

guest!(main);

/// Words of memory that are watched.
static WORDS: [AtomicU64; 4096] = [const { AtomicU64::new(0) }; 4096];

fn main(info: &'static StartInfo) {
    let ticks = number(info, "ticks").unwrap_or(20);
    apic::enable();
    idt::set(0x40, idt::tick as *const () as u64);
    idt::load();
    for (index, word) in WORDS.iter().enumerate() {
        word.store(pattern(index), SeqCst);
    }
    // Periodic, a tick every 10 ms.
    cpu::wrmsr(apic::LVT_TIMER, 1 << 17 | 0x40);
    cpu::wrmsr(apic::TIMER_INITIAL, info.apic_timer_hz / 100);
    while idt::ticks() < ticks {
        cpu::cli();
        if idt::ticks() < ticks {
            cpu::sti_hlt();
        }
        for (index, word) in WORDS.iter().enumerate() {
            check!(
                word.load(SeqCst) == pattern(index),
                "word {index} of its memory has changed"
            );
        }
    }
    cpu::cli();
}

fn pattern(index: usize) -> u64 {
    (index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
