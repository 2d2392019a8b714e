//! The cards that the driver knows.

use core::fmt;

const INTEL: u16 = 0x8086;

/// A card.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Model {
    /// 82540EM: what QEMU, VirtualBox and Bochs emulate as "e1000".
    Em82540,
    /// 82545EM, copper: VMware's "e1000".
    Em82545,
    /// 82574L: a usual card of servers and lab machines, and the "e1000e" of QEMU and VMware.
    L82574,
}

impl Model {
    /// The model of these PCI ids. Other cards of the family differ in their reset or their link, and are left alone.
    pub fn from_ids(vendor: u16, device: u16) -> Option<Self> {
        match (vendor, device) {
            (INTEL, 0x100e) => Some(Model::Em82540),
            (INTEL, 0x100f) => Some(Model::Em82545),
            (INTEL, 0x10d3) => Some(Model::L82574),
            _ => None,
        }
    }
}

/// Where the EEPROM read register has its fields.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct EepromFields {
    /// How far left the address is.
    pub address: u32,
    /// The bit that says that the data is there.
    pub done: u32,
}

impl Model {
    pub(crate) fn eeprom(self) -> EepromFields {
        match self {
            Model::Em82540 | Model::Em82545 => EepromFields {
                address: 8,
                done: 1 << 4,
            },
            Model::L82574 => EepromFields {
                address: 2,
                done: 1 << 1,
            },
        }
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Model::Em82540 => "Intel 82540EM",
            Model::Em82545 => "Intel 82545EM",
            Model::L82574 => "Intel 82574L",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_cards_are_taken() {
        assert_eq!(Model::from_ids(0x8086, 0x100e), Some(Model::Em82540));
        assert_eq!(Model::from_ids(0x8086, 0x10d3), Some(Model::L82574));
        assert_eq!(Model::from_ids(0x8086, 0x1237), None);
        assert_eq!(Model::from_ids(0x1af4, 0x100e), None);
    }
}
