//! The local APIC's timer: one-shot, periodic and by TSC deadline; in memory with `mode=xapic`, else in x2APIC mode. With `exact=1`
//! (the clock counts instructions) it may be late by a few thousand instructions only.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

use micro_guests::abi::start::StartInfo;
use micro_guests::trap::{self, Frame, Hooked};
use micro_guests::{apic, check, cpu, guest, number};

guest!(main);

const VECTOR: u8 = 0x50;
const LVT: u32 = 0x32;
const INITIAL: u32 = 0x38;
const CURRENT: u32 = 0x39;
const DIVIDE: u32 = 0x3e;
const MASKED: u32 = 1 << 16;
const PERIODIC: u32 = 1 << 17;
const DEADLINE: u32 = 2 << 17;
const TSC_DEADLINE: u32 = 0x6e0;

/// TSC when the last interrupt came.
static FIRED: AtomicU64 = AtomicU64::new(0);

struct Clock {
    /// TSC ticks for a count of the APIC's timer, as a fraction.
    tsc_hz: u64,
    apic_hz: u64,
    /// TSC ticks that an interrupt may be late.
    late: u64,
}

fn main(info: &'static StartInfo) {
    trap::install();
    apic::enable_as_told(info);
    trap::hook(VECTOR, |_: &mut Frame| {
        FIRED.store(cpu::rdtsc(), SeqCst);
        Hooked::End
    });
    let exact = number(info, "exact") == Some(1);
    let clock = Clock {
        tsc_hz: info.tsc_hz,
        apic_hz: info.apic_timer_hz,
        late: if exact { 5000 } else { u64::MAX / 2 },
    };
    one_shot(&clock);
    masked(&clock);
    periodic(&clock);
    deadline(&clock);
}

impl Clock {
    /// Whether nothing but instructions takes time; on a busy machine a timer may be due before it is stopped.
    fn exact(&self) -> bool {
        self.late < u64::MAX / 2
    }

    fn tsc(&self, counts: u64) -> u64 {
        (u128::from(counts) * u128::from(self.tsc_hz) / u128::from(self.apic_hz)) as u64
    }
}

fn fired() -> u64 {
    trap::count(VECTOR)
}

/// Halts until the vector has come `count` times.
fn sleep_until(count: u64) {
    loop {
        cpu::cli();
        if fired() >= count {
            return;
        }
        cpu::sti_hlt();
    }
}

/// Runs with interrupts on for so many TSC ticks.
fn run(ticks: u64) {
    let start = cpu::rdtsc();
    cpu::sti();
    while cpu::rdtsc() - start < ticks {
        core::hint::spin_loop();
    }
    cpu::cli();
}

fn one_shot(clock: &Clock) {
    for (code, divider) in [(0b1011u32, 1u64), (0b0000, 2), (0b0011, 16), (0b1010, 128)] {
        let counts = 1_000_000 / divider;
        let before = fired();
        apic::write(DIVIDE, code);
        apic::write(LVT, u32::from(VECTOR));
        let start = cpu::rdtsc();
        apic::write(INITIAL, counts as u32);
        let first = apic::read(CURRENT);
        let second = apic::read(CURRENT);
        check!(
            u64::from(first) <= counts && second <= first,
            "the count goes {counts}, {first}, {second}"
        );
        sleep_until(before + 1);
        let took = FIRED.load(SeqCst) - start;
        let due = clock.tsc(counts * divider);
        check!(
            took + 2 * divider + 10 >= due,
            "divided by {divider} it fired after {took} ticks, {due} were asked for"
        );
        check!(
            took <= due.saturating_add(clock.late),
            "divided by {divider} it fired after {took} ticks, {due} were asked for"
        );
        check!(
            apic::read(CURRENT) == 0,
            "the count is {} in the end",
            apic::read(CURRENT)
        );
        run(clock.tsc(2_000_000));
        check!(fired() == before + 1, "one-shot mode fired again");
    }
    apic::write(DIVIDE, 0b1011);
    // Stopped before its time.
    let before = fired();
    apic::write(INITIAL, 1_000_000);
    apic::write(INITIAL, 0);
    check!(apic::read(CURRENT) == 0, "a stopped timer counts");
    run(clock.tsc(2_000_000));
    check!(fired() == before || !clock.exact(), "a stopped timer fired");
}

