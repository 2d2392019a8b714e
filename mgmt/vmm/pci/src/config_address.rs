//! The two ways to configuration space: ports 0xcf8 and 0xcfc (3.2.2.3.2), and ECAM (PCI Express 7.2.2).

use crate::{Slot, Width};

/// Bytes of the ECAM of one bus.
pub const ECAM_BYTES: u64 = 1 << 20;

/// A place in the configuration space of a function 0 on bus 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConfigAddress {
    /// The device.
    pub slot: Slot,
    /// The byte offset, below 4096; an access from here does not leave the function's space.
    pub offset: u16,
}

const ENABLE: u32 = 1 << 31;
const DATA_PORT: u16 = 0xcfc;

/// The address register at port 0xcf8, and what it selects at 0xcfc to 0xcff.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct AddressPort {
    address: u32,
}

impl AddressPort {
    /// The register. Only whole reads reach it; others are no access to it.
    pub const fn read(&self) -> u32 {
        self.address
    }

    /// Selects. Only whole writes reach the register.
    pub const fn write(&mut self, value: u32) {
        // Reserved bits and the low two read as zero.
        self.address = value & (ENABLE | 0x00ff_fffc);
    }

    /// What an access to ports 0xcfc to 0xcff reaches; `None`: nothing answers.
    pub fn target(&self, port: u16, width: Width) -> Option<ConfigAddress> {
        let within = port.checked_sub(DATA_PORT)?;
        if u64::from(within) + width.bytes() > 4 || self.address & ENABLE == 0 {
            return None;
        }
        let bus_and_function = self.address & 0x00ff_0700;
        if bus_and_function != 0 {
            return None;
        }
        Some(ConfigAddress {
            slot: Slot::new((self.address >> 11 & 0x1f) as u8)?,
            offset: (self.address & 0xfc) as u16 | within,
        })
    }
}

/// What an access at `offset` of the ECAM of bus 0 reaches; `None`: nothing answers.
pub fn ecam_target(offset: u64, width: Width) -> Option<ConfigAddress> {
    let register = offset & 0xfff;
    let function = offset >> 12 & 7;
    if offset >= ECAM_BYTES || function != 0 || register + width.bytes() > 4096 {
        return None;
    }
    Some(ConfigAddress {
        slot: Slot::new((offset >> 15) as u8)?,
        offset: register as u16,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(slot: u8, offset: u16) -> Option<ConfigAddress> {
        let slot = Slot::new(slot).unwrap();
        Some(ConfigAddress { slot, offset })
    }

    #[test]
    fn linux_finds_type_1_accesses_by_reading_the_address_back() {
        let mut port = AddressPort::default();
        port.write(0x8000_0000);
        assert_eq!(port.read(), 0x8000_0000);
        port.write(0xffff_ffff);
        assert_eq!(port.read(), 0x80ff_fffc);
    }

    #[test]
    fn ports_reach_bytes_words_and_dwords_of_function_0_on_bus_0() {
        let mut port = AddressPort::default();
        port.write(0x8000_0000 | 3 << 11 | 0x3c);
        assert_eq!(port.target(0xcfc, Width::Dword), at(3, 0x3c));
        assert_eq!(port.target(0xcfe, Width::Word), at(3, 0x3e));
        assert_eq!(port.target(0xcff, Width::Byte), at(3, 0x3f));
        assert_eq!(port.target(0xcfe, Width::Dword), None);
        assert_eq!(port.target(0xcf8, Width::Dword), None);
        for nothing in [3 << 11, 0x8000_0100, 0x8001_0000] {
            port.write(nothing);
            assert_eq!(port.target(0xcfc, Width::Dword), None, "{nothing:#x}");
        }
    }

    #[test]
    fn ecam_reaches_function_0_on_bus_0() {
        assert_eq!(ecam_target(0x1_8000 | 0x10, Width::Dword), at(3, 0x10));
        assert_eq!(ecam_target(0xf_8ffc, Width::Dword), at(31, 0xffc));
        assert_eq!(ecam_target(0xffc, Width::Qword), None);
        assert_eq!(ecam_target(0x1000, Width::Dword), None);
        assert_eq!(ecam_target(1 << 20, Width::Byte), None);
        assert_eq!(ecam_target(u64::MAX, Width::Byte), None);
    }
}
