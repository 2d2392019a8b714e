//! Seconds since 1970 and the registers of a clock: the proleptic Gregorian calendar, in digits or in binary.

use super::registers as reg;

const DAY_SECONDS: i64 = 86_400;
/// Days of 400 years.
const ERA_DAYS: i64 = 146_097;
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_DAYS: i64 = 719_468;

/// A date.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Date {
    year: i64,
    month: u8,
    day: u8,
}

/// The date of a day counted from 1970-01-01. Years are counted from March, so that a leap day is the last.
fn date_of(days: i64) -> Date {
    let shifted = days.saturating_add(EPOCH_DAYS);
    let era = shifted.div_euclid(ERA_DAYS);
    let day_of_era = shifted.rem_euclid(ERA_DAYS);
    let leaps = day_of_era / 1460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leaps) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    Date {
        year: era * 400 + year_of_era + i64::from(month <= 2),
        month: month as u8,
        day: day as u8,
    }
}

/// The day of a date counted from 1970-01-01; fields out of range run over into the next month.
fn days_of(date: Date) -> i64 {
    let month = i64::from(date.month.clamp(1, 12));
    let year = date.year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(date.day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * ERA_DAYS + day_of_era - EPOCH_DAYS
}

/// A number below 100 as a register shows it.
const fn show(value: u8, b: u8) -> u8 {
    if b & reg::B_BINARY != 0 {
        value
    } else {
        ((value / 10) << 4) | (value % 10)
    }
}

/// The number that a register holds.
const fn number(value: u8, b: u8) -> u8 {
    if b & reg::B_BINARY != 0 {
        value
    } else {
        (value >> 4).wrapping_mul(10).wrapping_add(value & 15)
    }
}

/// The hour that a register holds: 0 to 23 where it is one.
const fn hour(value: u8, b: u8) -> u8 {
    if b & reg::B_24_HOURS != 0 {
        return number(value, b);
    }
    // 12 is the first hour of each half, and bit 7 says which half.
    let hour = number(value & 0x7f, b);
    let afternoon = if value & 0x80 != 0 { 12 } else { 0 };
    if hour == 12 {
        afternoon
    } else {
        hour.wrapping_add(afternoon)
    }
}

const fn show_hour(hour: u8, b: u8) -> u8 {
    if b & reg::B_24_HOURS != 0 {
        return show(hour, b);
    }
    let afternoon = if hour >= 12 { 0x80 } else { 0 };
    let shown = match hour % 12 {
        0 => 12,
        hour => hour,
    };
    show(shown, b) | afternoon
}

/// What a register of the time shows, with this register B.
pub(super) fn encode(seconds: i64, index: u8, b: u8) -> u8 {
    let days = seconds.div_euclid(DAY_SECONDS);
    let of_day = seconds.rem_euclid(DAY_SECONDS);
    let date = date_of(days);
    match index {
        reg::SECONDS => show((of_day % 60) as u8, b),
        reg::MINUTES => show((of_day / 60 % 60) as u8, b),
        reg::HOURS => show_hour((of_day / 3600) as u8, b),
        // 1970-01-01 was a Thursday; Sunday is 1.
        reg::DAY_OF_WEEK => show((days.saturating_add(4).rem_euclid(7)) as u8 + 1, b),
        reg::DAY => show(date.day, b),
        reg::MONTH => show(date.month, b),
        reg::YEAR => show(date.year.rem_euclid(100) as u8, b),
        _ => show(date.year.div_euclid(100).rem_euclid(100) as u8, b),
    }
}

/// The time in the registers.
pub(super) fn decode(memory: &[u8; 128]) -> i64 {
    let at = |index: u8| memory.get(usize::from(index)).copied().unwrap_or(0);
    let b = at(reg::B);
    let field = |index: u8| i64::from(number(at(index), b));
    let date = Date {
        year: field(reg::CENTURY) * 100 + field(reg::YEAR),
        month: number(at(reg::MONTH), b),
        day: number(at(reg::DAY), b),
    };
    days_of(date) * DAY_SECONDS
        + i64::from(hour(at(reg::HOURS), b)) * 3600
        + field(reg::MINUTES) * 60
        + field(reg::SECONDS)
}

/// The time in the registers where they hold one: all digits legal, no 30th of February.
pub(super) fn decode_legal(memory: &[u8; 128]) -> Option<i64> {
    let at = |index: u8| memory.get(usize::from(index)).copied().unwrap_or(0);
    let seconds = decode(memory);
    // The day of the week is not looked at: many firmwares do not keep it.
    let same =
        |&index: &u8| index == reg::DAY_OF_WEEK || encode(seconds, index, at(reg::B)) == at(index);
    reg::TIME.iter().all(same).then_some(seconds)
}

/// The alarm: each part a number, or any.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Alarm {
    hour: Option<u8>,
    minute: Option<u8>,
    second: Option<u8>,
}

