//! The MC146818 real-time clock of a PC with its CMOS memory (MC146818A data sheet; ICH manuals for the century).
//!
//! A partition has one, behind its lock, at ports 0x70 and 0x71; its output is interrupt line 8. The clock is a
//! number of seconds at an instant; what registers show is computed when it is asked for, and events are worked
//! out from the last time that anything was. After a write the caller asks [`Rtc::deadline`] again.

mod calendar;
mod registers;

#[cfg(test)]
mod tests;

use core::fmt;

use crate::level::Level;
use crate::local_apic::StateError;
use crate::time::{Hertz, Instant, Ratio};
use calendar::Alarm;
use registers as reg;

/// A moment in seconds since 1970, shown as date and time of day: `2026-11-22 21:55:01`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Utc(pub i64);

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // In digits, hexadecimal shows what the register means.
        let digits = |index| calendar::encode(self.0, index, reg::B_24_HOURS);
        let [century, year, month, day] =
            [reg::CENTURY, reg::YEAR, reg::MONTH, reg::DAY].map(digits);
        let [hours, minutes, seconds] = [reg::HOURS, reg::MINUTES, reg::SECONDS].map(digits);
        write!(
            f,
            "{century:02x}{year:02x}-{month:02x}-{day:02x} {hours:02x}:{minutes:02x}:{seconds:02x}"
        )
    }
}

/// The time in seconds since 1970 that the registers of a clock show, where they show one. They are laid out as those of
/// [`Rtc`], with the century at 0x32, and in the format that register B says.
pub fn time_in(memory: &[u8; 128]) -> Option<i64> {
    calendar::decode_legal(memory)
}

/// The ports: index and data.
pub const PORTS: [u16; 2] = [0x70, 0x71];

/// The oscillator: all times are multiples of its period.
const RATE: Hertz = match Hertz::new(32_768) {
    Some(rate) => rate,
    None => unreachable!(),
};
/// Binary logarithm of the rate.
const SECOND_SHIFT: u32 = 15;
/// The update-in-progress flag rises 244 us before an update (MC146818A, table 6): eight periods.
const UPDATE_WARNING: u64 = 8;

/// The state of the clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RtcState {
    /// The index register.
    pub index: u8,
    /// CMOS memory with the registers; those of the time count only while the clock is stopped by SET.
    pub memory: [u8; 128],
    /// The time in seconds since 1970 as the guest sees it (local time, if it set it so).
    pub seconds: i64,
    /// Periods of the oscillator since the second began.
    pub fraction: u16,
}

/// The clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rtc {
    index: u8,
    memory: [u8; 128],
    /// The time at `origin`.
    seconds: i64,
    origin: Instant,
    /// Periods before `origin` that belong to its second.
    fraction: u64,
    /// Periods since the start of the origin's second up to which events have been noticed.
    noticed: u64,
    from_ticks: Ratio,
    to_ticks: Ratio,
}

impl Rtc {
    /// The clock, showing `seconds` since 1970 (UTC) at `now`, on a host with this TSC.
    pub fn new(seconds: i64, tsc: Hertz, now: Instant) -> Self {
        let mut memory = [0; 128];
        for (register, value) in [
            (reg::A, reg::A_DEFAULT),
            (reg::B, reg::B_24_HOURS),
            (reg::D, reg::D_VALID),
        ] {
            put(&mut memory, register, value);
        }
        Self {
            index: 0,
            memory,
            seconds,
            origin: now,
            fraction: 0,
            noticed: 0,
            from_ticks: Ratio::new(tsc, RATE),
            to_ticks: Ratio::new(RATE, tsc),
        }
    }

    /// The reset line: interrupts are off and their flags clear; time and memory stay.
    pub fn reset(&mut self, now: Instant) {
        self.notice(now);
        let kept =
            self.get(reg::B) & !(reg::B_PERIODIC | reg::B_ALARM | reg::B_UPDATE | reg::B_SQUARE);
        put(&mut self.memory, reg::B, kept);
        put(&mut self.memory, reg::C, 0);
        self.index = 0;
    }

    /// Sets the time, as the operator's clock does: without effect on what the guest set otherwise.
    pub fn set_time(&mut self, seconds: i64, now: Instant) {
        self.notice(now);
        self.restart(seconds, 0, now);
    }

    /// The time that the guest sees, in seconds since 1970.
    pub fn time(&self, now: Instant) -> i64 {
        if self.is_stopped() {
            return calendar::decode(&self.memory);
        }
        let passed = (self.periods(now) >> SECOND_SHIFT) as i64;
        self.seconds.saturating_add(passed)
    }

