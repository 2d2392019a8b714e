//! How a guest's time-stamp counter follows from the host's: by an offset, and where the guest comes from a machine whose counter
//! runs at another rate, by a factor.
//!
//! Both backends compute the guest's reading from the host's in the same way ([`GuestTsc::at`]); what core computes from it,
//! deadlines and clock records, must agree with what the guest reads.

use crate::time::{Hertz, Instant, Ticks};

/// Bits behind the point of a factor (SDM 3C 25.3, "TSC multiplier").
const POINT: u32 = 48;

/// How much faster a guest's counter runs than the host's, as a fixed-point number with 48 bits behind the point; never 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TscScale(u64);

impl TscScale {
    /// Both run at the same rate.
    pub const UNIT: TscScale = TscScale(1 << POINT);

    /// The scale that makes a counter of rate `guest` from one of rate `host`; `None` where it is out of range: a guest's rate is
    /// at most 2^12 times the host's, and no less than that part of it.
    pub fn new(host: Hertz, guest: Hertz) -> Option<Self> {
        let factor = (u128::from(guest.get()) << POINT).checked_div(u128::from(host.get()))?;
        let factor = u64::try_from(factor).ok()?;
        let range = 1 << (POINT - 12)..1 << (POINT + 12);
        range.contains(&factor).then_some(Self(factor))
    }

    /// The factor times 2^48.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether both run at the same rate.
    #[inline]
    pub const fn is_unit(self) -> bool {
        self.0 == Self::UNIT.0
    }

    /// A reading of the host's counter, or a difference of two, in the guest's ticks. Differences below 0 stay below 0, modulo
    /// 2^64, so that instants before the host's power-up have their place as well.
    #[inline]
    pub const fn apply(self, host: u64) -> u64 {
        if self.is_unit() {
            return host;
        }
        ((host as i64 as i128).wrapping_mul(self.0 as i128) >> POINT) as u64
    }

    /// The least number of host ticks in which the guest's counter gets on by `guest` ticks, wherever it stands; saturates.
    #[inline]
    pub fn ticks_for(self, guest: u64) -> Ticks {
        if self.is_unit() || guest == 0 {
            return Ticks(guest);
        }
        // One tick more: the guest's reading is rounded down.
        let scaled = (u128::from(guest) << POINT).checked_div(u128::from(self.0));
        let ticks = scaled.and_then(|ticks| u64::try_from(ticks).ok());
        Ticks(ticks.map_or(u64::MAX, |ticks| ticks.saturating_add(1)))
    }
}

/// How a guest's counter follows from the host's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GuestTsc {
    /// How much faster it runs.
    pub scale: TscScale,
    /// What is added to the scaled reading, modulo 2^64.
    pub offset: u64,
}

impl GuestTsc {
    /// The host's own.
    pub const HOST: GuestTsc = GuestTsc::with_offset(0);

    /// One that runs at the host's rate.
    pub const fn with_offset(offset: u64) -> Self {
        Self {
            scale: TscScale::UNIT,
            offset,
        }
    }

    /// What the guest reads when the host reads `now`.
    #[inline]
    pub const fn at(self, now: Instant) -> u64 {
        self.scale.apply(now.0).wrapping_add(self.offset)
    }

    /// The same counter after the guest has set it to `value` at `now`.
    #[inline]
    pub const fn set_to(self, value: u64, now: Instant) -> Self {
        Self {
            offset: value.wrapping_sub(self.scale.apply(now.0)),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(hz: u64) -> Hertz {
        Hertz::new(hz).unwrap()
    }

    #[test]
    fn a_counter_of_the_same_rate_is_only_shifted() {
        let tsc = GuestTsc::with_offset(0u64.wrapping_sub(100));
        assert_eq!(tsc.at(Instant(250)), 150);
        assert_eq!(TscScale::UNIT.ticks_for(77), Ticks(77));
        assert_eq!(tsc.set_to(5, Instant(250)).at(Instant(251)), 6);
        assert_eq!(TscScale::new(rate(7), rate(7)), Some(TscScale::UNIT));
    }

    #[test]
    fn a_second_of_the_host_is_a_second_of_the_guest() {
        for (host, guest) in [
            (3_000_000_000, 2_100_000_000),
            (50_000_000, 3_499_999_993),
            (1_999_999_999, 2_000_000_000),
        ] {
            let scale = TscScale::new(rate(host), rate(guest)).unwrap();
            let tsc = GuestTsc { scale, offset: 9 };
            let day = 86_400;
            let passed = tsc.at(Instant(host * day)).wrapping_sub(9);
            // The factor has 48 bits behind the point.
            assert!((guest * day).abs_diff(passed) <= 1 + ((host * day) >> 48));
            // Before the host's power-up as well.
            let before = scale.apply(0u64.wrapping_sub(host));
            assert!(guest.abs_diff(0u64.wrapping_sub(before)) <= 1);
        }
    }

    #[test]
    fn a_wait_ends_when_the_guest_reads_its_target_and_no_earlier() {
        let scale = TscScale::new(rate(2_900_000_000), rate(1_800_000_001)).unwrap();
        let tsc = GuestTsc { scale, offset: 12 };
        for now in [1_000_000_007, 1_000_000_008, 5] {
            for ahead in [1, 2, 3, 1_000_003] {
                let target = tsc.at(Instant(now)) + ahead;
                let Ticks(wait) = scale.ticks_for(ahead);
                assert!(tsc.at(Instant(now + wait)) >= target);
                assert!(tsc.at(Instant(now + wait - 2)) <= target);
            }
        }
        assert_eq!(scale.ticks_for(u64::MAX), Ticks(u64::MAX));
    }

    #[test]
    fn absurd_rates_have_no_scale() {
        assert_eq!(TscScale::new(rate(1), rate(1 << 40)), None);
        assert_eq!(TscScale::new(rate(1 << 40), rate(1)), None);
    }
}