impl Alarm {
    pub(super) fn new(memory: &[u8; 128]) -> Self {
        let at = |index: u8| memory.get(usize::from(index)).copied().unwrap_or(0);
        let b = at(reg::B);
        // The two highest bits together mean any.
        let part = |value: u8, decoded: u8| (value & 0xc0 != 0xc0).then_some(decoded);
        let (hours, minutes, seconds) = (
            at(reg::HOURS_ALARM),
            at(reg::MINUTES_ALARM),
            at(reg::SECONDS_ALARM),
        );
        Self {
            hour: part(hours, hour(hours, b)),
            minute: part(minutes, number(minutes, b)),
            second: part(seconds, number(seconds, b)),
        }
    }

    /// Seconds from `time` to the next match after it, at most a day; `None` where there never is one.
    pub(super) fn seconds_after(&self, time: i64) -> Option<u64> {
        let legal = |part: Option<u8>, limit: u8| part.is_none_or(|value| value < limit);
        if !legal(self.hour, 24) || !legal(self.minute, 60) || !legal(self.second, 60) {
            return None;
        }
        let start = time.rem_euclid(DAY_SECONDS) + 1;
        // Each hour of the next day, the present one twice: its rest, and its beginning on the next day.
        for step in 0..=24 {
            let hour_start = (start / 3600 + step) * 3600;
            let hour = hour_start / 3600 % 24;
            if self.hour.is_some_and(|wanted| i64::from(wanted) != hour) {
                continue;
            }
            let from = (start - hour_start).max(0);
            if let Some(offset) = self.in_hour(from) {
                return u64::try_from(hour_start + offset - start + 1).ok();
            }
        }
        None
    }

    /// The first match in an hour at or after the second `from` of it.
    fn in_hour(&self, from: i64) -> Option<i64> {
        let (minute, second) = (from / 60, from % 60);
        let fits = |minute: i64| minute < 60;
        let found = match (self.minute.map(i64::from), self.second.map(i64::from)) {
            (None, None) => from,
            (None, Some(wanted)) if wanted >= second => minute * 60 + wanted,
            (None, Some(wanted)) => (minute + 1) * 60 + wanted,
            (Some(wanted), any) if wanted > minute => wanted * 60 + any.unwrap_or(0),
            (Some(wanted), None) if wanted == minute => from,
            (Some(wanted), Some(at)) if wanted == minute && at >= second => wanted * 60 + at,
            _ => return None,
        };
        fits(found / 60).then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_days_agree_over_centuries() {
        let mut previous = date_of(-200_000);
        for days in -199_999..200_000 {
            let date = date_of(days);
            assert_eq!(days_of(date), days);
            let next_day = date.day == previous.day + 1 && date.month == previous.month;
            let next_month = date.day == 1 && date.month == previous.month % 12 + 1;
            assert!(next_day || next_month, "{date:?} after {previous:?}");
            previous = date;
        }
        let of = |days| {
            let date = date_of(days);
            (date.year, date.month, date.day)
        };
        assert_eq!(of(0), (1970, 1, 1));
        assert_eq!(of(11_016), (2000, 2, 29));
        assert_eq!(of(20_779), (2026, 11, 22));
        assert_eq!(of(-1), (1969, 12, 31));
    }

    #[test]
    fn every_hour_shows_and_reads_alike() {
        for b in 0..8u8 {
            let b = b & 1 | (b & 6);
            for value in 0..24 {
                assert_eq!(hour(show_hour(value, b), b), value, "B {b:#x}");
            }
        }
        assert_eq!(show_hour(0, 0), 0x12);
        assert_eq!(show_hour(12, 0), 0x92);
        assert_eq!(show_hour(23, 0), 0x91);
        assert_eq!(show_hour(23, reg::B_24_HOURS), 0x23);
        assert_eq!(show_hour(13, reg::B_BINARY), 0x81);
    }

    #[test]
    fn alarms_match_as_a_search_second_by_second_does() {
        let some = [None, Some(0), Some(7), Some(59), Some(60)];
        for hour in some {
            for minute in some {
                for second in some {
                    let alarm = Alarm {
                        hour,
                        minute,
                        second,
                    };
                    for time in [
                        0i64, 5, 59, 60, 3599, 25_627, 25_628, 86_340, 86_398, 86_399,
                    ] {
                        let matches = |at: i64| {
                            let fits = |part: Option<u8>, value: i64| {
                                part.is_none_or(|wanted| i64::from(wanted) == value)
                            };
                            fits(hour, at / 3600 % 24)
                                && fits(minute, at / 60 % 60)
                                && fits(second, at % 60)
                        };
                        let expected = (1..=86_400).find(|wait| matches(time + wait));
                        let expected = expected.map(|wait| wait as u64);
                        assert_eq!(alarm.seconds_after(time), expected, "{alarm:?} {time}");
                    }
                }
            }
        }
    }
}
