//! The local APIC's timer: one-shot, periodic and TSC-deadline (SDM 3A 10.5.4).
//!
//! Counts are kept undivided (at the timer's input clock) from an origin, so that periodic deadlines are
//! exact multiples and never drift, and so that the divider is a shift.

use crate::guest_tsc::GuestTsc;
use crate::time::{Hertz, Instant, Ratio};

/// Conversions between the timer's input clock and the host's TSC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct TimerClock {
    to_ticks: Ratio,
    from_ticks: Ratio,
}

impl TimerClock {
    pub(super) const fn new(timer: Hertz, tsc: Hertz) -> Self {
        Self {
            to_ticks: Ratio::new(timer, tsc),
            from_ticks: Ratio::new(tsc, timer),
        }
    }
}

/// The mode in the LVT timer entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum TimerMode {
    OneShot,
    Periodic,
    TscDeadline,
}

/// The counting part; the mask and vector are in the LVT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Timer {
    /// When the next interrupt is due; NEVER while stopped.
    deadline: Instant,
    pub(super) mode: TimerMode,
    /// Binary logarithm of the divider.
    shift: u32,
    /// The divide configuration register as written.
    divide: u32,
    /// The initial-count register.
    initial: u32,
    /// Where `due` counts from.
    origin: Instant,
    /// Undivided counts from `origin` to the next expiry, in the counting modes.
    due: u64,
    /// The guest's TSC at which to fire in TSC-deadline mode, 0 while disarmed.
    target: u64,
    clock: TimerClock,
}

impl Timer {
    pub(super) const fn new(clock: TimerClock) -> Self {
        Self {
            deadline: Instant::NEVER,
            mode: TimerMode::OneShot,
            shift: 1,
            divide: 0,
            initial: 0,
            origin: Instant(0),
            due: 0,
            target: 0,
            clock,
        }
    }

    /// The timer after a reset, with the same clock.
    pub(super) const fn reset(&self) -> Self {
        Self::new(self.clock)
    }

    /// When [`Timer::advance`] has something to do.
    #[inline]
    pub(super) const fn deadline(&self) -> Instant {
        self.deadline
    }

    pub(super) const fn divide(&self) -> u32 {
        self.divide
    }

    pub(super) const fn initial(&self) -> u32 {
        self.initial
    }

    pub(super) const fn target(&self) -> u64 {
        self.target
    }

    /// Undivided counts to the next expiry; 0 while stopped.
    pub(super) fn remaining(&self, now: Instant) -> u64 {
        if self.deadline == Instant::NEVER || self.mode == TimerMode::TscDeadline {
            return 0;
        }
        let passed = self.clock.from_ticks.apply(now.since(self.origin).0);
        if passed < self.due {
            return self.due.wrapping_sub(passed);
        }
        match self.mode {
            TimerMode::Periodic => {
                let period = self.period();
                let late = passed.wrapping_sub(self.due);
                period.saturating_sub(late.checked_rem(period).unwrap_or(0))
            }
            TimerMode::OneShot | TimerMode::TscDeadline => 0,
        }
    }

    /// The current-count register.
    pub(super) fn current_count(&self, now: Instant) -> u32 {
        let partial = 1u64.wrapping_shl(self.shift).wrapping_sub(1);
        self.remaining(now)
            .wrapping_add(partial)
            .wrapping_shr(self.shift) as u32
    }

    /// A write of the initial-count register: starts the timer, or stops it with 0.
    #[inline]
    pub(super) fn set_initial(&mut self, count: u32, now: Instant) {
        if self.mode == TimerMode::TscDeadline {
            // SDM 3A 10.5.4.1: ignored in this mode.
            return;
        }
        self.initial = count;
        self.start(self.period(), now);
    }

    /// A write of the divide configuration register; a running count goes on from where it is.
    pub(super) fn set_divide(&mut self, value: u32, now: Instant) {
        let count = u64::from(self.current_count(now));
        self.divide = value & 0b1011;
        let code = (value & 3) | (value >> 1 & 4);
        self.shift = code.wrapping_add(1) & 7;
        if self.deadline != Instant::NEVER && self.mode != TimerMode::TscDeadline {
            self.start(count.wrapping_shl(self.shift), now);
        }
    }

    /// A change of mode; switching to or from TSC-deadline stops the timer (SDM 3A 10.5.4.1).
    pub(super) fn set_mode(&mut self, mode: TimerMode) {
        if (mode == TimerMode::TscDeadline) != (self.mode == TimerMode::TscDeadline) {
            self.stop();
            self.initial = 0;
        }
        self.mode = mode;
    }

    /// A write of the TSC-deadline MSR, `tsc` being the guest's TSC.
    #[inline]
    pub(super) fn set_target(&mut self, target: u64, tsc: GuestTsc, now: Instant) {
        if self.mode != TimerMode::TscDeadline {
            return;
        }
        self.target = target;
        self.deadline = if target == 0 {
            Instant::NEVER
        } else {
            // Relative to the guest's clock, so that a target near 2^64 is far and not past.
            let ahead = target.saturating_sub(tsc.at(now));
            let deadline = now + tsc.scale.ticks_for(ahead);
            Instant(deadline.0.min(u64::MAX - 1))
        };
    }

    /// Moves past the deadline if `now` has reached it. Answers whether an interrupt was due.
    ///
    /// A periodic timer goes on with its next multiple after `now`: missed periods are one interrupt.
    #[inline]
    pub(super) fn advance(&mut self, now: Instant) -> bool {
        if now < self.deadline {
            return false;
        }
        match self.mode {
            TimerMode::Periodic if self.initial != 0 => {
                let period = self.period();
                self.due = self.due.wrapping_add(period);
                self.set_counted_deadline();
                if self.deadline <= now {
                    self.skip_missed(period, now);
                }
            }
            _ => self.stop(),
        }
        true
    }

    /// Sets what a saved state holds: counts to go and the TSC target.
    pub(super) fn restore(&mut self, initial: u32, divide: u32, remaining: u64, now: Instant) {
        self.set_divide(divide, now);
        self.initial = initial;
        self.start(remaining, now);
    }

    #[inline]
    const fn period(&self) -> u64 {
        (self.initial as u64).wrapping_shl(self.shift)
    }

    #[inline]
    fn start(&mut self, counts: u64, now: Instant) {
        self.origin = now;
        self.due = counts;
        if counts == 0 {
            self.deadline = Instant::NEVER;
        } else {
            self.set_counted_deadline();
        }
    }

    #[inline]
    fn set_counted_deadline(&mut self) {
        let ticks = self.clock.to_ticks.apply_up(self.due);
        self.deadline = Instant(self.origin.0.saturating_add(ticks).min(u64::MAX - 1));
    }

    #[cold]
    fn skip_missed(&mut self, period: u64, now: Instant) {
        let passed = self.clock.from_ticks.apply(now.since(self.origin).0);
        let late = passed.saturating_sub(self.due);
        let periods = late.checked_div(period).unwrap_or(0).wrapping_add(1);
        self.due = self.due.wrapping_add(periods.wrapping_mul(period));
        self.set_counted_deadline();
    }

    #[inline]
    pub(super) fn stop(&mut self) {
        self.deadline = Instant::NEVER;
        self.due = 0;
        self.target = 0;
    }
}
