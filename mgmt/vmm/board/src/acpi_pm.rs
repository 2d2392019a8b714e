//! [`AcpiPm`]: the fixed power management registers (ACPI 6.5, 4.8.3): power button, SCI, and the way into S5.

use vmm_pci::{BadState, Level, StateReader, StateWriter, Width};

use crate::map;

/// Bits of status and enable.
const TIMER: u16 = 1 << 0;
const GLOBAL: u16 = 1 << 5;
const POWER_BUTTON: u16 = 1 << 8;
const SLEEP_BUTTON: u16 = 1 << 9;
const RTC: u16 = 1 << 10;
const ENABLES: u16 = TIMER | GLOBAL | POWER_BUTTON | SLEEP_BUTTON | RTC;

/// Bits of control.
const SCI_ENABLE: u16 = 1 << 0;
const BUS_MASTER_RELOAD: u16 = 1 << 1;
const SLEEP_TYPE: u16 = 7 << 10;
const SLEEP_ENABLE: u16 = 1 << 13;

/// The guest goes to sleep: to S5, the only state that its tables offer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SoftOff;

/// What came of pressing the power button.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ButtonOutcome {
    /// The guest is told by an interrupt.
    Heard,
    /// The guest has not enabled the button; it may still see it when it does.
    NotEnabled,
}

/// PM1a event and control block.
#[derive(Clone, Debug, Default)]
pub(crate) struct AcpiPm {
    status: u16,
    enable: u16,
    control: u16,
}

impl AcpiPm {
    /// Adds its registers.
    pub fn save(&self, to: &mut StateWriter) {
        to.put16(self.status);
        to.put16(self.enable);
        to.put16(self.control);
    }

    /// Is again as it was saved.
    ///
    /// # Errors
    /// [`BadState`].
    pub fn restore(&mut self, from: &mut StateReader<'_>) -> Result<(), BadState> {
        self.status = from.take16()?;
        self.enable = from.take16()?;
        self.control = from.take16()?;
        let possible = self.status & !POWER_BUTTON == 0
            && self.enable & !ENABLES == 0
            && self.control & !(BUS_MASTER_RELOAD | SLEEP_TYPE) == 0;
        possible.then_some(()).ok_or(BadState::Value)
    }

    /// Reads; `port` lies in the blocks.
    pub fn read(&self, port: u16, width: Width) -> u64 {
        // ACPI is always on here: there is no SMM, and so no SMI command, to turn it on or off.
        let control = self.control | SCI_ENABLE;
        let image =
            u64::from(self.status) | u64::from(self.enable) << 16 | u64::from(control) << 32;
        let offset = usize::from(port.wrapping_sub(map::PM1A_EVENT));
        width.load(&image.to_le_bytes(), offset)
    }

    /// Writes; `port` lies in the blocks.
    pub fn write(&mut self, port: u16, width: Width, value: u64) -> Option<SoftOff> {
        let shift = u32::from(port.wrapping_sub(map::PM1A_EVENT)) * 8;
        let value = width.of(value).checked_shl(shift).unwrap_or(0);
        let bytes = width.ones().checked_shl(shift).unwrap_or(0);
        let [status, enable, control] = [0, 16, 32].map(|at| (value >> at) as u16);
        let [_, enable_bytes, control_bytes] = [0, 16, 32].map(|at| (bytes >> at) as u16);
        self.status &= !status;
        self.enable = (self.enable & !enable_bytes | enable) & ENABLES;
        self.control = (self.control & !control_bytes | control) & (BUS_MASTER_RELOAD | SLEEP_TYPE);
        (control & SLEEP_ENABLE != 0).then_some(SoftOff)
    }

    /// The power button was pressed.
    pub fn press(&mut self) -> ButtonOutcome {
        self.status |= POWER_BUTTON;
        if self.enable & POWER_BUTTON != 0 {
            ButtonOutcome::Heard
        } else {
            ButtonOutcome::NotEnabled
        }
    }

    /// The level of the SCI.
    pub fn sci(&self) -> Level {
        if self.status & self.enable == 0 {
            Level::Low
        } else {
            Level::High
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENABLE: u16 = 0x602;

    #[test]
    fn the_power_button_interrupts_until_its_status_is_cleared() {
        let mut pm = AcpiPm::default();
        assert_eq!(pm.press(), ButtonOutcome::NotEnabled);
        assert_eq!(pm.sci(), Level::Low);
        pm.write(ENABLE, Width::Word, 0x0100);
        assert_eq!(pm.sci(), Level::High);
        assert_eq!(pm.read(0x600, Width::Dword), 0x0100_0100);
        pm.write(0x600, Width::Word, 0x00ff);
        assert_eq!(pm.sci(), Level::High, "other bits do not clear it");
        pm.write(0x600, Width::Word, 0x0100);
        assert_eq!(pm.sci(), Level::Low);
        assert_eq!(pm.press(), ButtonOutcome::Heard);
        pm.write(0x601, Width::Byte, 0x01);
        assert_eq!(pm.sci(), Level::Low);
        assert_eq!(pm.read(ENABLE, Width::Word), 0x0100);
    }

    #[test]
    fn acpi_is_on_and_cannot_be_turned_off() {
        let mut pm = AcpiPm::default();
        assert_eq!(pm.read(0x604, Width::Word), 1);
        assert_eq!(pm.write(0x604, Width::Word, 0), None);
        assert_eq!(pm.read(0x604, Width::Dword), 1);
        assert_eq!(pm.read(0x605, Width::Dword), 0);
    }

    #[test]
    fn sleep_comes_with_its_enable_bit_in_any_width() {
        let mut pm = AcpiPm::default();
        assert_eq!(pm.write(0x604, Width::Word, 5 << 10), None);
        assert_eq!(pm.read(0x604, Width::Word), 5 << 10 | 1);
        assert_eq!(
            pm.write(0x604, Width::Word, 5 << 10 | 1 << 13),
            Some(SoftOff)
        );
        assert_eq!(pm.read(0x604, Width::Word), 5 << 10 | 1, "write only");
        assert_eq!(pm.write(0x605, Width::Byte, 0x20), Some(SoftOff));
        assert_eq!(pm.write(0x600, Width::Qword, 1 << 45), Some(SoftOff));
        assert_eq!(pm.write(0x600, Width::Dword, u64::MAX), None);
    }

    #[test]
    fn a_byte_changes_only_its_own_bits() {
        let mut pm = AcpiPm::default();
        pm.write(ENABLE, Width::Word, 0xffff);
        assert_eq!(pm.read(ENABLE, Width::Word), u64::from(ENABLES));
        pm.write(ENABLE, Width::Byte, 0);
        assert_eq!(pm.read(ENABLE, Width::Word), u64::from(ENABLES & 0xff00));
    }
}
