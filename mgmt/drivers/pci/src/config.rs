//! Configuration space: addresses and the access port.

use core::fmt;

/// Bus, device and function on segment 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(u16);

impl Address {
    /// The function of this bus, device (low 5 bits) and function number (low 3 bits).
    pub const fn new(bus: u8, device: u8, function: u8) -> Self {
        Address((bus as u16) << 8 | ((device & 31) as u16) << 3 | (function & 7) as u16)
    }

    /// The requester id: bus in bits 15:8, device in 7:3, function in 2:0.
    pub const fn requester(self) -> u16 {
        self.0
    }

    /// The bus.
    pub const fn bus(self) -> u8 {
        (self.0 >> 8) as u8
    }

    /// The device on its bus.
    pub const fn device(self) -> u8 {
        (self.0 >> 3) as u8 & 31
    }

    /// The function of its device.
    pub const fn function(self) -> u8 {
        self.0 as u8 & 7
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:02x}:{:02x}.{}",
            self.bus(),
            self.device(),
            self.function()
        )
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Access to configuration space. Offsets are multiples of 4 below 256; a function that does not exist reads as all
/// ones.
pub trait ConfigSpace {
    /// Reads a word.
    fn read(&self, address: Address, offset: u8) -> u32;

    /// Writes a word.
    fn write(&self, address: Address, offset: u8, value: u32);

    /// Reads the half-word at an even offset.
    fn read16(&self, address: Address, offset: u8) -> u16 {
        (self.read(address, offset & !3) >> (u32::from(offset & 2) * 8)) as u16
    }

    /// Reads a byte.
    fn read8(&self, address: Address, offset: u8) -> u8 {
        (self.read(address, offset & !3) >> (u32::from(offset & 3) * 8)) as u8
    }

    /// Writes the half-word at an even offset; the other half keeps its value. Not for half-words beside
    /// write-one-to-clear bits.
    fn write16(&self, address: Address, offset: u8, value: u16) {
        let shift = u32::from(offset & 2) * 8;
        let old = self.read(address, offset & !3) & !(0xffff << shift);
        self.write(address, offset & !3, old | u32::from(value) << shift);
    }
}
