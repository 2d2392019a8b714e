//! A management partition at the other end of partition 1's serial port: slow to read, and it looks at every byte.
#![no_std]
#![no_main]

use core::sync::atomic::{
    AtomicU8, AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release, SeqCst},
};

use micro_guests::abi::console::{
    INPUT as INPUT_RING, INPUT_BYTES, INPUT_HEAD, INPUT_TAIL, OUTPUT as OUTPUT_RING, OUTPUT_BYTES,
    OUTPUT_HEAD, OUTPUT_TAIL,
};
use micro_guests::abi::event::FIRST_PORT;
use micro_guests::abi::hypercall::Number;
use micro_guests::abi::start::StartInfo;
use micro_guests::{apic, check, cpu, guest, hypercall, result, trap, wait};

guest!(main);

/// The served partition.
const SERVED: u64 = 1;
/// Bytes that come, and bytes to send, as the guest `console` has them.
const OUTPUT: u32 = 20_000;
const INPUT: u32 = 3000;
/// What to send until the guest answers.
const READY: u8 = b'S';
/// What to send when all was right.
const CONSENT: u8 = b'K';
/// The vector of events.
const EVENT: u8 = 0x40;
/// Most bytes to take at once.
const BITE: u32 = 700;

#[repr(C, align(4096))]
struct Page([AtomicU64; 512]);

static EVENTS: Page = Page([const { AtomicU64::new(0) }; 512]);
static CONSOLE: Page = Page([const { AtomicU64::new(0) }; 512]);

fn main(_: &StartInfo) {
    apic::enable();
    trap::install();
    let address = |page: &Page| core::ptr::from_ref(page).addr() as u64;
    for (number, arguments) in [
        (
            Number::EventPage,
            [address(&EVENTS), u64::from(EVENT), 0, 0],
        ),
        (
            Number::ConsolePage,
            [SERVED, address(&CONSOLE), u64::from(FIRST_PORT), 0],
        ),
    ] {
        let (status, _) = hypercall::call(number, arguments);
        check!(status == 0, "{number:?} was refused with status {status}");
    }
    let mut sent = 0;
    while counter(OUTPUT_HEAD).load(Acquire) == 0 {
        check!(sent < 1000, "the guest does not answer");
        byte(INPUT_RING + sent as usize).store(READY, Relaxed);
        sent += 1;
        publish(sent);
        wait::nap(1);
    }
    // Until the ring is full, and the guest has to wait.
    wait::until("a full ring", 20_000, || {
        counter(OUTPUT_HEAD).load(Acquire) == OUTPUT_BYTES as u32
    });
    wait::nap(5);
    let mut taken = 0;
    let mut events = 0;
    while taken < OUTPUT {
        events += await_news(taken);
        take(&mut taken, BITE, |number, byte| {
            check!(byte == pattern(number), "byte {number} is {byte:#x}");
        });
        // A reader with other things to do.
        wait::nap(1);
    }
    result("events", events);
    give(sent);
    let mut sum = 0_u32;
    while taken < OUTPUT + 4 {
        await_news(taken);
        take(&mut taken, 4, |number, byte| {
            sum |= u32::from(byte) << (8 * (number - OUTPUT));
        });
    }
    let expected = (0..INPUT).map(|number| u32::from(pattern(number))).sum();
    check!(sum == expected, "the guest got {sum}, not {expected}");
    let head = sent + INPUT;
    byte(INPUT_RING + head as usize % INPUT_BYTES).store(CONSENT, Relaxed);
    publish(head + 1);
}

/// The byte with this number.
fn pattern(number: u32) -> u8 {
    (number.wrapping_mul(7) ^ number >> 8) as u8
}

fn counter(offset: usize) -> &'static AtomicU32 {
    // SAFETY: a word of the page, which lives for ever.
    unsafe { &*CONSOLE.0.as_ptr().byte_add(offset).cast() }
}

fn byte(offset: usize) -> &'static AtomicU8 {
    // SAFETY: a byte of the page, which lives for ever.
    unsafe { &*CONSOLE.0.as_ptr().byte_add(offset).cast() }
}

/// Waits until there is output after `taken`; gives how many events came meanwhile. Every byte is announced: no look without an
/// event is needed.
fn await_news(taken: u32) -> u64 {
    let mut events = 0;
    while counter(OUTPUT_HEAD).load(Acquire) == taken {
        wait::until("an event of the console", 5000, || {
            EVENTS.0[1].load(SeqCst) & 1 != 0
        });
        EVENTS.0[0].swap(0, SeqCst);
        EVENTS.0[1].swap(0, SeqCst);
        events += 1;
    }
    events
}

/// Takes output, at most so many bytes.
fn take(taken: &mut u32, most: u32, mut look: impl FnMut(u32, u8)) {
    let head = counter(OUTPUT_HEAD).load(Acquire);
    check!(
        head.wrapping_sub(*taken) <= OUTPUT_BYTES as u32,
        "the ring holds more than it can"
    );
    for _ in 0..most.min(head.wrapping_sub(*taken)) {
        let at = OUTPUT_RING + *taken as usize % OUTPUT_BYTES;
        look(*taken, byte(at).load(Relaxed));
        *taken += 1;
    }
    counter(OUTPUT_TAIL).store(*taken, Release);
}

/// Tells the guest of input up to this byte.
fn publish(head: u32) {
    counter(INPUT_HEAD).store(head, Release);
    let (status, _) = hypercall::call(Number::ConsoleInput, [SERVED, 0, 0, 0]);
    check!(status == 0, "input was refused with status {status}");
}

/// Sends all input, as far as there is room, and goes on when an event says that there is.
fn give(first: u32) {
    let mut head = first;
    let end = first + INPUT;
    while head < end {
        let room = INPUT_BYTES as u32 - (head - counter(INPUT_TAIL).load(Acquire));
        for _ in 0..room.min(end - head) {
            let at = INPUT_RING + head as usize % INPUT_BYTES;
            byte(at).store(pattern(head - first), Relaxed);
            head += 1;
        }
        publish(head);
        if head < end {
            wait::until("room for input", 5000, || {
                EVENTS.0[1].load(SeqCst) & 1 != 0
                    || head - counter(INPUT_TAIL).load(Acquire) < INPUT_BYTES as u32 / 2
            });
            EVENTS.0[0].swap(0, SeqCst);
            EVENTS.0[1].swap(0, SeqCst);
        }
    }
    cpu::cli();
}
