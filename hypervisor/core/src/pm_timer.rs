//! The ACPI power-management timer (ACPI 6.5, 4.8.3.3): a counter at 3.579545 MHz that guests read for time.
//!
//! It has no overflow interrupt here: the FADT of a partition does not announce one.

use crate::time::{Hertz, Instant, Ratio};

/// The rate.
pub const RATE: Hertz = match Hertz::new(3_579_545) {
    Some(rate) => rate,
    None => unreachable!(),
};

/// The width, as the FADT's TMR_VAL_EXT flag says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CounterWidth {
    /// 24 bits.
    Bits24,
    /// 32 bits.
    Bits32,
}

/// The timer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PmTimer {
    origin: Instant,
    /// The count at the origin.
    base: u32,
    from_ticks: Ratio,
    width: CounterWidth,
}

impl PmTimer {
    /// A timer that counts from 0 at `now`, on a host with this TSC.
    pub const fn new(tsc: Hertz, width: CounterWidth, now: Instant) -> Self {
        Self {
            origin: now,
            base: 0,
            from_ticks: Ratio::new(tsc, RATE),
            width,
        }
    }

    /// The counter.
    #[inline]
    pub const fn read(&self, now: Instant) -> u32 {
        let passed = self.from_ticks.apply(now.since(self.origin).0) as u32;
        let count = self.base.wrapping_add(passed);
        match self.width {
            CounterWidth::Bits24 => count & 0x00ff_ffff,
            CounterWidth::Bits32 => count,
        }
    }

    /// Goes on from a value that [`PmTimer::read`] answered.
    pub fn restore(&mut self, count: u32, now: Instant) {
        self.origin = now;
        self.base = count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Ticks;

    const TSC: u64 = 3_000_000_000;
    const START: Instant = Instant(1 << 50);

    fn timer(width: CounterWidth) -> PmTimer {
        PmTimer::new(Hertz::new(TSC).unwrap(), width, START)
    }

    #[test]
    fn it_counts_at_its_rate() {
        let timer = timer(CounterWidth::Bits32);
        assert_eq!(timer.read(START), 0);
        assert!(timer.read(START + Ticks(TSC)).abs_diff(3_579_545) <= 1);
        let day = 86_400;
        let expected = (3_579_545u64 * day) as u32;
        assert!(timer.read(START + Ticks(TSC * day)).abs_diff(expected) <= 1);
    }

    #[test]
    fn it_wraps_at_its_width() {
        let narrow = timer(CounterWidth::Bits24);
        let wide = timer(CounterWidth::Bits32);
        let later = START + Ticks(TSC * 100);
        assert_eq!(narrow.read(later), wide.read(later) & 0xff_ffff);
        assert!(wide.read(later) > 0xff_ffff);
    }

    #[test]
    fn it_goes_on_from_a_saved_value() {
        let mut timer = timer(CounterWidth::Bits32);
        let elsewhere = Instant(77);
        timer.restore(0x8765_4321, elsewhere);
        assert_eq!(timer.read(elsewhere), 0x8765_4321);
        let later = timer.read(elsewhere + Ticks(TSC));
        assert!(later.abs_diff(0x8765_4321 + 3_579_545) <= 1);
    }
}
