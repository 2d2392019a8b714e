//! The devices of the PC board.

use super::bytes::{Coded, coded, coded_choice};
use super::{BadState, Kind, Reader, Sections, Writer};
use crate::ioapic::IoApicState;
use crate::level::Level;
use crate::pc_board::{BoardState, PINS};
use crate::pic::{ChipState, Expected, Modes, PicState};
use crate::pit::{Access, ChannelState, Digits, Phase, PitState};
use crate::rtc::RtcState;
use crate::uart::UartState;

coded! {
    PicState { first, second }
    ChipState {
        requests, in_service, masked, lines, level_triggered, vector_base, first_line, expected, modes,
    }
    IoApicState<PINS> { select, id, entries, lines }
    PitState { channels, speaker, refresh }
    ChannelState {
        mode, access, digits, reload, phase, elapsed, next_rise, low_byte, high_next, latched, status, gate,
    }
    RtcState { index, memory, seconds, fraction }
    UartState {
        divisor, interrupt_enable, fifo_control, line_control, modem_control, line_errors, modem_changes, scratch,
        empty_due, timeout_due, timeout_left, received, sending,
    }
}

coded_choice! {
    Level, "the level of a line" { Low = 0, High = 1 }
    Expected, "the next word for an 8259A" { Nothing = 0, Second = 2, Third = 3, Fourth = 4 }
    Access, "the bytes of a counter" { Low = 1, High = 2, Word = 3 }
    Digits, "the digits of a counter" { Binary = 0, Decimal = 1 }
    Phase, "the phase of a counter" { Waiting = 0, Counting = 1, Held = 2 }
}

impl Coded for Modes {
    fn save(&self, to: &mut Writer) {
        self.bits().save(to);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, BadState> {
        // All bits mean something.
        Ok(Modes::from_bits_retain(u8::load(from)?))
    }
}

/// The version of each of these sections; there is no other.
const VERSION: u16 = 1;

impl BoardState {
    /// Adds a section for each device.
    pub fn save(&self, to: &mut Writer) {
        to.section(Kind::Pic, VERSION, |to| self.pic.save(to));
        to.section(Kind::IoApic, VERSION, |to| self.ioapic.save(to));
        to.section(Kind::Pit, VERSION, |to| self.pit.save(to));
        to.section(Kind::Rtc, VERSION, |to| self.rtc.save(to));
        to.section(Kind::Uart, VERSION, |to| self.serial.save(to));
        to.section(Kind::PmTimer, VERSION, |to| self.pm_timer.save(to));
    }

    /// Takes the sections of the devices. Whether a board can be in this state, [`crate::pc_board::PcBoard::restore`] says.
    ///
    /// # Errors
    /// A section is not what it should be.
    pub fn load(from: &mut Sections<'_>) -> Result<Self, BadState> {
        Ok(Self {
            pic: from.section(Kind::Pic, VERSION, Coded::load)?,
            ioapic: from.section(Kind::IoApic, VERSION, Coded::load)?,
            pit: from.section(Kind::Pit, VERSION, Coded::load)?,
            rtc: from.section(Kind::Rtc, VERSION, Coded::load)?,
            serial: from.section(Kind::Uart, VERSION, Coded::load)?,
            pm_timer: from.section(Kind::PmTimer, VERSION, Coded::load)?,
        })
    }
}
