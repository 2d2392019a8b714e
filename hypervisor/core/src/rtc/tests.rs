use super::*;
use crate::time::Ticks;

/// 1000 TSC ticks an oscillator period.
const PER_PERIOD: u64 = 1000;
const SECOND: u64 = 32_768 * PER_PERIOD;
const START: Instant = Instant(5_000_000);
/// 2026-11-22 20:16:27, a Sunday.
const TIME: i64 = 20_779 * 86_400 + 20 * 3600 + 16 * 60 + 27;

fn rtc() -> Rtc {
    Rtc::new(TIME, Hertz::new(SECOND).unwrap(), START)
}

/// A little past that many seconds, where rounding does not matter.
fn at(seconds: u64) -> Instant {
    START + Ticks(seconds * SECOND + 10 * PER_PERIOD)
}

fn get(rtc: &mut Rtc, index: u8, now: Instant) -> u8 {
    rtc.write(0x70, index, now);
    rtc.read(0x71, now)
}

fn set(rtc: &mut Rtc, index: u8, value: u8, now: Instant) -> Level {
    rtc.write(0x70, index, now);
    rtc.write(0x71, value, now)
}

fn shown(rtc: &mut Rtc, now: Instant) -> [u8; 8] {
    [reg::CENTURY, 9, 8, 7, 6, 4, 2, 0].map(|index| get(rtc, index, now))
}

#[test]
fn the_time_is_shown_in_every_format() {
    let mut rtc = rtc();
    assert_eq!(
        shown(&mut rtc, at(0)),
        [0x20, 0x26, 0x11, 0x22, 1, 0x20, 0x16, 0x27]
    );
    set(&mut rtc, reg::B, reg::B_24_HOURS | reg::B_BINARY, at(0));
    assert_eq!(shown(&mut rtc, at(0)), [20, 26, 11, 22, 1, 20, 16, 27]);
    set(&mut rtc, reg::B, 0, at(0));
    assert_eq!(
        shown(&mut rtc, at(0)),
        [0x20, 0x26, 0x11, 0x22, 1, 0x88, 0x16, 0x27]
    );
    assert_eq!(get(&mut rtc, reg::D, at(0)), 0x80);
}

#[test]
fn the_time_goes_on() {
    let mut rtc = rtc();
    let evening = 86_400 - (20 * 3600 + 16 * 60 + 27);
    assert_eq!(
        shown(&mut rtc, at(evening - 1)),
        [0x20, 0x26, 0x11, 0x22, 1, 0x23, 0x59, 0x59]
    );
    assert_eq!(
        shown(&mut rtc, at(evening)),
        [0x20, 0x26, 0x11, 0x23, 2, 0, 0, 0]
    );
    let years = 3 * 365 * 86_400;
    assert_eq!(
        shown(&mut rtc, at(evening + years))[..4],
        [0x20, 0x29, 0x11, 0x22]
    );
}

#[test]
fn set_stops_the_clock_until_it_is_set() {
    let mut rtc = rtc();
    set(&mut rtc, reg::B, 0x82, at(1));
    assert_eq!(get(&mut rtc, 0, at(100)), 0x28, "stopped");
    for (index, value) in [
        (reg::CENTURY, 0x19),
        (9, 0x99),
        (8, 0x12),
        (7, 0x31),
        (4, 0x23),
        (2, 0x59),
        (0, 0x58),
    ] {
        set(&mut rtc, index, value, at(100));
    }
    set(&mut rtc, reg::B, 2, at(100));
    assert_eq!(shown(&mut rtc, at(102)), [0x20, 0, 1, 1, 7, 0, 0, 0]);
    assert_eq!(rtc.time(at(102)), 946_684_800);
}

#[test]
fn the_first_second_after_a_divider_reset_takes_half() {
    // What Linux does to set the time to the half second.
    let mut rtc = rtc();
    set(&mut rtc, reg::B, 0x82, at(10));
    set(&mut rtc, reg::A, 0x76, at(10));
    set(&mut rtc, 0, 0x00, at(11));
    set(&mut rtc, reg::B, 0x02, at(12));
    assert_eq!(get(&mut rtc, 0, at(20)), 0, "the divider still holds");
    set(&mut rtc, reg::A, 0x26, at(20));
    assert_eq!(get(&mut rtc, 0, at(20) + Ticks(SECOND * 49 / 100)), 0);
    assert_eq!(get(&mut rtc, 0, at(20) + Ticks(SECOND * 51 / 100)), 1);
    assert_eq!(get(&mut rtc, 0, at(20) + Ticks(SECOND * 151 / 100)), 2);
}

