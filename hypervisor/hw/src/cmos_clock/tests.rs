//! The conversion, and readings that an update or the firmware disturbs.

use super::*;

/// 2026-11-22 21:55:01 UTC.
const MOMENT: i64 = 1_795_384_501;

/// A clock in memory that does something before each read.
struct Fake<F> {
    memory: [u8; 128],
    reads: u32,
    before: F,
}

impl<F: FnMut(&mut [u8; 128], u8, u32)> ClockRegisters for Fake<F> {
    fn read(&mut self, index: u8) -> u8 {
        self.reads += 1;
        (self.before)(&mut self.memory, index, self.reads);
        self.memory[usize::from(index)]
    }
}

fn still(_: &mut [u8; 128], _: u8, _: u32) {}

/// Seconds, minutes, hours, day, month, year, century at 0x32, with register B.
fn memory(time: [u8; 7], format: u8) -> [u8; 128] {
    let mut memory = [0; 128];
    for (index, value) in [0, 2, 4, 7, 8, 9, 0x32].into_iter().zip(time) {
        memory[index] = value;
    }
    (memory[11], memory[13]) = (format, D_VALID);
    memory
}

fn time(registers: [u8; 7], format: u8, century: Option<u8>) -> Result<i64, ClockError> {
    let mut clock = Fake {
        memory: memory(registers, format),
        reads: 0,
        before: still,
    };
    read(&mut clock, century)
}

const DIGITS: [u8; 7] = [0x01, 0x55, 0x21, 0x22, 0x11, 0x26, 0x20];
const H24: u8 = 2;
const BINARY: u8 = 4;

#[test]
fn every_format_is_understood() {
    assert_eq!(time(DIGITS, H24, Some(0x32)), Ok(MOMENT));
    let binary = [1, 55, 21, 22, 11, 26, 20];
    assert_eq!(time(binary, H24 | BINARY, Some(0x32)), Ok(MOMENT));
    let mut evening = DIGITS;
    evening[2] = 0x89;
    assert_eq!(time(evening, 0, Some(0x32)), Ok(MOMENT));
    let mut evening = binary;
    evening[2] = 0x89;
    assert_eq!(time(evening, BINARY, Some(0x32)), Ok(MOMENT));
}

#[test]
fn noon_and_midnight_of_a_twelve_hour_clock() {
    let at = |hour: u8, format| {
        let mut registers = DIGITS;
        registers[2] = hour;
        time(registers, format, None)
    };
    let midnight = MOMENT - 21 * 3600;
    assert_eq!(at(0x12, 0), Ok(midnight));
    assert_eq!(at(0x01, 0), Ok(midnight + 3600));
    assert_eq!(at(0x11, 0), Ok(midnight + 11 * 3600));
    assert_eq!(at(0x92, 0), Ok(midnight + 12 * 3600));
    assert_eq!(at(0x91, 0), Ok(midnight + 23 * 3600));
    assert_eq!(at(0x00, H24), Ok(midnight));
    assert_eq!(at(0x23, H24), Ok(midnight + 23 * 3600));
    assert_eq!(at(0x12, H24), Ok(midnight + 12 * 3600));
}

#[test]
fn the_century_is_this_one_where_the_firmware_does_not_tell() {
    assert_eq!(time(DIGITS, H24, None), Ok(MOMENT));
    // A register that holds no century, by its digits or by its value.
    for nonsense in [0, 0x1a, 0xff, 0x18, 0x9b] {
        let mut registers = DIGITS;
        registers[6] = nonsense;
        assert_eq!(
            time(registers, H24, Some(0x32)),
            Ok(MOMENT),
            "{nonsense:#x}"
        );
    }
    let mut registers = [1, 55, 21, 22, 11, 26, 0];
    assert_eq!(time(registers, H24 | BINARY, Some(0x32)), Ok(MOMENT));
    registers[6] = 20;
    assert_eq!(time(registers, H24 | BINARY, None), Ok(MOMENT));
    // The first second of 1999's last day, and one of the next century.
    let old = [0x00, 0x00, 0x00, 0x31, 0x12, 0x99, 0x19];
    assert_eq!(time(old, H24, Some(0x32)), Ok(946_598_400));
    let next = [0x00, 0x00, 0x00, 0x01, 0x01, 0x00, 0x21];
    assert_eq!(time(next, H24, Some(0x32)), Ok(4_102_444_800));
}

#[test]
fn leap_days_are_days() {
    let leap = [0x59, 0x59, 0x23, 0x29, 0x02, 0x24, 0x20];
    assert_eq!(time(leap, H24, None), Ok(1_709_251_199));
    let mut none = leap;
    none[5] = 0x25;
    assert_eq!(time(none, H24, None), Err(ClockError::NoDate));
}

#[test]
fn what_is_no_date_is_refused() {
    for (register, value) in [
        (0, 0x60),
        (0, 0x5a),
        (1, 0xa0),
        (2, 0x24),
        (2, 0x92),
        (3, 0x00),
        (3, 0x31),
        (3, 0x32),
        (4, 0x00),
        (4, 0x13),
        (5, 0xff),
    ] {
        let mut registers = DIGITS;
        registers[register] = value;
        let result = time(registers, H24, None);
        assert_eq!(result, Err(ClockError::NoDate), "{register}: {value:#x}");
    }
    assert_eq!(time([0xff; 7], 0xff, Some(0x32)), Err(ClockError::NoDate));
    assert_eq!(time([0; 7], 0, None), Err(ClockError::NoDate));
}

#[test]
fn a_flat_battery_is_noticed() {
    let mut clock = Fake {
        memory: memory(DIGITS, H24),
        reads: 0,
        before: still,
    };
    clock.memory[13] = 0;
    assert_eq!(read(&mut clock, None), Err(ClockError::PowerLost));
}

#[test]
fn an_update_is_waited_for() {
    let mut clock = Fake {
        memory: memory([0x59, 0x59, 0x23, 0x31, 0x12, 0x29, 0x20], H24),
        reads: 0,
        before: |memory: &mut [u8; 128], _, count| match count {
            1 => memory[10] |= A_UPDATING,
            2000 => {
                *memory = memory_of_2030();
            }
            _ => {}
        },
    };
    assert_eq!(read(&mut clock, Some(0x32)), Ok(1_893_456_000));
    assert!(clock.reads < 2030);
}

fn memory_of_2030() -> [u8; 128] {
    memory([0, 0, 0, 1, 1, 0x30, 0x20], H24)
}

#[test]
fn a_time_that_changes_while_it_is_read_is_read_again() {
    // The firmware holds the CPU up in the middle of the first reading, over the turn of the year.
    let mut clock = Fake {
        memory: memory([0x59, 0x59, 0x23, 0x31, 0x12, 0x29, 0x20], H24),
        reads: 0,
        before: |memory: &mut [u8; 128], _, count| {
            if count == 6 {
                *memory = memory_of_2030();
            }
        },
    };
    assert_eq!(read(&mut clock, None), Ok(1_893_456_000));
}

#[test]
fn a_clock_that_never_rests_is_given_up() {
    let mut clock = Fake {
        memory: memory(DIGITS, H24),
        reads: 0,
        before: |memory: &mut [u8; 128], _, _| memory[10] |= A_UPDATING,
    };
    assert_eq!(read(&mut clock, None), Err(ClockError::Restless));
    let mut clock = Fake {
        memory: memory(DIGITS, H24),
        reads: 0,
        before: |memory: &mut [u8; 128], _, count| memory[0] = (count % 10) as u8,
    };
    assert_eq!(read(&mut clock, None), Err(ClockError::Restless));
}
