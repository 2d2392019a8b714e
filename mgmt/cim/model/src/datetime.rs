//! The CIM datetime type (DSP0004 5.2.4): timestamps and intervals, 25 characters, with unknown low-order
//! digits written as asterisks.
//!
//! Two values compare by instant (or length); unknown digits count as the smallest possible ones and a less
//! precise value sorts before a more precise one of the same instant.

use crate::calendar::{date_from_days, days_from_date, days_in_month};
use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::str::FromStr;

const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_MINUTE: i64 = 60 * MICROS_PER_SECOND;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;
/// Digits before the zone: 14 for date and time, 6 for the fraction.
const DIGITS: u8 = 20;
const LENGTH: usize = 25;

/// Why a text or a set of numbers is not a CIM datetime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateTimeError {
    /// The text does not have exactly 25 characters.
    Length,
    /// A character at this index is not what the format has there.
    Character(u8),
    /// Asterisks do not cover whole fields from the right.
    Wildcard,
    /// A field is out of range; the name of the field.
    Range(&'static str),
}

impl fmt::Display for DateTimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DateTimeError::Length => f.write_str("a datetime has exactly 25 characters"),
            DateTimeError::Character(index) => {
                write!(f, "character {index} of the datetime is not allowed there")
            }
            DateTimeError::Wildcard => {
                f.write_str("asterisks in a datetime must cover whole fields from the right")
            }
            DateTimeError::Range(field) => write!(f, "the {field} of the datetime is out of range"),
        }
    }
}

impl core::error::Error for DateTimeError {}

/// A point in time or a length of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DateTime {
    /// A point in time.
    Timestamp(Timestamp),
    /// A length of time.
    Interval(Interval),
}

/// A point in time, with the offset from UTC it was written with and its precision.
#[derive(Clone, Copy, Debug)]
pub struct Timestamp {
    /// Microseconds since 1970-01-01T00:00:00 UTC.
    unix_micros: i64,
    /// Minutes east of UTC.
    offset: i16,
    /// Number of known digits, 0..=20.
    known: u8,
}

impl Timestamp {
    /// A timestamp from microseconds since 1970-01-01T00:00:00 UTC, shown with `offset` minutes east of UTC.
    ///
    /// # Errors
    /// `Range` when the local year is outside 0..=9999 or the offset outside -999..=999.
    pub fn from_unix_micros(unix_micros: i64, offset: i16) -> Result<Self, DateTimeError> {
        if !(-999..=999).contains(&offset) {
            return Err(DateTimeError::Range("UTC offset"));
        }
        let local = unix_micros
            .checked_add(i64::from(offset) * MICROS_PER_MINUTE)
            .ok_or(DateTimeError::Range("year"))?;
        let (year, _, _) = date_from_days(local.div_euclid(MICROS_PER_DAY));
        if !(0..=9999).contains(&year) {
            return Err(DateTimeError::Range("year"));
        }
        Ok(Timestamp {
            unix_micros,
            offset,
            known: DIGITS,
        })
    }

    /// Microseconds since 1970-01-01T00:00:00 UTC; unknown digits count as the smallest possible ones.
    pub const fn unix_micros(self) -> i64 {
        self.unix_micros
    }

    /// Minutes east of UTC that the timestamp is shown with.
    pub const fn utc_offset(self) -> i16 {
        self.offset
    }

    /// How many of the 20 digits are known.
    pub const fn known_digits(self) -> u8 {
        self.known
    }
}

/// A length of time in microseconds, with its precision.
#[derive(Clone, Copy, Debug)]
pub struct Interval {
    micros: i64,
    known: u8,
}

impl Interval {
    /// The zero interval.
    pub const ZERO: Interval = Interval {
        micros: 0,
        known: DIGITS,
    };

