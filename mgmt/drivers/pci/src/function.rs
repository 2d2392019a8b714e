//! One function: its identity and command register.

use crate::bar::{self, Bar, BarError};
use crate::{Address, Capabilities, ConfigSpace};

const COMMAND: u8 = 0x04;
const COMMAND_MEMORY: u32 = 1 << 1;
const COMMAND_MASTER: u32 = 1 << 2;
const COMMAND_NO_INTX: u32 = 1 << 10;
const STATUS_CAPABILITIES: u16 = 1 << 4;

/// What a function says it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    /// Vendor id.
    pub vendor: u16,
    /// Device id.
    pub device: u16,
    /// Base class, sub-class and programming interface in bits 23:0.
    pub class: u32,
    /// Subsystem device id (type-0 headers; 0 elsewhere).
    pub subsystem: u16,
}

/// A function that exists.
pub struct Function<'a, C: ConfigSpace> {
    pub(crate) config: &'a C,
    address: Address,
}

impl<'a, C: ConfigSpace> Function<'a, C> {
    /// The function at `address`, if there is one.
    pub fn probe(config: &'a C, address: Address) -> Option<Self> {
        (config.read16(address, 0) != 0xffff).then_some(Function { config, address })
    }

    /// Where it is.
    pub fn address(&self) -> Address {
        self.address
    }

    /// What it is.
    pub fn identity(&self) -> Identity {
        let id = self.config.read(self.address, 0);
        let subsystem = match self.header_type() {
            0 => self.config.read16(self.address, 0x2e),
            _ => 0,
        };
        Identity {
            vendor: id as u16,
            device: (id >> 16) as u16,
            class: self.config.read(self.address, 8) >> 8,
            subsystem,
        }
    }

    /// Layout of the header: 0 a device, 1 a bridge.
    pub fn header_type(&self) -> u8 {
        self.config.read8(self.address, 0x0e) & 0x7f
    }

    pub(crate) fn is_multifunction(&self) -> bool {
        self.config.read8(self.address, 0x0e) & 0x80 != 0
    }

    /// Answers memory accesses and may access memory itself (DMA, MSI); its INTx pin is off.
    pub fn enable(&self) {
        // The high half is status, write one to clear: written as 0.
        let command = self.config.read(self.address, COMMAND) & 0xffff;
        self.config.write(
            self.address,
            COMMAND,
            command | COMMAND_MEMORY | COMMAND_MASTER | COMMAND_NO_INTX,
        );
    }

    /// Its capabilities.
    pub fn capabilities(&self) -> Capabilities<'a, C> {
        let present = self.config.read16(self.address, 0x06) & STATUS_CAPABILITIES != 0;
        let first = match present {
            true => self.config.read8(self.address, 0x34),
            false => 0,
        };
        Capabilities::new(self.config, self.address, first)
    }

    /// Its BAR number `index` (0 to 5).
    ///
    /// # Errors
    /// The register does not describe a memory range.
    pub fn bar(&self, index: u8) -> Result<Bar, BarError> {
        bar::read(self.config, self.address, index)
    }
}
