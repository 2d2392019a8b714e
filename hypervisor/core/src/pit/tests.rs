use super::*;
use crate::time::Ticks;

/// 100 TSC ticks a count.
const PER_COUNT: u64 = 100;
const START: Instant = Instant(1_000_000);

fn pit() -> Pit {
    Pit::new(Hertz::new(1_193_182 * PER_COUNT).unwrap(), START)
}

fn at(counts: u64) -> Instant {
    START + Ticks(counts * PER_COUNT + PER_COUNT / 2)
}

fn program(pit: &mut Pit, channel: u8, mode: u8, count: u16, now: Instant) {
    pit.write(0x43, channel << 6 | 0x30 | mode << 1, now);
    for byte in count.to_le_bytes() {
        pit.write(0x40 + u16::from(channel), byte, now);
    }
}

fn count(pit: &mut Pit, channel: u8, now: Instant) -> u16 {
    pit.write(0x43, channel << 6, now);
    let port = 0x40 + u16::from(channel);
    u16::from_le_bytes([pit.read(port, now), pit.read(port, now)])
}

fn output(pit: &mut Pit, channel: u8, now: Instant) -> bool {
    pit.write(0x43, 0xe0 | 2 << channel, now);
    pit.read(0x40 + u16::from(channel), now) & 0x80 != 0
}

/// The counts at which channel 0 fires, when asked at every deadline.
fn edges(pit: &mut Pit, number: usize) -> Vec<u64> {
    let mut all = Vec::new();
    while all.len() < number && pit.deadline() != Instant::NEVER {
        let due = pit.deadline();
        assert_eq!(pit.expire(due - Ticks(1)), Fired::No);
        assert_eq!(pit.expire(due), Fired::Yes);
        all.push(due.since(START).0 / PER_COUNT);
    }
    all
}

#[test]
fn nothing_fires_before_it_is_programmed() {
    let mut pit = pit();
    assert_eq!(pit.deadline(), Instant::NEVER);
    assert_eq!(pit.expire(at(1 << 30)), Fired::No);
}

#[test]
fn mode_0_fires_once() {
    let mut pit = pit();
    program(&mut pit, 0, 0, 1000, START);
    assert!(!output(&mut pit, 0, START));
    assert_eq!(count(&mut pit, 0, at(400)), 600);
    assert_eq!(edges(&mut pit, 5), [1000]);
    assert!(output(&mut pit, 0, at(1000)));
    assert_eq!(count(&mut pit, 0, at(1001)), 0xffff, "goes on counting");
}

#[test]
fn modes_2_and_3_are_periodic_without_drift() {
    for mode in [2, 3, 6, 7] {
        let mut pit = pit();
        program(&mut pit, 0, mode, 1193, START);
        let expected: Vec<u64> = (1..=1000).map(|n| n * 1193).collect();
        assert_eq!(edges(&mut pit, 1000), expected, "mode {mode}");
    }
}

#[test]
fn missed_periods_are_one_edge() {
    let mut pit = pit();
    program(&mut pit, 0, 2, 1000, START);
    assert_eq!(pit.expire(at(7300)), Fired::Yes);
    assert_eq!(pit.expire(at(7300)), Fired::No);
    assert_eq!(pit.deadline().since(START).0 / PER_COUNT, 8000);
}

#[test]
fn mode_2_dips_for_one_count() {
    let mut pit = pit();
    program(&mut pit, 0, 2, 100, START);
    for counts in 0..300 {
        assert_eq!(
            output(&mut pit, 0, at(counts)),
            counts % 100 != 99,
            "{counts}"
        );
        assert_eq!(
            u64::from(count(&mut pit, 0, at(counts))),
            100 - counts % 100
        );
    }
}

#[test]
fn mode_3_is_a_square_wave() {
    for period in [100u64, 101] {
        let mut pit = pit();
        program(&mut pit, 0, 3, period as u16, START);
        for counts in 0..300 {
            let high = counts % period < period.div_ceil(2);
            assert_eq!(
                output(&mut pit, 0, at(counts)),
                high,
                "{counts} of {period}"
            );
            assert_eq!(count(&mut pit, 0, at(counts)) & 1, 0, "counts by two");
        }
    }
}

#[test]
fn mode_4_strobes_once() {
    let mut pit = pit();
    program(&mut pit, 0, 4, 100, START);
    for counts in 0..300 {
        assert_eq!(output(&mut pit, 0, at(counts)), counts != 100, "{counts}");
    }
    assert_eq!(edges(&mut pit, 5), [101]);
}

#[test]
fn a_count_of_zero_is_the_largest() {
    let mut pit = pit();
    program(&mut pit, 0, 2, 0, START);
    assert_eq!(edges(&mut pit, 2), [65536, 131_072]);
    assert_eq!(count(&mut pit, 0, at(65536)), 0);
    assert_eq!(count(&mut pit, 0, at(65537)), 0xffff);
}

#[test]
fn decimal_counters_count_in_digits() {
    let mut pit = pit();
    pit.write(0x43, 0x31, START);
    pit.write(0x40, 0x34, START);
    pit.write(0x40, 0x12, START);
    assert_eq!(count(&mut pit, 0, at(35)), 0x1199);
    assert_eq!(edges(&mut pit, 2), [1234]);
    assert_eq!(count(&mut pit, 0, at(1235)), 0x9999);
}

