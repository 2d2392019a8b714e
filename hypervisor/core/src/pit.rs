//! The 8254 timer of a PC with its port 0x61 (8254 data sheet; ICH manuals for the port).
//!
//! Channel 0's rising output is interrupt line 0, channel 1 once refreshed memory, channel 2 drives the speaker and
//! is gated by port 0x61. A partition has one, behind its lock; after a write the caller asks
//! [`Pit::deadline`] again and calls [`Pit::expire`] when it is reached. A new count takes effect at once, also
//! where a chip would finish its period first.

mod channel;

#[cfg(test)]
mod tests;

use crate::level::Level;
use crate::local_apic::StateError;
use crate::time::{Hertz, Instant, Ratio};
use channel::Channel;
pub use channel::{Access, ChannelState, Digits, Phase};

/// The input clock in Hz.
pub const RATE: Hertz = match Hertz::new(1_193_182) {
    Some(rate) => rate,
    None => unreachable!(),
};

/// The ports: three counters, control, and system control port B.
pub const PORTS: [u16; 5] = [0x40, 0x41, 0x42, 0x43, 0x61];

/// Conversions between the input clock and the host's TSC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Clock {
    to_ticks: Ratio,
    from_ticks: Ratio,
}

impl Clock {
    /// Counts since an instant.
    fn counts(&self, since: Instant, now: Instant) -> u64 {
        self.from_ticks.apply(now.since(since).0)
    }

    /// When that many counts have passed since an instant.
    fn after(&self, since: Instant, counts: u64) -> Instant {
        let ticks = self.to_ticks.apply_up(counts);
        Instant(since.0.saturating_add(ticks).min(u64::MAX - 1))
    }
}

/// Whether channel 0's output rose: an edge on interrupt line 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Fired {
    /// It rose, once or more.
    Yes,
    /// It did not.
    No,
}

/// The state of the timer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PitState {
    /// The channels.
    pub channels: [ChannelState; 3],
    /// Bit 1 of port 0x61: the speaker is connected.
    pub speaker: Level,
    /// Counts since power-up, modulo 32: where the refresh bit of port 0x61 is.
    pub refresh: u8,
}

/// The timer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pit {
    channels: [Channel; 3],
    speaker: Level,
    clock: Clock,
    /// Power-up, for the refresh bit of port 0x61.
    origin: Instant,
    /// Counts at the origin.
    refresh: u8,
}

impl Pit {
    /// The timer after power-up, on a host with this TSC.
    pub const fn new(tsc: Hertz, now: Instant) -> Self {
        Self {
            channels: [
                Channel::new(Level::High, now),
                Channel::new(Level::High, now),
                Channel::new(Level::Low, now),
            ],
            speaker: Level::Low,
            clock: Clock {
                to_ticks: Ratio::new(RATE, tsc),
                from_ticks: Ratio::new(tsc, RATE),
            },
            origin: now,
            refresh: 0,
        }
    }

    /// Power-up again.
    pub fn reset(&mut self, now: Instant) {
        let [zero, one, two] = &mut self.channels;
        *zero = Channel::new(Level::High, now);
        *one = Channel::new(Level::High, now);
        *two = Channel::new(Level::Low, now);
        self.speaker = Level::Low;
    }

    /// Reads one of the [`PORTS`].
    pub fn read(&mut self, port: u16, now: Instant) -> u8 {
        match port {
            0x40..=0x42 => {
                let clock = self.clock;
                self.channel(port as u8 & 3)
                    .map_or(0xff, |channel| channel.read(&clock, now))
            }
            0x61 => {
                let [_, _, two] = &self.channels;
                let bit = |level: Level, position: u8| u8::from(level.is_high()) << position;
                // Refresh toggles about every 15 us: 16 counts are 13.4.
                let refresh = self.refresh_counts(now) >> 4;
                bit(two.gate(), 0)
                    | bit(self.speaker, 1)
                    | refresh << 4
                    | bit(two.output(&self.clock, now), 5)
            }
            // The control word cannot be read.
            _ => 0xff,
        }
    }

    /// Writes one of the [`PORTS`].
    pub fn write(&mut self, port: u16, value: u8, now: Instant) {
        let clock = self.clock;
        match port {
            0x40..=0x42 => {
                if let Some(channel) = self.channel(port as u8 & 3) {
                    channel.write(value, &clock, now);
                }
            }
            0x43 if value >> 6 == 3 => self.read_back(value, now),
            0x43 => {
                if let Some(channel) = self.channel(value >> 6) {
                    channel.control(value, &clock, now);
                }
            }
            0x61 => {
                self.speaker = Level::high_if(value & 2 != 0);
                let [_, _, two] = &mut self.channels;
                two.set_gate(Level::high_if(value & 1 != 0), &clock, now);
            }
            _ => {}
        }
    }

    /// When channel 0's output rises next; [`Instant::NEVER`] where it does not.
    pub fn deadline(&self) -> Instant {
        let [zero, ..] = &self.channels;
        zero.deadline()
    }

    /// Answers whether channel 0's output has risen by `now` since it was asked last. Missed periods are one edge.
    pub fn expire(&mut self, now: Instant) -> Fired {
        let clock = self.clock;
        let [zero, ..] = &mut self.channels;
        zero.expire(&clock, now)
    }

    /// The state for a later [`Pit::restore`].
    pub fn save(&self, now: Instant) -> PitState {
        PitState {
            channels: self.channels.map(|channel| channel.save(&self.clock, now)),
            speaker: self.speaker,
            refresh: self.refresh_counts(now),
        }
    }

    /// Takes over a saved state.
    ///
    /// # Errors
    /// Where no timer can be in that state; this one is unchanged then.
    pub fn restore(&mut self, state: &PitState, now: Instant) -> Result<(), StateError> {
        for channel in &state.channels {
            Channel::check(channel)?;
        }
        if state.refresh > 31 {
            return Err(StateError::Impossible("the 8254's refresh bit"));
        }
        self.channels = state
            .channels
            .map(|channel| Channel::restore(channel, &self.clock, now));
        self.speaker = state.speaker;
        self.origin = now;
        self.refresh = state.refresh;
        Ok(())
    }

    /// Counts since power-up, modulo 32.
    fn refresh_counts(&self, now: Instant) -> u8 {
        let passed = self.clock.counts(self.origin, now) as u8;
        passed.wrapping_add(self.refresh) & 31
    }

    fn channel(&mut self, number: u8) -> Option<&mut Channel> {
        self.channels.get_mut(usize::from(number))
    }

    /// The read-back command: latches counts and states of several channels.
    fn read_back(&mut self, value: u8, now: Instant) {
        let clock = self.clock;
        for (bit, channel) in (1u32..).zip(&mut self.channels) {
            if value >> bit & 1 == 0 {
                continue;
            }
            if value & 1 << 5 == 0 {
                channel.latch_count(&clock, now);
            }
            if value & 1 << 4 == 0 {
                channel.latch_status(&clock, now);
            }
        }
    }
}
