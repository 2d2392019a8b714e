//! Instants and spans on the host's time-stamp counter, and exact conversion between clock rates.
//!
//! The hypervisor's one clock is the TSC; device models convert to their own rates with [`Ratio`].

use core::ops::{Add, Sub};

/// A reading of the host's TSC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(transparent)]
pub struct Instant(pub u64);

/// A number of host TSC ticks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(transparent)]
pub struct Ticks(pub u64);

impl Instant {
    /// Later than every deadline.
    pub const NEVER: Instant = Instant(u64::MAX);

    /// Ticks since `earlier`; 0 where `earlier` is later.
    pub const fn since(self, earlier: Instant) -> Ticks {
        Ticks(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Ticks> for Instant {
    type Output = Instant;

    /// Saturates at [`Instant::NEVER`].
    fn add(self, span: Ticks) -> Instant {
        Instant(self.0.saturating_add(span.0))
    }
}

impl Sub<Ticks> for Instant {
    type Output = Instant;

    /// Saturates at zero.
    fn sub(self, span: Ticks) -> Instant {
        Instant(self.0.saturating_sub(span.0))
    }
}

/// A clock rate in Hz, never 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Hertz(core::num::NonZeroU64);

impl Hertz {
    /// `hz`; `None` for 0.
    pub const fn new(hz: u64) -> Option<Self> {
        match core::num::NonZeroU64::new(hz) {
            Some(rate) => Some(Self(rate)),
            None => None,
        }
    }

    /// The rate in Hz.
    pub const fn get(self) -> u64 {
        self.0.get()
    }
}

/// Converts counts of one clock into counts of another: `to / from` as a 64.64 fixed-point factor.
///
/// Rounds down. The error is below one part in 2^63 of the result, so that a year of a 4 GHz clock
/// converts to within one tick.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ratio {
    whole: u64,
    fraction: u64,
}

impl Ratio {
    /// The factor from counts at rate `from` to counts at rate `to`.
    pub const fn new(from: Hertz, to: Hertz) -> Self {
        let whole = to.get() / from.get();
        let rest = to.get() % from.get();
        let fraction = (((rest as u128) << 64) / from.get() as u128) as u64;
        Self { whole, fraction }
    }

    /// `count` converted; saturates at `u64::MAX`.
    #[inline]
    pub const fn apply(self, count: u64) -> u64 {
        let part = ((count as u128 * self.fraction as u128) >> 64) as u64;
        count.saturating_mul(self.whole).saturating_add(part)
    }

    /// `count` converted and rounded so that converting back reaches at least `count`
    /// (for deadlines: never early). Saturates at `u64::MAX`.
    #[inline]
    pub const fn apply_up(self, count: u64) -> u64 {
        self.apply(count).saturating_add(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_year_of_tsc_converts_within_one_tick() {
        let tsc = Hertz::new(3_999_999_937).unwrap();
        let pm = Hertz::new(3_579_545).unwrap();
        let year = 365 * 86_400;
        let counts = Ratio::new(tsc, pm).apply(tsc.get() * year);
        assert!(pm.get() * year - counts <= 1, "{counts}");
        let ticks = Ratio::new(pm, tsc).apply(pm.get() * year);
        assert!(tsc.get() * year - ticks <= 1, "{ticks}");
    }

    #[test]
    fn instants_saturate() {
        assert_eq!(Instant::NEVER + Ticks(1), Instant::NEVER);
        assert_eq!(Instant(5).since(Instant(9)), Ticks(0));
    }
}
