//! The proleptic Gregorian calendar as day counts, for [`crate::Timestamp`].

/// Days from 0000-03-01 to 1970-01-01 in the proleptic Gregorian calendar.
const DAYS_TO_UNIX_EPOCH: i64 = 719_468;
const DAYS_PER_ERA: i64 = 146_097;

/// Days since 1970-01-01 of a date; the date must be valid.
pub(crate) fn days_from_date(year: u16, month: u8, day: u8) -> i64 {
    // Counting years from March puts the leap day last, so month lengths follow one linear formula.
    let month = i64::from(month);
    let year = i64::from(year) - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * DAYS_PER_ERA + day_of_era - DAYS_TO_UNIX_EPOCH
}

/// The date of a day count since 1970-01-01, as (year, month, day); the year may be outside 0..=9999.
pub(crate) fn date_from_days(days: i64) -> (i64, u8, u8) {
    let shifted = days.saturating_add(DAYS_TO_UNIX_EPOCH);
    let era = shifted.div_euclid(DAYS_PER_ERA);
    let day_of_era = shifted.rem_euclid(DAYS_PER_ERA);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month as u8, day as u8)
}

/// The number of days in a month; 0 for a month outside 1..=12.
pub(crate) const fn days_in_month(year: u16, month: u8) -> u8 {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_days() {
        assert_eq!(days_from_date(1970, 1, 1), 0);
        assert_eq!(days_from_date(2000, 3, 1), 11_017);
        assert_eq!(days_from_date(0, 1, 1), -719_528);
        assert_eq!(days_from_date(9999, 12, 31), 2_932_896);
    }

    #[test]
    fn every_day_of_ten_thousand_years_comes_back() {
        let mut expected = days_from_date(0, 1, 1);
        for year in 0..=9999u16 {
            for month in 1..=12 {
                for day in 1..=days_in_month(year, month) {
                    let days = days_from_date(year, month, day);
                    assert_eq!(days, expected);
                    assert_eq!(date_from_days(days), (i64::from(year), month, day));
                    expected += 1;
                }
            }
        }
    }
}
