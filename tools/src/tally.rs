//! Counts passed and failed tests, our own and those of other test programs.

use regex_lite::Regex;
use std::fmt::{self, Display, Formatter};
use std::ops::AddAssign;

/// Numbers of tests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Tests that passed.
    pub passed: usize,
    /// Tests that failed.
    pub failed: usize,
}

impl Tally {
    /// One test that passed, or failed.
    pub fn of<T, E>(result: &Result<T, E>) -> Self {
        match result {
            Ok(_) => Self {
                passed: 1,
                failed: 0,
            },
            Err(_) => Self {
                passed: 0,
                failed: 1,
            },
        }
    }

    /// The numbers in one output line of cargo-nextest or of a Rust test program; zero for any other line.
    pub fn in_line(line: &str) -> Self {
        let summary = line.trim_start();
        if !summary.starts_with("test result: ") && !summary.starts_with("Summary [") {
            return Self::default();
        }
        Self {
            passed: count(summary, "passed"),
            failed: count(summary, "failed") + count(summary, "timed out"),
        }
    }

    /// The numbers in a line "N passed, M failed", as [`Tally`] prints it and the Python suites do.
    pub fn of_suite(line: &str) -> Option<Self> {
        let (passed, failed) = line.split_once(" passed, ")?;
        Some(Self {
            passed: passed.parse().ok()?,
            failed: failed.strip_suffix(" failed")?.parse().ok()?,
        })
    }
}

/// The number before `word`.
fn count(text: &str, word: &str) -> usize {
    let pattern = Regex::new(&format!("([0-9]+) {word}"));
    let found = pattern
        .ok()
        .and_then(|p| p.captures(text)?.get(1)?.as_str().parse().ok());
    found.unwrap_or(0)
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl Display for Tally {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_test_programs_are_understood() {
        let nextest = "     Summary [   0.400s] 51 tests run: 49 passed, 2 failed, 3 skipped";
        assert_eq!(
            Tally::in_line(nextest),
            Tally {
                passed: 49,
                failed: 2
            }
        );
        let cargo = "test result: FAILED. 5 passed; 1 failed; 0 ignored; 0 measured";
        assert_eq!(
            Tally::in_line(cargo),
            Tally {
                passed: 5,
                failed: 1
            }
        );
        let slow = "     Summary [  60.0s] 2 tests run: 1 passed (1 slow), 1 timed out, 0 skipped";
        assert_eq!(
            Tally::in_line(slow),
            Tally {
                passed: 1,
                failed: 1
            }
        );
    }

    #[test]
    fn other_lines_count_nothing() {
        for line in [
            "        PASS [   0.005s] a::b",
            "running 5 tests",
            "5 passed",
            "",
        ] {
            assert_eq!(Tally::in_line(line), Tally::default());
        }
    }

    #[test]
    fn a_suite_s_line_is_understood_and_no_other() {
        let expected = Tally {
            passed: 12,
            failed: 3,
        };
        assert_eq!(Tally::of_suite("12 passed, 3 failed"), Some(expected));
        for line in [
            "12 passed",
            "x passed, 3 failed",
            "1 passed, 3 failed, 4 odd",
        ] {
            assert_eq!(Tally::of_suite(line), None);
        }
    }

    #[test]
    fn the_sum_is_printed_as_scripts_expect_it() {
        let mut sum = Tally::of(&Ok::<_, ()>(1));
        sum += Tally::of(&Err::<(), _>(2));
        assert_eq!(sum.to_string(), "1 passed, 1 failed");
    }
}
