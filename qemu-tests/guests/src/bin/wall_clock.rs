//! The time of day: the start page and the real-time clock tell the same, and with `now=SECONDS` it is that time or up to
//! `within=SECONDS` later.
#![no_std]
#![no_main]

use micro_guests::abi::start::StartInfo;
use micro_guests::{check, cpu, guest, number, result};

guest!(main);

const DAY: u64 = 86_400;

fn main(info: &'static StartInfo) {
    check!(info.boot_time != 0, "the time is unknown");
    // Twice the same, so that no update came between.
    let (mut clock, mut again) = (clock(), 0);
    while clock != again {
        (clock, again) = (again, self::clock());
    }
    let now = info.boot_time + cpu::rdtsc() / info.tsc_hz;
    result("unix_time", now);
    let apart = (now % DAY).abs_diff(clock);
    check!(
        apart <= 1 || apart == DAY - 1,
        "the clock shows {clock} seconds of the day, the start page {}",
        now % DAY
    );
    if let Some(expected) = number(info, "now") {
        let within = number(info, "within").unwrap_or(60);
        check!(
            (expected..=expected + within).contains(&now),
            "it is {now}, not {expected}"
        );
    }
}

/// Seconds of the day, by the real-time clock.
fn clock() -> u64 {
    let [seconds, minutes, hours] = [0, 2, 4].map(|index| {
        cpu::out8(0x70, index);
        let digits = u64::from(cpu::in8(0x71));
        (digits >> 4) * 10 + (digits & 15)
    });
    (hours * 60 + minutes) * 60 + seconds
}