    /// An interval of this many microseconds.
    ///
    /// # Errors
    /// `Range` above 99,999,999 days.
    pub fn from_micros(micros: u64) -> Result<Self, DateTimeError> {
        let micros = i64::try_from(micros).map_err(|_| DateTimeError::Range("days"))?;
        if micros / MICROS_PER_DAY > 99_999_999 {
            return Err(DateTimeError::Range("days"));
        }
        Ok(Interval {
            micros,
            known: DIGITS,
        })
    }

    /// The length in microseconds; unknown digits count as zero.
    pub const fn micros(self) -> u64 {
        self.micros.unsigned_abs()
    }

    /// How many of the 20 digits are known.
    pub const fn known_digits(self) -> u8 {
        self.known
    }
}

macro_rules! order_by {
    ($type:ident, $field:ident) => {
        impl PartialEq for $type {
            fn eq(&self, other: &Self) -> bool {
                self.cmp(other).is_eq()
            }
        }
        impl Eq for $type {}
        impl PartialOrd for $type {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }
        impl Ord for $type {
            fn cmp(&self, other: &Self) -> Ordering {
                (self.$field, self.known).cmp(&(other.$field, other.known))
            }
        }
        impl Hash for $type {
            fn hash<H: Hasher>(&self, state: &mut H) {
                (self.$field, self.known).hash(state);
            }
        }
    };
}

order_by!(Timestamp, unix_micros);
order_by!(Interval, micros);

impl DateTime {
    /// A UTC timestamp from microseconds since 1970-01-01.
    ///
    /// # Errors
    /// `Range` when the year is outside 0..=9999.
    pub fn from_unix_micros(unix_micros: i64) -> Result<Self, DateTimeError> {
        Timestamp::from_unix_micros(unix_micros, 0).map(DateTime::Timestamp)
    }

    /// An interval of this many microseconds.
    ///
    /// # Errors
    /// `Range` above 99,999,999 days.
    pub fn from_interval_micros(micros: u64) -> Result<Self, DateTimeError> {
        Interval::from_micros(micros).map(DateTime::Interval)
    }

    /// Whether this is an interval.
    pub const fn is_interval(self) -> bool {
        matches!(self, DateTime::Interval(_))
    }

    /// The 25 characters.
    pub fn to_chars(self) -> [u8; LENGTH] {
        let (fields, known, zone) = match self {
            DateTime::Timestamp(stamp) => {
                let local = stamp
                    .unix_micros
                    .saturating_add(i64::from(stamp.offset) * MICROS_PER_MINUTE);
                let (year, month, day) = date_from_days(local.div_euclid(MICROS_PER_DAY));
                let date = year.unsigned_abs() * 10_000 + u64::from(month) * 100 + u64::from(day);
                let sign = if stamp.offset < 0 { b'-' } else { b'+' };
                let zone = (sign, stamp.offset.unsigned_abs());
                ((date, local.rem_euclid(MICROS_PER_DAY)), stamp.known, zone)
            }
            DateTime::Interval(interval) => {
                let days = (interval.micros / MICROS_PER_DAY).unsigned_abs();
                (
                    (days, interval.micros % MICROS_PER_DAY),
                    interval.known,
                    (b':', 0),
                )
            }
        };
        let (date, in_day) = fields;
        let in_day = in_day.unsigned_abs();
        let seconds = in_day / 1_000_000;
        let time = seconds / 3_600 * 10_000 + seconds / 60 % 60 * 100 + seconds % 60;

        let mut digits = [b'0'; DIGITS as usize];
        let (head, fraction) = digits.split_at_mut(14);
        let (head_date, head_time) = head.split_at_mut(8);
        put_decimal(head_date, date);
        put_decimal(head_time, time);
        put_decimal(fraction, in_day % 1_000_000);
        for unknown in digits.iter_mut().skip(usize::from(known)) {
            *unknown = b'*';
        }

        let mut chars = [b'.'; LENGTH];
        let without_point = digits.iter().copied();
        let slots = chars
            .iter_mut()
            .take(21)
            .enumerate()
            .filter(|(index, _)| *index != 14);
        for ((_, slot), digit) in slots.zip(without_point) {
            *slot = digit;
        }
        if let Some((sign, offset)) = chars.get_mut(21..).and_then(<[u8]>::split_first_mut) {
            *sign = zone.0;
            put_decimal(offset, u64::from(zone.1));
        }
        chars
    }
}