#[test]
fn single_bytes_set_one_half() {
    let mut pit = pit();
    pit.write(0x43, 0x10, START);
    pit.write(0x40, 200, START);
    assert_eq!(pit.read(0x40, at(50)), 150);
    assert_eq!(edges(&mut pit, 1), [200]);
    let mut pit = super::tests::pit();
    pit.write(0x43, 0x20, START);
    pit.write(0x40, 2, START);
    assert_eq!(edges(&mut pit, 1), [512]);
    assert_eq!(pit.read(0x40, at(100)), 1);
}

#[test]
fn latches_hold_until_they_are_read() {
    let mut pit = pit();
    program(&mut pit, 0, 2, 1000, START);
    pit.write(0x43, 0x00, at(100));
    pit.write(0x43, 0x00, at(200));
    let low = pit.read(0x40, at(300));
    let high = pit.read(0x40, at(400));
    assert_eq!(u16::from_le_bytes([low, high]), 900);
    pit.write(0x43, 0xc2, at(500));
    assert_eq!(
        pit.read(0x40, at(500)),
        0xb4,
        "status first: high, word, mode 2"
    );
    let low = pit.read(0x40, at(600));
    let high = pit.read(0x40, at(600));
    assert_eq!(
        u16::from_le_bytes([low, high]),
        500,
        "then the count of the same command"
    );
    pit.write(0x43, 0x34, at(700));
    pit.write(0x43, 0xe2, at(700));
    assert_eq!(pit.read(0x40, at(700)), 0xf4, "no count yet");
}

#[test]
fn the_first_byte_stops_mode_0() {
    let mut pit = pit();
    program(&mut pit, 0, 0, 1000, START);
    pit.write(0x40, 0x10, at(10));
    assert_eq!(pit.deadline(), Instant::NEVER);
    pit.write(0x40, 0x00, at(20));
    let due = pit.deadline().since(START).0 / PER_COUNT;
    assert_eq!(due, 36, "16 counts from the second byte, half a count late");
}

#[test]
fn port_61_gates_channel_2() {
    let mut pit = pit();
    program(&mut pit, 2, 0, 1000, START);
    assert_eq!(pit.read(0x61, at(2000)) & 0x23, 0, "the gate is closed");
    pit.write(0x61, 1, START + Ticks(2000 * PER_COUNT));
    assert_eq!(count(&mut pit, 2, at(2400)), 600);
    assert_eq!(pit.read(0x61, at(2400)) & 0x23, 1);
    pit.write(0x61, 2, at(2500));
    assert_eq!(count(&mut pit, 2, at(9000)), 500, "held");
    pit.write(0x61, 3, at(10_000));
    assert_eq!(pit.read(0x61, at(10_400)) & 0x23, 3);
    assert_eq!(pit.read(0x61, at(10_501)) & 0x23, 0x23, "output");
    program(&mut pit, 2, 1, 100, at(20_000));
    assert!(
        output(&mut pit, 2, at(20_500)),
        "mode 1 waits for a trigger"
    );
    pit.write(0x61, 0, at(21_000));
    pit.write(0x61, 1, at(22_000));
    assert!(!output(&mut pit, 2, at(22_050)));
    assert!(output(&mut pit, 2, at(22_101)));
    program(&mut pit, 2, 3, 100, at(30_000));
    assert!(!output(&mut pit, 2, at(30_075)));
    pit.write(0x61, 0, at(30_075));
    assert!(
        output(&mut pit, 2, at(30_075)),
        "a closed gate forces mode 3 high"
    );
}

#[test]
fn the_refresh_bit_toggles() {
    let mut pit = pit();
    let seen: Vec<u8> = (0..4)
        .map(|n| pit.read(0x61, at(16 * n)) >> 4 & 1)
        .collect();
    assert_eq!(seen, [0, 1, 0, 1]);
}

#[test]
fn a_saved_timer_goes_on_elsewhere() {
    let mut pit = pit();
    program(&mut pit, 0, 2, 1000, START);
    program(&mut pit, 2, 0, 5000, START);
    pit.write(0x61, 1, at(0));
    pit.write(0x40, 7, at(300));
    let state = pit.save(at(1300));
    let mut copy = super::tests::pit();
    let elsewhere = Instant(50_000_000);
    copy.restore(&state, elsewhere).unwrap();
    assert_eq!(
        copy.expire(elsewhere),
        Fired::Yes,
        "the edge at 1000 was not reported yet"
    );
    assert_eq!(copy.expire(elsewhere), Fired::No);
    let wait = copy.deadline().since(elsewhere).0;
    assert!(wait.abs_diff(700 * PER_COUNT) <= PER_COUNT, "{wait}");
    let left = count(&mut copy, 2, elsewhere + Ticks(PER_COUNT / 2));
    assert!(left.abs_diff(3700) <= 1, "{left}");
    let mut bad = state;
    bad.channels[0].mode = 6;
    assert!(copy.restore(&bad, elsewhere).is_err());
    bad = state;
    bad.channels[1].phase = Phase::Counting;
    assert!(copy.restore(&bad, elsewhere).is_err());
}

#[test]
fn no_sequence_of_accesses_goes_wrong() {
    let mut pit = Pit::new(Hertz::new(2_999_999_999).unwrap(), START);
    let mut seed = 99u64;
    let mut now = START;
    for _ in 0..200_000 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let value = (seed >> 40) as u8;
        let port = PORTS[(seed >> 33) as usize % 5];
        now = now + Ticks(seed >> 44);
        match seed >> 62 {
            0 => drop(pit.read(port, now)),
            1 => {
                let _ = pit.expire(now);
            }
            _ => pit.write(port, value, now),
        }
        let state = pit.save(now);
        assert_eq!(pit.restore(&state, now), Ok(()), "{state:?}");
    }
}