#[test]
fn a_register_written_on_the_run_changes_its_part() {
    let mut rtc = rtc();
    set(&mut rtc, 2, 0x45, at(5));
    assert_eq!(
        shown(&mut rtc, at(6)),
        [0x20, 0x26, 0x11, 0x22, 1, 0x20, 0x45, 0x33]
    );
}

#[test]
fn the_update_flag_warns_before_each_second() {
    let mut rtc = rtc();
    let before = |periods: u64| START + Ticks(SECOND * 3 - periods * PER_PERIOD + 1);
    assert_eq!(get(&mut rtc, reg::A, before(20)) & 0x80, 0);
    assert_eq!(get(&mut rtc, reg::A, before(7)) & 0x80, 0x80);
    assert_eq!(
        get(&mut rtc, reg::A, before(0) + Ticks(PER_PERIOD)) & 0x80,
        0
    );
    set(&mut rtc, reg::B, 0x82, before(7));
    assert_eq!(get(&mut rtc, reg::A, before(7)) & 0x80, 0, "stopped");
}

#[test]
fn flags_are_set_without_enables_and_cleared_by_reading() {
    let mut rtc = rtc();
    assert_eq!(rtc.deadline(), Instant::NEVER);
    assert_eq!(get(&mut rtc, reg::C, at(1)), 0x50, "update and periodic");
    assert_eq!(get(&mut rtc, reg::C, at(1)), 0);
    assert_eq!(rtc.output(), Level::Low);
}

#[test]
fn the_update_interrupt_comes_every_second() {
    let mut rtc = rtc();
    get(&mut rtc, reg::C, at(0));
    assert_eq!(set(&mut rtc, reg::B, 0x12, at(0)), Level::Low);
    for second in 1..5 {
        let due = rtc.deadline();
        assert!(
            due.since(START).0.abs_diff(second * SECOND) <= PER_PERIOD,
            "{due:?}"
        );
        assert_eq!(rtc.expire(due - Ticks(PER_PERIOD * 2)), Level::Low);
        assert_eq!(rtc.expire(due), Level::High);
        assert_eq!(
            rtc.deadline(),
            Instant::NEVER,
            "nothing before it is acknowledged"
        );
        assert_eq!(get(&mut rtc, reg::C, due) & 0x90, 0x90);
        assert_eq!(rtc.output(), Level::Low);
    }
}

#[test]
fn the_periodic_interrupt_has_its_rates() {
    for (rate, per_second) in [
        (6u8, 1024u64),
        (3, 8192),
        (15, 2),
        (1, 256),
        (2, 128),
        (10, 64),
    ] {
        let mut rtc = rtc();
        set(&mut rtc, reg::A, 0x20 | rate, START);
        set(&mut rtc, reg::B, 0x42, START);
        get(&mut rtc, reg::C, START);
        for number in 1..20 {
            let due = rtc.deadline();
            let expected = number * SECOND / per_second;
            assert!(
                due.since(START).0.abs_diff(expected) <= 1,
                "rate {rate}: {due:?}"
            );
            assert_eq!(rtc.expire(due), Level::High);
            assert_eq!(get(&mut rtc, reg::C, due) & 0xc0, 0xc0);
        }
    }
    let mut rtc = rtc();
    set(&mut rtc, reg::A, 0x20, START);
    set(&mut rtc, reg::B, 0x42, START);
    assert_eq!(rtc.deadline(), Instant::NEVER, "rate 0 is off");
}