impl From<Timestamp> for DateTime {
    fn from(value: Timestamp) -> Self {
        DateTime::Timestamp(value)
    }
}

impl From<Interval> for DateTime {
    fn from(value: Interval) -> Self {
        DateTime::Interval(value)
    }
}

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chars = self.to_chars();
        f.pad(core::str::from_utf8(&chars).unwrap_or_default())
    }
}

impl FromStr for DateTime {
    type Err = DateTimeError;

    fn from_str(text: &str) -> Result<Self, DateTimeError> {
        let chars: &[u8; LENGTH] = text
            .as_bytes()
            .try_into()
            .map_err(|_| DateTimeError::Length)?;
        let (body, zone) = chars.split_at(21);
        let [sign, zone @ ..] = zone else {
            return Err(DateTimeError::Length);
        };
        if body.get(14) != Some(&b'.') {
            return Err(DateTimeError::Character(14));
        }
        let digits = body.iter().enumerate().filter(|(index, _)| *index != 14);
        let mut known = DIGITS;
        for (position, (index, byte)) in digits.clone().enumerate() {
            match byte {
                b'0'..=b'9' if known == DIGITS => {}
                b'*' if known == DIGITS => known = position as u8,
                b'*' => {}
                b'0'..=b'9' => return Err(DateTimeError::Wildcard),
                _ => return Err(DateTimeError::Character(index as u8)),
            }
        }
        let number = |from: usize, to: usize| {
            digits
                .clone()
                .skip(from)
                .take(to - from)
                .fold(0i64, |sum, (_, byte)| {
                    sum * 10
                        + i64::from(if byte.is_ascii_digit() {
                            byte - b'0'
                        } else {
                            0
                        })
                })
        };
        let offset = zone.iter().try_fold(0i16, |sum, byte| {
            byte.is_ascii_digit()
                .then(|| sum * 10 + i16::from(byte - b'0'))
        });
        let offset = offset.ok_or(DateTimeError::Character(22))?;
        let in_day = time_of_day(
            number(8, 10),
            number(10, 12),
            number(12, 14),
            number(14, 20),
        )?;
        match sign {
            b':' => {
                if offset != 0 {
                    return Err(DateTimeError::Character(22));
                }
                if !matches!(known, 0 | 8 | 10 | 12 | 14..=20) {
                    return Err(DateTimeError::Wildcard);
                }
                let micros = number(0, 8) * MICROS_PER_DAY + in_day;
                Ok(DateTime::Interval(Interval { micros, known }))
            }
            b'+' | b'-' => {
                if !matches!(known, 0 | 4 | 6 | 8 | 10 | 12 | 14..=20) {
                    return Err(DateTimeError::Wildcard);
                }
                let offset = if *sign == b'-' { -offset } else { offset };
                let year = number(0, 4) as u16;
                let month = if known < 6 { 1 } else { number(4, 6) as u8 };
                let day = if known < 8 { 1 } else { number(6, 8) as u8 };
                if !(1..=12).contains(&month) {
                    return Err(DateTimeError::Range("month"));
                }
                if day == 0 || day > days_in_month(year, month) {
                    return Err(DateTimeError::Range("day"));
                }
                let local = days_from_date(year, month, day) * MICROS_PER_DAY + in_day;
                let unix_micros = local - i64::from(offset) * MICROS_PER_MINUTE;
                Ok(DateTime::Timestamp(Timestamp {
                    unix_micros,
                    offset,
                    known,
                }))
            }
            _ => Err(DateTimeError::Character(21)),
        }
    }
}

