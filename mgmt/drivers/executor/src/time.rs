//! A moment on the partition's monotonic clock.

use core::time::Duration;

/// Nanoseconds since the clock started; never goes back, wraps after 584 years.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Instant(u64);

impl Instant {
    /// The moment `nanoseconds` after the clock's start.
    pub const fn from_nanoseconds(nanoseconds: u64) -> Self {
        Instant(nanoseconds)
    }

    /// Nanoseconds since the clock's start.
    pub const fn nanoseconds(self) -> u64 {
        self.0
    }

    /// Microseconds since the clock's start, rounded down.
    pub const fn microseconds(self) -> u64 {
        self.0 / 1_000
    }

    /// Seconds since the clock's start, rounded down.
    pub const fn seconds(self) -> u64 {
        self.0 / 1_000_000_000
    }

    /// This moment and `duration` more; the end of time where that overflows.
    pub fn after(self, duration: Duration) -> Self {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Instant(self.0.saturating_add(nanoseconds))
    }

    /// How long ago `earlier` was; zero where it is later than this moment.
    pub fn since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        let late = Instant::from_nanoseconds(u64::MAX - 1);
        assert_eq!(late.after(Duration::from_secs(1)).nanoseconds(), u64::MAX);
        assert_eq!(Instant::default().since(late), Duration::ZERO);
    }
}
