//! [`HotPlug`]: the registers by which the guest's ACPI tables tell of processors that come and go (ACPI 6.5, 5.6.6 and 6.3), and the
//! general-purpose event that says so (4.8.4).
//!
//! The firmware's DSDT drives them: it asks for the next processor with news, clears the news and notifies the processor's device; to
//! give a processor back it writes "eject". A processor that the guest ejects unasked is offered again at once.

use vmm_pci::{BadState, Level, StateReader, StateWriter, Width};

use crate::map;

/// Processors that there can be.
pub const MAX_PROCESSORS: u32 = 64;

/// Bits of [`STATE`].
const PRESENT: u32 = 1 << 0;
const INSERTED: u32 = 1 << 1;
const REMOVAL: u32 = 1 << 2;
const EJECT: u32 = 1 << 3;
/// Registers, by their offset.
const SELECT: u16 = 0;
const STATE: u16 = 4;
/// Reads: the first processor with news. Writes: what the next [`STATUS`] is about.
const NEXT: u16 = 8;
const STATUS: u16 = 12;
/// [`NEXT`] where there are no news.
const NOBODY: u32 = u32::MAX;
/// What _OST says of: a wish that a device be ejected.
const EJECTION_REQUEST: u32 = 3;
/// What it says: done; under way.
const DONE: u32 = 0;
const UNDER_WAY: u32 = 0x84;
/// The event, of the eight that there are.
const EVENT: u8 = 1 << map::HOT_PLUG_EVENT;

/// The processors of a board.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Processors {
    /// How many there can be, at most [`MAX_PROCESSORS`].
    pub possible: u32,
    /// How many there are.
    pub present: u32,
}

/// What the guest did with processors, a bit each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Outcome {
    /// It has given them back.
    pub ejected: u64,
    /// It was asked for them and keeps them.
    pub kept: u64,
}

/// Whether the guest's driver listens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Listening {
    /// It is told by an interrupt of what comes and goes.
    Yes,
    /// It has not enabled the event.
    No,
}

/// The registers. Sets of processors have a bit for each.
#[derive(Clone, Debug)]
pub(crate) struct HotPlug {
    possible: u64,
    present: u64,
    /// The guest was not told yet that they have come.
    inserted: u64,
    /// The guest was not told yet that they are wanted back.
    removal: u64,
    /// They are wanted back.
    asked: u64,
    selected: u32,
    about: u32,
    status: u8,
    enable: u8,
    outcome: Outcome,
}

/// The first `count` processors.
fn first(count: u32) -> u64 {
    match 1u64.checked_shl(count) {
        Some(bit) => bit.wrapping_sub(1),
        None => u64::MAX,
    }
}

impl HotPlug {
    pub fn new(processors: Processors) -> Self {
        let possible = first(processors.possible.clamp(1, MAX_PROCESSORS));
        Self {
            possible,
            present: first(processors.present.max(1)) & possible,
            inserted: 0,
            removal: 0,
            asked: 0,
            selected: 0,
            about: 0,
            status: 0,
            enable: 0,
            outcome: Outcome::default(),
        }
    }

    /// Adds its registers.
    pub fn save(&self, to: &mut StateWriter) {
        for set in [self.present, self.inserted, self.removal, self.asked] {
            to.put64(set);
        }
        to.put32(self.selected);
        to.put32(self.about);
        to.put8(self.status);
        to.put8(self.enable);
    }

    /// Is again as it was saved.
    ///
    /// # Errors
    /// [`BadState`].
    pub fn restore(&mut self, from: &mut StateReader<'_>) -> Result<(), BadState> {
        self.present = from.take64()?;
        self.inserted = from.take64()?;
        self.removal = from.take64()?;
        self.asked = from.take64()?;
        self.selected = from.take32()?;
        self.about = from.take32()?;
        self.status = from.take8()?;
        self.enable = from.take8()?;
        let possible = self.present & !self.possible == 0
            && self.present & 1 != 0
            && (self.inserted | self.asked) & !self.present == 0
            && self.removal & !self.asked == 0
            && self.asked & 1 == 0
            && self.status & !EVENT == 0;
        possible.then_some(()).ok_or(BadState::Value)
    }

    /// The guest starts anew, with the processors that are there; it was asked for some in vain.
    pub fn power_on(&mut self) {
        let kept = self.asked;
        *self = Self {
            possible: self.possible,
            present: self.present,
            ..Self::new(Processors {
                possible: 1,
                present: 1,
            })
        };
        self.outcome.kept = kept;
    }