    /// Gives CMOS memory a value, as firmware does before the guest starts; registers are left alone.
    pub fn set_memory(&mut self, index: u8, value: u8) {
        if !reg::is_register(index) {
            put(&mut self.memory, index, value);
        }
    }

    /// The output to interrupt line 8.
    pub fn output(&self) -> Level {
        Level::high_if(self.get(reg::C) & reg::C_REQUEST != 0)
    }

    /// Reads port 0x70 or 0x71. Reading register C lowers the output.
    pub fn read(&mut self, port: u16, now: Instant) -> u8 {
        if port & 1 == 0 {
            // The index cannot be read.
            return 0xff;
        }
        self.notice(now);
        match self.index {
            reg::A => self.get(reg::A) | self.update_in_progress(now),
            reg::C => {
                let flags = self.get(reg::C);
                put(&mut self.memory, reg::C, 0);
                flags
            }
            index if reg::is_time(index) && !self.is_stopped() => {
                calendar::encode(self.time(now), index, self.get(reg::B))
            }
            index => self.get(index),
        }
    }

    /// Writes port 0x70 or 0x71. Answers the output.
    pub fn write(&mut self, port: u16, value: u8, now: Instant) -> Level {
        if port & 1 == 0 {
            // Bit 7 masks the NMI on a real board.
            self.index = value & 0x7f;
            return self.output();
        }
        self.notice(now);
        match self.index {
            reg::A => self.set_control(reg::A, value & !reg::A_UPDATING, now),
            reg::B => self.set_b(value, now),
            reg::C | reg::D => {}
            index if reg::is_time(index) => {
                // A register set on the run changes that part of the time alone.
                self.store_time(now);
                put(&mut self.memory, index, value);
                if !self.is_stopped() {
                    let fraction = self.periods(now) & 0x7fff;
                    self.restart(calendar::decode(&self.memory), fraction, now);
                }
            }
            index => put(&mut self.memory, index, value),
        }
        self.output()
    }

    /// When the next event is that would raise the output; [`Instant::NEVER`] where none would.
    pub fn deadline(&self) -> Instant {
        let (b, c) = (self.get(reg::B), self.get(reg::C));
        if c & reg::C_REQUEST != 0 {
            return Instant::NEVER;
        }
        let next_second = (self.noticed >> SECOND_SHIFT).wrapping_add(1) << SECOND_SHIFT;
        let mut due = u64::MAX;
        if b & reg::B_PERIODIC != 0
            && let Some(shift) = reg::period_shift(self.get(reg::A))
        {
            due = due.min((self.noticed >> shift).wrapping_add(1) << shift);
        }
        if !self.is_stopped() {
            if b & reg::B_UPDATE != 0 {
                due = due.min(next_second);
            }
            if b & reg::B_ALARM != 0
                && let Some(wait) = self.alarm().seconds_after(self.noticed_second())
            {
                let at = (self.noticed >> SECOND_SHIFT).saturating_add(wait);
                due = due.min(at.saturating_mul(1 << SECOND_SHIFT));
            }
        }
        if due == u64::MAX {
            return Instant::NEVER;
        }
        let ticks = self.to_ticks.apply_up(due.saturating_sub(self.fraction));
        Instant(self.origin.0.saturating_add(ticks).min(u64::MAX - 1))
    }

    /// Notices the events up to `now`. Answers the output.
    pub fn expire(&mut self, now: Instant) -> Level {
        self.notice(now);
        self.output()
    }

    /// The state for a later [`Rtc::restore`].
    pub fn save(&mut self, now: Instant) -> RtcState {
        self.notice(now);
        RtcState {
            index: self.index,
            memory: self.memory,
            seconds: self.time(now),
            fraction: (self.periods(now) & 0x7fff) as u16,
        }
    }

    /// Takes over a saved state; the time goes on from what it holds.
    ///
    /// # Errors
    /// Where no clock can be in that state; this one is unchanged then.
    pub fn restore(&mut self, state: &RtcState, now: Instant) -> Result<(), StateError> {
        let at = |index: u8| state.memory.get(usize::from(index)).copied().unwrap_or(0);
        if state.index > 0x7f
            || state.fraction > 0x7fff
            || at(reg::A) & reg::A_UPDATING != 0
            || at(reg::C) & 0x0f != 0
            || at(reg::D) != reg::D_VALID
            || state.seconds.unsigned_abs() > 1 << 40
        {
            return Err(StateError::Impossible("the real-time clock"));
        }
        self.index = state.index;
        self.memory = state.memory;
        self.restart(state.seconds, u64::from(state.fraction), now);
        Ok(())
    }