fn time_of_day(hour: i64, minute: i64, second: i64, micros: i64) -> Result<i64, DateTimeError> {
    if hour > 23 {
        return Err(DateTimeError::Range("hour"));
    }
    if minute > 59 {
        return Err(DateTimeError::Range("minute"));
    }
    if second > 59 {
        return Err(DateTimeError::Range("second"));
    }
    Ok(((hour * 60 + minute) * 60 + second) * MICROS_PER_SECOND + micros)
}

fn put_decimal(slots: &mut [u8], mut number: u64) {
    for slot in slots.iter_mut().rev() {
        *slot = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> DateTime {
        text.parse()
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn texts_come_back_unchanged() {
        for text in [
            "20261122201306.123456+000",
            "19700101000000.000000+000",
            "00000101000000.000000+000",
            "99991231115959.999999+720",
            "20240229235959.999999-300",
            "20240229******.******+060",
            "202402********.******+060",
            "2024**********.******+060",
            "**************.******+060",
            "20240229235959.12****-300",
            "00000000000000.000000:000",
            "99999999235959.999999:000",
            "00000001122334.******:000",
            "0000000112****.******:000",
            "00000001******.******:000",
        ] {
            assert_eq!(parse(text).to_string(), text);
        }
    }

    #[test]
    fn timestamps_compare_by_instant() {
        let berlin = parse("20240101010000.000000+060");
        let london = parse("20240101000000.000000+000");
        assert_eq!(berlin, london);
        assert_ne!(berlin.to_string(), london.to_string());
        assert!(parse("20240101000000.000001+000") > london);
        assert!(parse("20240101******.******+000") < london);
        let DateTime::Timestamp(stamp) = london else {
            panic!("a timestamp")
        };
        assert_eq!(stamp.unix_micros(), 1_704_067_200_000_000);
        assert_eq!(
            DateTime::from_unix_micros(1_704_067_200_000_000),
            Ok(london)
        );
    }

    #[test]
    fn intervals_count_microseconds() {
        let DateTime::Interval(interval) = parse("00000001000001.000002:000") else {
            panic!("an interval")
        };
        assert_eq!(interval.micros(), 86_401_000_002);
        let same = DateTime::from_interval_micros(86_401_000_002).unwrap();
        assert_eq!(same.to_string(), "00000001000001.000002:000");
        assert!(DateTime::from_interval_micros(u64::MAX).is_err());
    }

    #[test]
    fn bad_texts_name_the_fault() {
        use DateTimeError::*;
        for (text, error) in [
            ("", Length),
            ("20240101000000.000000+0000", Length),
            ("20240101000000,000000+000", Character(14)),
            ("2024010100000x.000000+000", Character(13)),
            ("20240101000000.000000/000", Character(21)),
            ("20240101000000.000000+0x0", Character(22)),
            ("00000000000000.000000:001", Character(22)),
            ("20241301000000.000000+000", Range("month")),
            ("20240001000000.000000+000", Range("month")),
            ("20230229000000.000000+000", Range("day")),
            ("20240101240000.000000+000", Range("hour")),
            ("20240101006000.000000+000", Range("minute")),
            ("20240101000060.000000+000", Range("second")),
            ("2024010*000000.000000+000", Wildcard),
            ("2024010*******.******+000", Wildcard),
            ("0000000*******.******:000", Wildcard),
        ] {
            assert_eq!(text.parse::<DateTime>(), Err(error), "{text}");
        }
    }

    #[test]
    fn timestamps_out_of_the_calendar_are_refused() {
        assert!(DateTime::from_unix_micros(i64::MAX).is_err());
        assert!(DateTime::from_unix_micros(i64::MIN).is_err());
        assert!(Timestamp::from_unix_micros(0, 1_000).is_err());
    }
}
