//! One 8259A.

use crate::id::Vector;
use crate::level::Level;
use crate::local_apic::StateError;

/// The state of one chip.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChipState {
    /// Requests.
    pub requests: u8,
    /// In service.
    pub in_service: u8,
    /// Masked.
    pub masked: u8,
    /// Lines that are high.
    pub lines: u8,
    /// Lines that are level-triggered (ELCR).
    pub level_triggered: u8,
    /// The vector of line 0 (ICW2), a multiple of 8.
    pub vector_base: u8,
    /// The line with the highest priority.
    pub first_line: u8,
    /// Initialisation words still expected.
    pub expected: Expected,
    /// Modes.
    pub modes: Modes,
}

/// The next initialisation word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expected {
    /// None: operating.
    Nothing,
    /// ICW2, then as `FourthWord` and `Cascaded` say.
    Second,
    /// ICW3.
    Third,
    /// ICW4.
    Fourth,
}

bitflags::bitflags! {
    /// Modes of a chip.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Modes: u8 {
        /// Reads of the even port show what is in service.
        const READ_IN_SERVICE = 1;
        /// The next read polls.
        const POLL = 2;
        /// Special mask mode.
        const SPECIAL_MASK = 4;
        /// Acknowledging ends the interrupt.
        const AUTO_EOI = 8;
        /// Automatic ends rotate the priorities.
        const ROTATE_ON_AUTO_EOI = 16;
        /// Special fully nested mode.
        const NESTED = 32;
        /// ICW1 announced an ICW4.
        const FOURTH_WORD = 64;
        /// ICW1 said that there is no cascade, so no ICW3.
        const SINGLE = 128;
    }
}

/// One chip.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Chip(ChipState);

impl Chip {
    pub(super) const fn new() -> Self {
        Self(ChipState {
            requests: 0,
            in_service: 0,
            masked: 0xff,
            lines: 0,
            level_triggered: 0,
            vector_base: 0,
            first_line: 0,
            expected: Expected::Nothing,
            modes: Modes::empty(),
        })
    }

    pub(super) fn reset(&mut self) {
        let lines = self.0.lines;
        *self = Self::new();
        self.0.lines = lines;
    }

    pub(super) const fn output(&self) -> Level {
        Level::high_if(self.pending().is_some())
    }

    pub(super) const fn level_triggered(&self) -> u8 {
        self.0.level_triggered
    }

    pub(super) fn set_level_triggered(&mut self, lines: u8) {
        self.0.level_triggered = lines;
        self.0.requests = self.0.requests & !lines | self.0.lines & lines;
    }

    pub(super) fn set_line(&mut self, line: u8, level: Level) {
        let bit = 1u8.wrapping_shl(line.into());
        let rises = self.0.lines & bit == 0;
        match level {
            Level::High => {
                if rises || self.0.level_triggered & bit != 0 {
                    self.0.requests |= bit;
                }
                self.0.lines |= bit;
            }
            Level::Low => {
                self.0.lines &= !bit;
                if self.0.level_triggered & bit != 0 {
                    self.0.requests &= !bit;
                }
            }
        }
    }

    /// The position of the first of these lines in the order of priority, 0 to 7.
    const fn rank(&self, lines: u8) -> Option<u8> {
        if lines == 0 {
            return None;
        }
        Some(
            lines
                .rotate_right(self.0.first_line as u32)
                .trailing_zeros() as u8,
        )
    }

    const fn line_of(&self, rank: u8) -> u8 {
        rank.wrapping_add(self.0.first_line) & 7
    }

    /// The line to be served next: requested, not masked, and above what is in service.
    const fn pending(&self) -> Option<u8> {
        let Some(rank) = self.rank(self.0.requests & !self.0.masked) else {
            return None;
        };
        let mut blocking = self.0.in_service;
        if self.0.modes.contains(Modes::SPECIAL_MASK) {
            blocking &= !self.0.masked;
        }
        if self.0.modes.contains(Modes::NESTED) {
            // Further requests of the second chip pass while one of its interrupts is served.
            blocking &= !(1 << super::CASCADE);
        }
        match self.rank(blocking) {
            Some(serving) if serving <= rank => None,
            _ => Some(self.line_of(rank)),
        }
    }

    /// Takes the pending line into service; `None` where nothing is pending.
    pub(super) fn acknowledge(&mut self) -> Option<u8> {
        let line = self.pending()?;
        let bit = 1u8.wrapping_shl(line.into());
        if self.0.level_triggered & bit == 0 {
            self.0.requests &= !bit;
        }
        if !self.0.modes.contains(Modes::AUTO_EOI) {
            self.0.in_service |= bit;
        } else if self.0.modes.contains(Modes::ROTATE_ON_AUTO_EOI) {
            self.0.first_line = line.wrapping_add(1) & 7;
        }
        Some(line)
    }

