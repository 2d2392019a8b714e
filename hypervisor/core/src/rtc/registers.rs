//! Register numbers and bits of the MC146818.

pub(super) const SECONDS: u8 = 0;
pub(super) const SECONDS_ALARM: u8 = 1;
pub(super) const MINUTES: u8 = 2;
pub(super) const MINUTES_ALARM: u8 = 3;
pub(super) const HOURS: u8 = 4;
pub(super) const HOURS_ALARM: u8 = 5;
pub(super) const DAY_OF_WEEK: u8 = 6;
pub(super) const DAY: u8 = 7;
pub(super) const MONTH: u8 = 8;
pub(super) const YEAR: u8 = 9;
pub(super) const A: u8 = 10;
pub(super) const B: u8 = 11;
pub(super) const C: u8 = 12;
pub(super) const D: u8 = 13;
/// Where the FADT of a partition says that the century is.
pub(super) const CENTURY: u8 = 0x32;

/// The registers that show the time.
pub(super) const TIME: [u8; 8] = [
    SECONDS,
    MINUTES,
    HOURS,
    DAY_OF_WEEK,
    DAY,
    MONTH,
    YEAR,
    CENTURY,
];

/// A: an update is about to happen.
pub(super) const A_UPDATING: u8 = 1 << 7;
/// A: the divider.
pub(super) const A_DIVIDER: u8 = 0b111 << 4;
/// A: the divider for the 32768 Hz oscillator; above it the chain is held in reset.
pub(super) const A_DIVIDER_RUNS: u8 = 0b010 << 4;
/// A: the divider, and 1024 Hz for the periodic interrupt.
pub(super) const A_DEFAULT: u8 = A_DIVIDER_RUNS | 6;

/// B: updates are stopped, the time can be set.
pub(super) const B_SET: u8 = 1 << 7;
/// B: periodic interrupt enabled.
pub(super) const B_PERIODIC: u8 = 1 << 6;
/// B: alarm interrupt enabled.
pub(super) const B_ALARM: u8 = 1 << 5;
/// B: update-ended interrupt enabled.
pub(super) const B_UPDATE: u8 = 1 << 4;
/// B: square-wave output.
pub(super) const B_SQUARE: u8 = 1 << 3;
/// B: the registers are binary, not decimal digits.
pub(super) const B_BINARY: u8 = 1 << 2;
/// B: hours go to 23, not to 12 with a flag.
pub(super) const B_24_HOURS: u8 = 1 << 1;

/// C: the output is asserted. The other flags are at the positions of their enables.
pub(super) const C_REQUEST: u8 = 1 << 7;
/// C: periodic flag.
pub(super) const C_PERIODIC: u8 = B_PERIODIC;
/// C: alarm flag.
pub(super) const C_ALARM: u8 = B_ALARM;
/// C: update-ended flag.
pub(super) const C_UPDATE: u8 = B_UPDATE;

/// D: the battery is good.
pub(super) const D_VALID: u8 = 1 << 7;

/// Whether the register shows the time.
pub(super) const fn is_time(index: u8) -> bool {
    matches!(
        index,
        SECONDS | MINUTES | HOURS | DAY_OF_WEEK..=YEAR | CENTURY
    )
}

/// Whether the index is one of a register and not of memory.
pub(super) const fn is_register(index: u8) -> bool {
    index <= D || index == CENTURY
}

/// The period of the periodic flag: binary logarithm of its length in oscillator periods.
pub(super) const fn period_shift(a: u8) -> Option<u32> {
    match a & 15 {
        0 => None,
        // The two fastest selections are those of 256 and 128 Hz once more.
        rate @ (1 | 2) => Some(rate as u32 + 6),
        rate => Some(rate as u32 - 1),
    }
}
