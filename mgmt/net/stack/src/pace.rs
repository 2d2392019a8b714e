//! [`Pace`]: how often to look at a card that does not tell of frames by itself.

use core::time::Duration;

use mgmt_executor::Instant;

/// Between two looks while there is traffic.
const BUSY: Duration = Duration::from_millis(1);
/// Between two looks otherwise: the first frame of a client waits so long.
const IDLE: Duration = Duration::from_millis(10);
/// After a frame, there is traffic for so long.
const MEMORY: Duration = Duration::from_secs(1);

/// The pace; begins as with traffic.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    busy_until: Instant,
}

impl Pace {
    /// The pace from `now` on.
    pub fn new(now: Instant) -> Self {
        Pace {
            busy_until: now.after(MEMORY),
        }
    }

    /// A frame came or went.
    pub fn traffic(&mut self, now: Instant) {
        *self = Pace::new(now);
    }

    /// When to look next.
    pub fn next(&self, now: Instant) -> Instant {
        let interval = match now < self.busy_until {
            true => BUSY,
            false => IDLE,
        };
        now.after(interval)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_traffic_the_card_is_asked_less_often() {
        let at = |ms: u64| Instant::from_nanoseconds(ms * 1_000_000);
        let mut pace = Pace::new(at(0));
        assert_eq!(pace.next(at(999)), at(1000));
        assert_eq!(pace.next(at(1000)), at(1010));
        pace.traffic(at(5000));
        assert_eq!(pace.next(at(5500)), at(5501));
        assert_eq!(pace.next(at(6000)), at(6010));
    }
}