    /// The vector of a line; line 7's where the request is gone.
    pub(super) fn vector(&self, line: Option<u8>) -> Vector {
        Vector(self.0.vector_base | line.unwrap_or(7))
    }

    pub(super) fn read(&mut self, port: u16) -> u8 {
        if self.0.modes.contains(Modes::POLL) {
            self.0.modes.remove(Modes::POLL);
            return self.acknowledge().map_or(0, |line| 0x80 | line);
        }
        if port & 1 != 0 {
            self.0.masked
        } else if self.0.modes.contains(Modes::READ_IN_SERVICE) {
            self.0.in_service
        } else {
            self.0.requests
        }
    }

    pub(super) fn write(&mut self, port: u16, value: u8) {
        match (port & 1, value & 0x18) {
            (0, 0x10 | 0x18) => self.initialise(value),
            (0, 0x08) => self.third_command(value),
            (0, _) => self.second_command(value),
            _ => self.data(value),
        }
    }

    /// ICW1.
    fn initialise(&mut self, value: u8) {
        let level = self.0.level_triggered;
        self.0 = ChipState {
            requests: self.0.lines & level,
            masked: 0,
            lines: self.0.lines,
            level_triggered: level,
            expected: Expected::Second,
            vector_base: self.0.vector_base,
            ..Self::new().0
        };
        self.0.modes.set(Modes::FOURTH_WORD, value & 1 != 0);
        self.0.modes.set(Modes::SINGLE, value & 2 != 0);
    }

    /// ICW2 to ICW4, and the mask.
    fn data(&mut self, value: u8) {
        let after_third = if self.0.modes.contains(Modes::FOURTH_WORD) {
            Expected::Fourth
        } else {
            Expected::Nothing
        };
        match self.0.expected {
            Expected::Nothing => self.0.masked = value,
            Expected::Second => {
                self.0.vector_base = value & 0xf8;
                self.0.expected = if self.0.modes.contains(Modes::SINGLE) {
                    after_third
                } else {
                    Expected::Third
                };
            }
            // The wiring of the cascade is fixed on a PC.
            Expected::Third => self.0.expected = after_third,
            Expected::Fourth => {
                self.0.modes.set(Modes::AUTO_EOI, value & 2 != 0);
                self.0.modes.set(Modes::NESTED, value & 0x10 != 0);
                self.0.expected = Expected::Nothing;
            }
        }
    }

    /// OCW2: ends and rotations.
    fn second_command(&mut self, value: u8) {
        let named = value & 7;
        let line = match value >> 5 {
            0 => {
                self.0.modes.remove(Modes::ROTATE_ON_AUTO_EOI);
                return;
            }
            4 => {
                self.0.modes.insert(Modes::ROTATE_ON_AUTO_EOI);
                return;
            }
            6 => {
                // The named line gets the lowest priority.
                self.0.first_line = named.wrapping_add(1) & 7;
                return;
            }
            3 | 7 => Some(named),
            1 | 5 => self
                .rank(self.ends_without_name())
                .map(|rank| self.line_of(rank)),
            _ => None,
        };
        let Some(line) = line else {
            return;
        };
        self.0.in_service &= !1u8.wrapping_shl(line.into());
        if value & 0x80 != 0 {
            self.0.first_line = line.wrapping_add(1) & 7;
        }
    }

    /// What an unspecific end can end: in special mask mode not what is masked.
    const fn ends_without_name(&self) -> u8 {
        if self.0.modes.contains(Modes::SPECIAL_MASK) {
            self.0.in_service & !self.0.masked
        } else {
            self.0.in_service
        }
    }

    /// OCW3: what to read, polling, the special mask.
    fn third_command(&mut self, value: u8) {
        if value & 4 != 0 {
            self.0.modes.insert(Modes::POLL);
        }
        if value & 2 != 0 {
            self.0.modes.set(Modes::READ_IN_SERVICE, value & 1 != 0);
        }
        if value & 0x40 != 0 {
            self.0.modes.set(Modes::SPECIAL_MASK, value & 0x20 != 0);
        }
    }

    pub(super) const fn save(&self) -> ChipState {
        self.0
    }

    /// The chip in a saved state; `levels` are the lines that can be level-triggered.
    pub(super) fn restore(state: &ChipState, levels: u8) -> Result<Self, StateError> {
        let level_mismatch = (state.requests ^ state.lines) & state.level_triggered != 0;
        if state.level_triggered & !levels != 0
            || state.vector_base & 7 != 0
            || state.first_line > 7
            || level_mismatch
        {
            return Err(StateError::Impossible("the 8259A"));
        }
        Ok(Self(*state))
    }
}