    fn get(&self, index: u8) -> u8 {
        self.memory.get(usize::from(index)).copied().unwrap_or(0)
    }

    /// Whether SET or the divider stops the updates.
    fn is_stopped(&self) -> bool {
        self.get(reg::B) & reg::B_SET != 0
            || self.get(reg::A) & reg::A_DIVIDER > reg::A_DIVIDER_RUNS
    }

    /// Periods since the start of the origin's second.
    fn periods(&self, now: Instant) -> u64 {
        self.from_ticks
            .apply(now.since(self.origin).0)
            .saturating_add(self.fraction)
    }

    /// The time of the last noticed second.
    fn noticed_second(&self) -> i64 {
        self.seconds
            .saturating_add((self.noticed >> SECOND_SHIFT) as i64)
    }

    fn restart(&mut self, seconds: i64, fraction: u64, now: Instant) {
        self.seconds = seconds;
        self.origin = now;
        self.fraction = fraction;
        self.noticed = fraction;
    }

    fn update_in_progress(&self, now: Instant) -> u8 {
        let left = (1u64 << SECOND_SHIFT).wrapping_sub(self.periods(now) & 0x7fff);
        if !self.is_stopped() && left <= UPDATE_WARNING {
            reg::A_UPDATING
        } else {
            0
        }
    }

    fn alarm(&self) -> Alarm {
        Alarm::new(&self.memory)
    }

    /// Writes the time at `now` into the registers.
    fn store_time(&mut self, now: Instant) {
        if self.is_stopped() {
            return;
        }
        let (time, b) = (self.time(now), self.get(reg::B));
        for index in reg::TIME {
            put(&mut self.memory, index, calendar::encode(time, index, b));
        }
    }

    fn set_b(&mut self, value: u8, now: Instant) {
        // SET turns the update interrupt off.
        let value = if value & reg::B_SET != 0 {
            value & !reg::B_UPDATE
        } else {
            value
        };
        self.set_control(reg::B, value, now);
        self.raise(0);
    }

    /// Writes register A or B, which can stop the clock or let it go on.
    fn set_control(&mut self, index: u8, value: u8, now: Instant) {
        let was_stopped = self.is_stopped();
        let was_held = self.get(reg::A) & reg::A_DIVIDER > reg::A_DIVIDER_RUNS;
        self.store_time(now);
        put(&mut self.memory, index, value);
        let fraction = if was_held {
            // The first update comes half a second after the divider is let go (MC146818A, Divider Control).
            1 << (SECOND_SHIFT - 1)
        } else {
            self.periods(now) & 0x7fff
        };
        if was_stopped != self.is_stopped() {
            self.restart(calendar::decode(&self.memory), fraction, now);
        }
    }

    /// Sets the flags of the events since the last call.
    fn notice(&mut self, now: Instant) {
        let periods = self.periods(now);
        if periods <= self.noticed {
            return;
        }
        let mut flags = 0;
        if let Some(shift) = reg::period_shift(self.get(reg::A))
            && periods >> shift != self.noticed >> shift
        {
            flags |= reg::C_PERIODIC;
        }
        let seconds = (periods >> SECOND_SHIFT).wrapping_sub(self.noticed >> SECOND_SHIFT);
        if seconds != 0 && !self.is_stopped() {
            flags |= reg::C_UPDATE;
            if self
                .alarm()
                .seconds_after(self.noticed_second())
                .is_some_and(|wait| wait <= seconds)
            {
                flags |= reg::C_ALARM;
            }
        }
        self.noticed = periods;
        self.raise(flags);
    }

    /// Sets flags, and the request where an enabled one is set.
    fn raise(&mut self, flags: u8) {
        let c = self.get(reg::C) & !reg::C_REQUEST | flags;
        let enabled = reg::B_PERIODIC | reg::B_ALARM | reg::B_UPDATE;
        let request = if c & self.get(reg::B) & enabled != 0 {
            reg::C_REQUEST
        } else {
            0
        };
        put(&mut self.memory, reg::C, c | request);
    }
}

fn put(memory: &mut [u8; 128], index: u8, value: u8) {
    if let Some(slot) = memory.get_mut(usize::from(index)) {
        *slot = value;
    }
}