fn masked(clock: &Clock) {
    let before = fired();
    apic::write(LVT, MASKED | u32::from(VECTOR));
    apic::write(INITIAL, 500_000);
    run(clock.tsc(1_500_000));
    check!(fired() == before, "a masked timer fired");
    check!(apic::read(CURRENT) == 0, "a masked timer does not count");
    // Unmasking afterwards brings nothing back.
    apic::write(LVT, u32::from(VECTOR));
    run(clock.tsc(500_000));
    check!(fired() == before, "unmasking fired an old interrupt");
}

fn periodic(clock: &Clock) {
    const PERIOD: u64 = 500_000;
    let before = fired();
    apic::write(LVT, PERIODIC | u32::from(VECTOR));
    let start = cpu::rdtsc();
    apic::write(INITIAL, PERIOD as u32);
    for tick in 1..=10 {
        sleep_until(before + tick);
        let took = FIRED.load(SeqCst) - start;
        let due = clock.tsc(tick * PERIOD);
        check!(
            took + 20 >= due,
            "tick {tick} came after {took} ticks, {due} were asked for"
        );
        check!(
            took <= due.saturating_add(clock.late),
            "tick {tick} came after {took} ticks, {due} were asked for"
        );
    }
    // To one-shot in between: it ends.
    apic::write(LVT, u32::from(VECTOR));
    run(clock.tsc(3 * PERIOD));
    let after = fired();
    check!(
        after <= before + 11 || !clock.exact(),
        "{} ticks after the change to one-shot",
        after - before - 10
    );
    run(clock.tsc(3 * PERIOD));
    check!(fired() == after || !clock.exact(), "it still ticks");
    apic::write(INITIAL, 0);
}

fn deadline(clock: &Clock) {
    if cpu::cpuid(1, 0)[2] & 1 << 24 == 0 {
        return;
    }
    apic::write(LVT, DEADLINE | u32::from(VECTOR));
    // What was still pending comes now, and does not count.
    run(clock.tsc(10_000));
    let before = fired();
    for round in 0..5 {
        let due = cpu::rdtsc() + clock.tsc(300_000);
        cpu::wrmsr(TSC_DEADLINE, due);
        // On a busy machine it may have passed already, and reads as zero.
        let read = cpu::rdmsr(TSC_DEADLINE);
        check!(
            read == due || read == 0 && cpu::rdtsc() >= due,
            "the deadline reads as {read:#x}"
        );
        check!(apic::read(CURRENT) == 0, "the count runs in deadline mode");
        sleep_until(before + round + 1);
        let at = FIRED.load(SeqCst);
        check!(at >= due, "{} ticks early", due - at);
        check!(at - due <= clock.late, "{} ticks late", at - due);
        check!(
            cpu::rdmsr(TSC_DEADLINE) == 0,
            "a past deadline reads as {:#x}",
            cpu::rdmsr(TSC_DEADLINE)
        );
    }
    let before = fired();
    cpu::wrmsr(TSC_DEADLINE, 1);
    sleep_until(before + 1);
    // Disarmed.
    cpu::wrmsr(TSC_DEADLINE, cpu::rdtsc() + clock.tsc(500_000));
    cpu::wrmsr(TSC_DEADLINE, 0);
    run(clock.tsc(1_000_000));
    check!(
        fired() == before + 1 || !clock.exact(),
        "a disarmed deadline fired"
    );
    // In deadline mode the initial count does nothing.
    apic::write(INITIAL, 1000);
    run(clock.tsc(100_000));
    check!(
        fired() == before + 1 || !clock.exact(),
        "the initial count fired in deadline mode"
    );
    // The deadline is the guest's TSC: a jump of the TSC past it fires.
    let due = cpu::rdtsc() + (1 << 45);
    cpu::wrmsr(TSC_DEADLINE, due);
    cpu::wrmsr(0x10, due + 1);
    sleep_until(before + 2);
}
