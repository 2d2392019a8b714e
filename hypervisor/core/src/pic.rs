//! The pair of 8259A interrupt controllers of a PC (8259A data sheet; ICH manuals for the ELCR).
//!
//! A partition has one pair, behind its lock. Devices set lines; the exit loop forwards port accesses and, where
//! LINT0 passes external interrupts, takes the vector with [`Pic::acknowledge`]. Every call that can change the
//! output answers it. Pin 2 of the first chip is the second chip's output.

mod chip;

#[cfg(test)]
mod tests;

use crate::id::Vector;
use crate::level::Level;
use crate::local_apic::StateError;
use chip::Chip;
pub use chip::{ChipState, Expected, Modes};

/// The ports of the pair.
pub const PORTS: [u16; 6] = [0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1];

/// The pin of the first chip that the second one drives.
const CASCADE: u8 = 2;

/// The pair.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pic {
    first: Chip,
    second: Chip,
}

/// The state of the pair.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PicState {
    /// The chip at port 0x20.
    pub first: ChipState,
    /// The chip at port 0xa0.
    pub second: ChipState,
}

impl Default for Pic {
    fn default() -> Self {
        Self::new()
    }
}

impl Pic {
    /// The pair after power-up. Until software initialises it, all lines are masked here: firmware leaves it so.
    pub const fn new() -> Self {
        Self {
            first: Chip::new(),
            second: Chip::new(),
        }
    }

    /// After power-up again; the lines stay as their devices drive them.
    pub fn reset(&mut self) {
        self.first.reset();
        self.second.reset();
    }

    /// The output to LINT0 of the processors.
    pub const fn output(&self) -> Level {
        self.first.output()
    }

    /// Reads one of the [`PORTS`]; a read in poll mode acknowledges, so the output may have changed after it.
    pub fn read(&mut self, port: u16) -> u8 {
        let value = match port {
            // Polling the first chip does not acknowledge at the second: software polls that as well.
            0x20 | 0x21 => self.first.read(port),
            0xa0 | 0xa1 => self.second.read(port),
            0x4d0 => self.first.level_triggered(),
            0x4d1 => self.second.level_triggered(),
            _ => 0xff,
        };
        self.cascade();
        value
    }

    /// Writes one of the [`PORTS`]. Answers the output.
    pub fn write(&mut self, port: u16, value: u8) -> Level {
        match port {
            0x20 | 0x21 => self.first.write(port, value),
            0xa0 | 0xa1 => self.second.write(port, value),
            // The timer, the keyboard, the cascade, the clock and the FPU are edges always.
            0x4d0 => self.first.set_level_triggered(value & 0xf8),
            0x4d1 => self.second.set_level_triggered(value & 0xde),
            _ => {}
        }
        self.cascade();
        self.output()
    }

    /// A device drives one of the lines 0 to 15 (2 is the cascade and ignored). Answers the output.
    pub fn set_line(&mut self, line: u8, level: Level) -> Level {
        match line {
            CASCADE | 16.. => {}
            0..8 => self.first.set_line(line, level),
            8..16 => {
                self.second.set_line(line & 7, level);
                self.cascade();
            }
        }
        self.output()
    }

    /// The processor takes an interrupt: the vector, a spurious one where nothing is requested any more.
    pub fn acknowledge(&mut self) -> Vector {
        let line = self.first.acknowledge();
        let vector = match line {
            Some(CASCADE) => {
                let line = self.second.acknowledge();
                self.second.vector(line)
            }
            line => self.first.vector(line),
        };
        self.cascade();
        vector
    }

    /// The state for a later [`Pic::restore`].
    pub const fn save(&self) -> PicState {
        PicState {
            first: self.first.save(),
            second: self.second.save(),
        }
    }

    /// Takes over a saved state.
    ///
    /// # Errors
    /// Where no pair can be in that state; this one is unchanged then.
    pub fn restore(&mut self, state: &PicState) -> Result<(), StateError> {
        let first = Chip::restore(&state.first, 0xf8)?;
        let second = Chip::restore(&state.second, 0xde)?;
        *self = Self { first, second };
        Ok(())
    }

    fn cascade(&mut self) {
        self.first.set_line(CASCADE, self.second.output());
    }
}
