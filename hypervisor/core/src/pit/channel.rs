//! One counter of the 8254.

use super::{Clock, Fired};
use crate::level::Level;
use crate::local_apic::StateError;
use crate::time::Instant;

/// Which bytes of the count are accessed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Access {
    /// The low byte.
    Low = 1,
    /// The high byte.
    High = 2,
    /// Low byte, then high byte.
    Word = 3,
}

/// How the counter counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Digits {
    /// 16 bits.
    Binary,
    /// Four decimal digits.
    Decimal,
}

/// Whether the counter counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// It waits for a count, or for a trigger at its gate.
    Waiting,
    /// It counts.
    Counting,
    /// The gate holds it.
    Held,
}

/// The state of a counter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChannelState {
    /// The mode, 0 to 5.
    pub mode: u8,
    /// The bytes to access.
    pub access: Access,
    /// The kind of number.
    pub digits: Digits,
    /// The count to start from, 1 to 65536; 0 where none was written since the control word.
    pub reload: u32,
    /// Whether it counts.
    pub phase: Phase,
    /// Counts since it started, to now or to when it was held.
    pub elapsed: u64,
    /// Counts from the start to the next rise of the output; 0 where it does not rise.
    pub next_rise: u64,
    /// The first byte of a count that is written in two.
    pub low_byte: Option<u8>,
    /// The next read of a two-byte count is its high byte.
    pub high_next: bool,
    /// The latched count.
    pub latched: Option<u16>,
    /// The latched status.
    pub status: Option<u8>,
    /// The gate.
    pub gate: Level,
}

/// A counter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Channel {
    /// `elapsed` counts while held only; while counting it is `offset` and what passed since `origin`.
    state: ChannelState,
    origin: Instant,
    offset: u64,
    deadline: Instant,
}

impl Channel {
    pub(super) const fn new(gate: Level, now: Instant) -> Self {
        Self {
            state: ChannelState {
                mode: 3,
                access: Access::Word,
                digits: Digits::Binary,
                reload: 0,
                phase: Phase::Waiting,
                elapsed: 0,
                next_rise: 0,
                low_byte: None,
                high_next: false,
                latched: None,
                status: None,
                gate,
            },
            origin: now,
            offset: 0,
            deadline: Instant::NEVER,
        }
    }

    pub(super) const fn gate(&self) -> Level {
        self.state.gate
    }

    pub(super) const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Counts since the start.
    fn elapsed(&self, clock: &Clock, now: Instant) -> u64 {
        match self.state.phase {
            Phase::Waiting => 0,
            Phase::Held => self.state.elapsed,
            Phase::Counting => clock.counts(self.origin, now).saturating_add(self.offset),
        }
    }

    pub(super) fn output(&self, clock: &Clock, now: Instant) -> Level {
        let count = u64::from(self.state.reload);
        let elapsed = self.elapsed(clock, now);
        let waiting = self.state.phase == Phase::Waiting;
        Level::high_if(match self.state.mode {
            0 => !waiting && elapsed >= count,
            1 => waiting || elapsed >= count,
            2 => waiting || elapsed.checked_rem(count) != Some(count.wrapping_sub(1)),
            3 => waiting || elapsed.checked_rem(count).unwrap_or(0) < count.div_ceil(2),
            _ => waiting || elapsed != count,
        })
    }

    /// The count as the chip shows it.
    fn count(&self, clock: &Clock, now: Instant) -> u16 {
        let reload = u64::from(self.state.reload);
        let elapsed = self.elapsed(clock, now);
        let value = match self.state.mode {
            2 => reload.wrapping_sub(elapsed.checked_rem(reload).unwrap_or(0)),
            3 => {
                // Counts by two through each half of the period.
                let twice = elapsed.wrapping_mul(2);
                reload.wrapping_sub(twice.checked_rem(reload).unwrap_or(0)) & !1
            }
            _ => reload.wrapping_sub(elapsed),
        };
        match self.state.digits {
            Digits::Binary => value as u16,
            Digits::Decimal => to_decimal((value as i64).rem_euclid(10_000) as u16),
        }
    }

    pub(super) fn latch_count(&mut self, clock: &Clock, now: Instant) {
        // A latch holds until it is read; further commands are ignored.
        if self.state.latched.is_none() {
            self.state.latched = Some(self.count(clock, now));
        }
    }

    pub(super) fn latch_status(&mut self, clock: &Clock, now: Instant) {
        if self.state.status.is_some() {
            return;
        }
        let decimal = u8::from(self.state.digits == Digits::Decimal);
        let null = u8::from(self.state.reload == 0);
        let output = u8::from(self.output(clock, now).is_high());
        self.state.status = Some(
            output << 7
                | null << 6
                | (self.state.access as u8) << 4
                | self.state.mode << 1
                | decimal,
        );
    }

    pub(super) fn read(&mut self, clock: &Clock, now: Instant) -> u8 {
        if let Some(status) = self.state.status.take() {
            return status;
        }
        let [low, high] = self
            .state
            .latched
            .unwrap_or_else(|| self.count(clock, now))
            .to_le_bytes();
        match self.state.access {
            Access::Word if !self.state.high_next => {
                self.state.high_next = true;
                return low;
            }
            _ => {}
        }
        self.state.high_next = false;
        self.state.latched = None;
        match self.state.access {
            Access::Low => low,
            Access::High | Access::Word => high,
        }
    }

    /// A control word for this channel.
    pub(super) fn control(&mut self, value: u8, clock: &Clock, now: Instant) {
        let access = match value >> 4 & 3 {
            0 => return self.latch_count(clock, now),
            1 => Access::Low,
            2 => Access::High,
            _ => Access::Word,
        };
        let mode = value >> 1 & 7;
        let gate = self.state.gate;
        *self = Self::new(gate, now);
        self.state.access = access;
        // Bit 2 of the modes 2 and 3 does not count.
        self.state.mode = if mode > 5 { mode & 3 } else { mode };
        self.state.digits = if value & 1 != 0 {
            Digits::Decimal
        } else {
            Digits::Binary
        };
    }

