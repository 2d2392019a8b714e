use super::*;
use crate::fakes::{Bench, FakeHost};

const RECORD: u64 = 0x5008;
const TSC: u64 = 2_598_439_000;
const ORIGIN: u64 = 7_000_000_000;

fn base() -> ClockBase {
    ClockBase {
        tsc: Hertz::new(TSC).unwrap(),
        guest_tsc: Hertz::new(TSC).unwrap(),
        origin: Instant(ORIGIN),
        seconds: 1_795_390_271,
    }
}

fn with<R>(
    bench: &mut Bench,
    tsc_offset: u64,
    use_it: impl FnOnce(&mut Place<'_, FakeHost>) -> R,
) -> R {
    let partition = bench.partition.clone();
    use_it(&mut Place {
        base: base(),
        tsc: GuestTsc::with_offset(tsc_offset),
        memory: &partition.memory,
        host: &mut bench.host,
    })
}

fn bytes(bench: &mut Bench, at: u64) -> [u8; 32] {
    let partition = bench.partition.clone();
    let mut bytes = [0; 32];
    partition
        .memory
        .read(&mut bench.host, Gpa::new(at), &mut bytes)
        .unwrap();
    bytes
}

fn u32_at(bytes: &[u8; 32], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn u64_at(bytes: &[u8; 32], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// What a guest computes from a record, as Linux does.
fn reading(record: &[u8; 32], tsc: u64) -> u64 {
    let delta = tsc.wrapping_sub(u64_at(record, 8));
    let shift = record[28] as i8;
    let delta = if shift < 0 {
        delta >> -shift
    } else {
        delta << shift
    };
    let scaled = (u128::from(delta) * u128::from(u32_at(record, 24))) >> 32;
    u64_at(record, 16) + scaled as u64
}

#[test]
fn a_guest_reads_the_time_to_a_billionth() {
    for rate in [
        TSC,
        1_000_000_000,
        999_999_999,
        500_000_000,
        33_000_000,
        5_200_000_000,
    ] {
        let scale = Scale::new(Hertz::new(rate).unwrap());
        assert_eq!(scale.factor >> 31, 1, "{rate}: all bits are used");
        let mut record = [0; 32];
        record[24..28].copy_from_slice(&scale.factor.to_le_bytes());
        record[28] = scale.shift as u8;
        for seconds in [1, 3600, 86_400 * 30] {
            let time = reading(&record, rate * seconds);
            let error = time.abs_diff(seconds * 1_000_000_000);
            assert!(error <= seconds, "{rate} Hz: {error} ns in {seconds} s");
        }
    }
}

#[test]
fn the_system_time_is_written_when_its_record_is_named() {
    let mut bench = Bench::guest();
    let mut clock = ParavirtualClock::default();
    for (offset, version) in [(0, 2), (1 << 40, 4)] {
        with(&mut bench, offset, |place| {
            clock
                .write_msr(SYSTEM_TIME, RECORD | 1, FEATURES, place)
                .unwrap();
        });
        let record = bytes(&mut bench, RECORD);
        assert_eq!(u32_at(&record, 0), version);
        assert_eq!(record[29], 1, "stable");
        let later = ORIGIN + offset + TSC * 10;
        assert!(reading(&record, later).abs_diff(10_000_000_000) < 10);
    }
    assert_eq!(clock.read_msr(SYSTEM_TIME, FEATURES), Ok(RECORD | 1));
    assert_eq!(clock.read_msr(OLD_SYSTEM_TIME, FEATURES), Ok(RECORD | 1));
}

#[test]
fn a_record_that_is_not_enabled_or_not_in_ram_is_not_written() {
    let mut bench = Bench::guest();
    let mut clock = ParavirtualClock::default();
    with(&mut bench, 0, |place| {
        for value in [RECORD, u64::MAX, 0xffff_f001] {
            let result = clock.write_msr(SYSTEM_TIME, value, FEATURES, place);
            assert_eq!(result, Ok(()));
        }
        let result = clock.write_msr(WALL_CLOCK, u64::MAX, FEATURES, place);
        assert_eq!(result, Ok(()));
    });
    assert_eq!(bytes(&mut bench, RECORD), [0; 32]);
}

#[test]
fn the_wall_clock_is_the_time_at_system_time_zero() {
    let mut bench = Bench::guest();
    let mut clock = ParavirtualClock::default();
    with(&mut bench, 0, |place| {
        clock
            .write_msr(WALL_CLOCK, RECORD, FEATURES, place)
            .unwrap();
    });
    let record = bytes(&mut bench, RECORD);
    assert_eq!(u32_at(&record, 0) % 2, 0);
    assert_eq!((u32_at(&record, 4), u32_at(&record, 8)), (1_795_390_271, 0));
}

#[test]
fn stolen_time_counts_from_its_enabling_and_is_written_when_worth_it() {
    let mut bench = Bench::guest();
    let tsc = base().tsc;
    let mut clock = ParavirtualClock::default();
    assert!(!clock.add_stolen(Ticks(TSC), tsc), "nobody looks");
    with(&mut bench, 0, |place| {
        for reserved in [2, 0x20] {
            let value = 0x6000 | reserved | 1;
            let result = clock.write_msr(STEAL_TIME, value, FEATURES, place);
            assert_eq!(result, Err(GuestFault::GP0));
        }
        clock
            .write_msr(STEAL_TIME, 0x6001, FEATURES, place)
            .unwrap();
    });
    let record = bytes(&mut bench, 0x6000);
    assert_eq!((u64_at(&record, 0), u32_at(&record, 8)), (0, 2));
    assert!(!clock.add_stolen(Ticks(100), tsc));
    assert!(clock.add_stolen(Ticks(TSC - 100), tsc));
    with(&mut bench, 0, |place| clock.report_stolen(place));
    let record = bytes(&mut bench, 0x6000);
    assert!(u64_at(&record, 0).abs_diff(1_000_000_000) <= 1);
    assert_eq!(u32_at(&record, 8), 4);
    assert!(!clock.add_stolen(Ticks(1), tsc), "told");
}

#[test]
fn msrs_of_features_that_are_not_shown_do_not_exist() {
    let mut bench = Bench::guest();
    let mut clock = ParavirtualClock::default();
    for msr in [
        OLD_WALL_CLOCK,
        OLD_SYSTEM_TIME,
        WALL_CLOCK,
        SYSTEM_TIME,
        STEAL_TIME,
    ] {
        assert!(ParavirtualClock::has(msr));
        assert_eq!(clock.read_msr(msr, 0), Err(GuestFault::GP0));
        let result = with(&mut bench, 0, |place| clock.write_msr(msr, 1, 0, place));
        assert_eq!(result, Err(GuestFault::GP0));
    }
    assert!(!ParavirtualClock::has(0x4b56_4d02));
    assert!(!ParavirtualClock::has(0x4b56_4d04));
}

#[test]
fn a_guest_whose_tsc_is_scaled_reads_the_same_time() {
    let mut bench = Bench::guest();
    let guest = Hertz::new(TSC / 3).unwrap();
    let mut scaled = base();
    scaled.guest_tsc = guest;
    let tsc = GuestTsc {
        scale: scaled.scale(),
        offset: 0x1_0000_0000,
    };
    let partition = bench.partition.clone();
    Place {
        base: scaled,
        tsc,
        memory: &partition.memory,
        host: &mut bench.host,
    }
    .write_system_time(Gpa::new(RECORD), 2);
    let record = bytes(&mut bench, RECORD);
    for seconds in [0, 1, 86_400] {
        let now = Instant(ORIGIN + seconds * TSC);
        let found = reading(&record, tsc.at(now));
        let error = found.abs_diff(seconds * 1_000_000_000);
        assert!(error <= 4 + seconds, "{error} ns after {seconds} s");
    }
}