    /// How many of the first processors are there without a gap, and not wanted back.
    pub fn count(&self) -> u32 {
        (self.present & !self.asked).trailing_ones()
    }

    /// Whether the guest's driver listens.
    pub fn listening(&self) -> Listening {
        match self.enable & EVENT {
            0 => Listening::No,
            _ => Listening::Yes,
        }
    }

    /// The guest has the first `count` processors: those that are not there come, and none of them is wanted back.
    pub fn offer(&mut self, count: u32) {
        let all = first(count) & self.possible;
        let new = all & !self.present;
        self.present |= new;
        self.inserted |= new;
        self.asked &= !all;
        self.removal &= !all;
        if new != 0 {
            self.status |= EVENT;
        }
    }

    /// The guest is asked to give back all but the first `count` processors; the first one it keeps.
    pub fn ask_back(&mut self, count: u32) {
        let wanted = self.present & !first(count.max(1));
        self.asked |= wanted;
        self.removal |= wanted;
        if wanted != 0 {
            self.status |= EVENT;
        }
    }

    /// What the guest did since this was asked last.
    pub fn take_outcome(&mut self) -> Outcome {
        core::mem::take(&mut self.outcome)
    }

    /// The level of the SCI, as far as the event goes.
    pub fn sci(&self) -> Level {
        match self.status & self.enable {
            0 => Level::Low,
            _ => Level::High,
        }
    }

    fn bit(&self) -> u64 {
        1u64.checked_shl(self.selected).unwrap_or(0) & self.possible
    }

    /// Reads; `port` lies in the registers.
    pub fn read(&self, port: u16, width: Width) -> u64 {
        let offset = port.wrapping_sub(map::HOT_PLUG);
        let register = match offset & !3 {
            SELECT => self.selected,
            STATE => {
                let bit = self.bit();
                let flag = |set: u64, flag| if set & bit != 0 { flag } else { 0 };
                flag(self.present, PRESENT)
                    | flag(self.inserted, INSERTED)
                    | flag(self.removal, REMOVAL)
            }
            NEXT => match self.inserted | self.removal {
                0 => NOBODY,
                news => news.trailing_zeros(),
            },
            _ => 0,
        };
        width.load(&register.to_le_bytes(), usize::from(offset & 3))
    }

    /// Writes; `port` lies in the registers, which take whole words of 32 bits.
    pub fn write(&mut self, port: u16, width: Width, value: u64) {
        if width != Width::Dword {
            return;
        }
        let value = value as u32;
        match port.wrapping_sub(map::HOT_PLUG) {
            SELECT => self.selected = value,
            STATE => self.act(value),
            NEXT => self.about = value,
            STATUS => self.hear(value),
            _ => {}
        }
    }

    fn act(&mut self, value: u32) {
        let bit = self.bit();
        if value & INSERTED != 0 {
            self.inserted &= !bit;
        }
        if value & REMOVAL != 0 {
            self.removal &= !bit;
        }
        if value & EJECT == 0 || self.present & bit == 0 {
            return;
        }
        if self.asked & bit != 0 {
            self.present &= !bit;
            self.asked &= !bit;
            self.inserted &= !bit;
            self.removal &= !bit;
            self.outcome.ejected |= bit;
        } else {
            self.inserted |= bit;
            self.status |= EVENT;
        }
    }

    /// _OST: what became of a wish.
    fn hear(&mut self, status: u32) {
        let bit = self.bit() & self.asked;
        if self.about == EJECTION_REQUEST && status != DONE && status != UNDER_WAY {
            self.asked &= !bit;
            self.removal &= !bit;
            self.outcome.kept |= bit;
        }
    }

    /// Reads the event's status (first port) and enable.
    pub fn read_event(&self, port: u16, width: Width) -> u64 {
        let offset = usize::from(port.wrapping_sub(map::GPE0));
        width.load(&[self.status, self.enable], offset)
    }

    /// Writes there: ones clear the status.
    pub fn write_event(&mut self, port: u16, width: Width, value: u64) {
        let bytes = width.of(value).to_le_bytes();
        match (port.wrapping_sub(map::GPE0), bytes, width) {
            (0, [status, _, ..], Width::Byte) => self.status &= !status,
            (0, [status, enable, ..], _) => {
                self.status &= !status;
                self.enable = enable;
            }
            (1, [enable, ..], _) => self.enable = enable,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