    pub(super) fn write(&mut self, value: u8, clock: &Clock, now: Instant) {
        let count = match (self.state.access, self.state.low_byte.take()) {
            (Access::Low, _) => u16::from(value),
            (Access::High, _) => u16::from(value) << 8,
            (Access::Word, Some(low)) => u16::from_le_bytes([low, value]),
            (Access::Word, None) => {
                self.state.low_byte = Some(value);
                if self.state.mode == 0 {
                    // The first byte stops the counting, and the output is low.
                    self.wait();
                }
                return;
            }
        };
        self.state.reload = match (self.state.digits, count) {
            (Digits::Binary, 0) => 0x1_0000,
            (Digits::Binary, _) => u32::from(count),
            (Digits::Decimal, 0) => 10_000,
            (Digits::Decimal, _) => from_decimal(count),
        };
        match (self.state.mode, self.state.gate) {
            // Modes 1 and 5 wait for the gate to rise; a count that runs goes on.
            (1 | 5, _) => {}
            (0 | 4, Level::Low) => {
                self.wait();
                self.state.phase = Phase::Held;
                self.state.elapsed = 0;
            }
            (_, Level::Low) => self.wait(),
            (_, Level::High) => self.start(0, clock, now),
        }
    }

    pub(super) fn set_gate(&mut self, gate: Level, clock: &Clock, now: Instant) {
        let previous = core::mem::replace(&mut self.state.gate, gate);
        if previous == gate || self.state.reload == 0 {
            return;
        }
        match (self.state.mode, gate) {
            (0 | 4, Level::Low) if self.state.phase == Phase::Counting => {
                self.state.elapsed = self.elapsed(clock, now);
                self.state.phase = Phase::Held;
                self.deadline = Instant::NEVER;
            }
            (0 | 4, Level::High) if self.state.phase == Phase::Held => {
                self.start(self.state.elapsed, clock, now);
            }
            (2 | 3, Level::Low) => self.wait(),
            (1 | 2 | 3 | 5, Level::High) => self.start(0, clock, now),
            _ => {}
        }
    }

    fn wait(&mut self) {
        self.state.phase = Phase::Waiting;
        self.state.next_rise = 0;
        self.deadline = Instant::NEVER;
    }

    /// Counts from now on, as if `elapsed` counts had passed.
    fn start(&mut self, elapsed: u64, clock: &Clock, now: Instant) {
        self.state.phase = Phase::Counting;
        self.origin = now;
        self.offset = elapsed;
        self.state.next_rise = self.rise_after(elapsed);
        self.arm(clock);
    }

    /// The first rise after `elapsed` counts; 0 where there is none.
    fn rise_after(&self, elapsed: u64) -> u64 {
        let count = u64::from(self.state.reload);
        let once = |at: u64| if elapsed < at { at } else { 0 };
        match self.state.mode {
            0 | 1 => once(count),
            2 | 3 => {
                let periods = elapsed.checked_div(count).unwrap_or(0).wrapping_add(1);
                periods.saturating_mul(count)
            }
            _ => once(count.wrapping_add(1)),
        }
    }

    fn arm(&mut self, clock: &Clock) {
        self.deadline = match self.state.next_rise {
            0 => Instant::NEVER,
            counts if counts <= self.offset => self.origin,
            counts => clock.after(self.origin, counts.wrapping_sub(self.offset)),
        };
    }

    pub(super) fn expire(&mut self, clock: &Clock, now: Instant) -> Fired {
        if now < self.deadline {
            return Fired::No;
        }
        let elapsed = self.elapsed(clock, now).max(self.state.next_rise);
        self.state.next_rise = self.rise_after(elapsed);
        self.arm(clock);
        Fired::Yes
    }

    pub(super) fn save(&self, clock: &Clock, now: Instant) -> ChannelState {
        ChannelState {
            elapsed: self.elapsed(clock, now),
            ..self.state
        }
    }

    pub(super) fn check(state: &ChannelState) -> Result<(), StateError> {
        let counts = state.phase != Phase::Waiting;
        if state.mode > 5
            || state.reload > 0x1_0000
            || counts && state.reload == 0
            || state.elapsed > u64::MAX >> 8
            || state.next_rise > u64::MAX >> 8
        {
            return Err(StateError::Impossible("the 8254"));
        }
        Ok(())
    }

    pub(super) fn restore(state: ChannelState, clock: &Clock, now: Instant) -> Self {
        let mut channel = Self {
            state,
            origin: now,
            offset: 0,
            deadline: Instant::NEVER,
        };
        if state.phase == Phase::Counting {
            channel.start(state.elapsed, clock, now);
            // A rise that was due and not yet reported is still to come.
            channel.state.next_rise = state.next_rise;
            channel.arm(clock);
        }
        channel
    }
}

/// A number below 10000 as four decimal digits.
fn to_decimal(value: u16) -> u16 {
    let digit = |divisor: u16| value / divisor % 10;
    digit(1000) << 12 | digit(100) << 8 | digit(10) << 4 | digit(1)
}

/// Four decimal digits as a number, at least 1 (digits above 9 count as they are).
fn from_decimal(digits: u16) -> u32 {
    let digit = |shift: u16| u32::from(digits >> shift & 15);
    digit(12)
        .wrapping_mul(1000)
        .wrapping_add(digit(8).wrapping_mul(100))
        .wrapping_add(digit(4).wrapping_mul(10))
        .wrapping_add(digit(0))
        .max(1)
}
