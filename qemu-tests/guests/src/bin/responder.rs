//! A management partition that does nothing but answer: the I/O requests of partition 1 on any port, with the port's number plus one,
//! its doorbell, and its console, which it takes without a look. It also measures the first touch of a device page, which only management can make.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

use micro_guests::abi::console::{OUTPUT_HEAD, OUTPUT_TAIL};
use micro_guests::abi::event::FIRST_PORT;
use micro_guests::abi::hypercall::Number;
use micro_guests::abi::io::Space;
use micro_guests::abi::start::StartInfo;
use micro_guests::{apic, check, cpu, guest, hypercall, idt, result, say};

guest!(main);

/// The served partition.
const SERVED: u64 = 1;
/// Event port of the first I/O slot.
const IO_PORT: u64 = FIRST_PORT as u64;
/// Event port of the doorbell.
const BELL_PORT: u64 = FIRST_PORT as u64 + 32;
/// The I/O port that is a doorbell.
const BELL: u64 = 0xb10;

#[repr(C, align(4096))]
struct Page([AtomicU64; 512]);

static EVENTS: Page = Page([const { AtomicU64::new(0) }; 512]);
static REQUESTS: Page = Page([const { AtomicU64::new(0) }; 512]);
static CONSOLE: Page = Page([const { AtomicU64::new(0) }; 512]);

fn main(info: &StartInfo) {
    apic::enable();
    idt::set(0x40, idt::tick as *const () as u64);
    idt::load();
    first_touch(info);
    let address = |page: &Page| core::ptr::from_ref(page).addr() as u64;
    set_up(
        "the event page",
        Number::EventPage,
        [address(&EVENTS), 0x40, 0, 0],
    );
    set_up(
        "the I/O page",
        Number::IoPage,
        [SERVED, address(&REQUESTS), IO_PORT, 0],
    );
    let bell = BELL_PORT | (Space::Port as u64) << 24;
    set_up("the doorbell", Number::DoorbellAdd, [SERVED, BELL, bell, 0]);
    set_up(
        "the life-cycle port",
        Number::LifecyclePort,
        [SERVED, BELL_PORT + 1, 0, 0],
    );
    set_up(
        "the console page",
        Number::ConsolePage,
        [SERVED, address(&CONSOLE), BELL_PORT + 2, 0],
    );
    say!("ready");
    loop {
        cpu::cli();
        if EVENTS.0[0].load(SeqCst) == 0 {
            cpu::sti_hlt();
            continue;
        }
        cpu::sti();
        EVENTS.0[0].swap(0, SeqCst);
        let events = EVENTS.0[1].swap(0, SeqCst);
        if events & 1 != 0 {
            answer();
        }
        if events >> 34 & 1 != 0 {
            let head = CONSOLE.0[OUTPUT_HEAD / 8].load(SeqCst);
            CONSOLE.0[OUTPUT_TAIL / 8].store(head, SeqCst);
        }
        if events >> 33 & 1 != 0 {
            return;
        }
    }
}

fn set_up(what: &str, number: Number, arguments: [u64; 4]) {
    let (status, _) = hypercall::call(number, arguments);
    check!(status == 0, "{what} was refused with status {status}");
}

/// Answers slot 0.
fn answer() {
    let [_, address, data, ..] = &REQUESTS.0;
    data.store(address.load(SeqCst) + 1, SeqCst);
    set_up("an answer", Number::IoComplete, [SERVED, 0, 0, 0]);
}

/// Reads one word of pages that were never touched, from the top of the hole below the APICs downwards, one of each 2 MiB.
fn first_touch(_: &StartInfo) {
    const ROUNDS: u64 = 8;
    let mut sum = 0;
    for round in 0..ROUNDS {
        let address = 0xfe80_0000 - round * 0x40_0000;
        let start = cpu::rdtsc();
        // SAFETY: nothing or a device answers; a read of its first register is what is wanted.
        let _ = unsafe { (address as *const u32).read_volatile() };
        let first = cpu::rdtsc() - start;
        let start = cpu::rdtsc();
        // SAFETY: as above.
        let _ = unsafe { (address as *const u32).read_volatile() };
        let second = cpu::rdtsc() - start;
        sum += first - second;
    }
    result("first_touch", sum / ROUNDS);
}
