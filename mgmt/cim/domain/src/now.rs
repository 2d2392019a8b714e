//! [`Now`]: the time of a call.

use core::time::Duration;

/// The two clocks that the domain needs. It reads none itself, so tests own the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Time since an arbitrary start, never going back; time-outs count on it.
    pub monotonic: Duration,
    /// Microseconds since 1970-01-01T00:00:00 UTC, for what people read.
    pub unix_micros: i64,
}