#[test]
fn the_alarm_rings() {
    let mut rtc = rtc();
    for (index, value) in [(5, 0x20), (3, 0x17), (1, 0x00)] {
        set(&mut rtc, index, value, at(0));
    }
    get(&mut rtc, reg::C, at(0));
    set(&mut rtc, reg::B, 0x22, at(0));
    let due = rtc.deadline();
    assert!(
        due.since(START).0.abs_diff(33 * SECOND) <= PER_PERIOD,
        "{due:?}"
    );
    assert_eq!(rtc.expire(at(32)), Level::Low);
    assert_eq!(rtc.expire(due), Level::High);
    assert_eq!(get(&mut rtc, reg::C, due) & 0xa0, 0xa0);
    let next = rtc.deadline();
    assert!(
        next.since(due).0.abs_diff(86_400 * SECOND) <= PER_PERIOD,
        "a day later"
    );
    set(&mut rtc, 5, 0xff, due);
    assert!(
        rtc.deadline().since(due).0.abs_diff(3600 * SECOND) <= PER_PERIOD,
        "any hour"
    );
}

#[test]
fn an_alarm_that_was_slept_over_is_noticed() {
    let mut rtc = rtc();
    for (index, value) in [(5, 0x03), (3, 0x00), (1, 0x00)] {
        set(&mut rtc, index, value, at(0));
    }
    get(&mut rtc, reg::C, at(0));
    assert_eq!(get(&mut rtc, reg::C, at(3 * 3600)) & 0x20, 0);
    assert_eq!(get(&mut rtc, reg::C, at(12 * 3600)) & 0x20, 0x20);
}

#[test]
fn enabling_an_interrupt_whose_flag_is_set_raises_it() {
    let mut rtc = rtc();
    rtc.expire(at(2));
    assert_eq!(rtc.output(), Level::Low);
    assert_eq!(set(&mut rtc, reg::B, 0x12, at(2)), Level::High);
    rtc.reset(at(2));
    assert_eq!(rtc.output(), Level::Low);
    assert_eq!(get(&mut rtc, reg::B, at(2)), 2);
}

#[test]
fn memory_keeps_bytes() {
    let mut rtc = rtc();
    rtc.set_memory(0x38, 0x5a);
    rtc.set_memory(0x0a, 0xff);
    assert_eq!(get(&mut rtc, 0x38, START), 0x5a);
    assert_eq!(get(&mut rtc, 0x0a, START), 0x26);
    set(&mut rtc, 0xff, 7, START);
    assert_eq!(
        get(&mut rtc, 0x7f, START),
        7,
        "bit 7 of the index is the NMI mask"
    );
    set(&mut rtc, reg::D, 0, START);
    assert_eq!(get(&mut rtc, reg::D, START), 0x80);
}

#[test]
fn a_saved_clock_goes_on_elsewhere() {
    let mut rtc = rtc();
    set(&mut rtc, reg::B, 0x12, START);
    get(&mut rtc, reg::C, START);
    let state = rtc.save(START + Ticks(SECOND * 5 / 2));
    let mut copy = Rtc::new(0, Hertz::new(SECOND).unwrap(), START);
    let elsewhere = Instant(11);
    copy.restore(&state, elsewhere).unwrap();
    assert_eq!(copy.time(elsewhere), TIME + 2);
    assert_eq!(copy.output(), Level::High);
    get(&mut copy, reg::C, elsewhere);
    let wait = copy.deadline().since(elsewhere).0;
    assert!(wait.abs_diff(SECOND / 2) <= 2 * PER_PERIOD, "{wait}");
    let mut bad = [state; 3];
    bad[0].fraction = 0x8000;
    bad[1].memory[13] = 0;
    bad[2].seconds = i64::MAX;
    for state in bad {
        assert!(copy.restore(&state, elsewhere).is_err());
    }
}

#[test]
fn no_sequence_of_accesses_goes_wrong() {
    let mut rtc = rtc();
    let mut seed = 31u64;
    let mut now = START;
    for _ in 0..200_000 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        now = now + Ticks(seed >> 36);
        let value = (seed >> 20) as u8;
        let index = if seed >> 63 == 0 {
            (seed >> 28) as u8 & 15
        } else {
            reg::CENTURY
        };
        match seed >> 60 & 7 {
            0..4 => drop(set(&mut rtc, index, value, now)),
            4..6 => drop(get(&mut rtc, index, now)),
            6 => drop(rtc.expire(now)),
            _ => {
                let state = rtc.save(now);
                assert_eq!(rtc.restore(&state, now), Ok(()), "{state:?}");
            }
        }
        let _ = rtc.deadline();
    }
}
