//! PCI configuration space, through memory where the machine has it there, else through ports.

use mgmt_pci::{Address, ConfigSpace, Window};
use mgmt_platform::Registers;
use mgmt_start::Ecam;
use x86_64::instructions::port::Port;

use crate::dma::Mmio;
use crate::paging::PageTables;

const BYTES_PER_BUS: u64 = 1 << 20;

/// The way to configuration space.
pub enum HostConfig {
    /// One page of memory for each function.
    Memory(Mmio),
    /// An address and a data port.
    Ports,
}

impl HostConfig {
    /// The best way that there is.
    pub fn new(ecam: Option<Ecam>, tables: &mut PageTables) -> Self {
        let memory = ecam.and_then(|ecam| {
            let length = (u64::from(ecam.last_bus) + 1) * BYTES_PER_BUS;
            let window = Window {
                base: ecam.base,
                length,
            };
            Mmio::map(tables, window)
        });
        memory.map_or(HostConfig::Ports, HostConfig::Memory)
    }

    /// The ports, set to a word; interrupts do not use them, and there is one CPU.
    fn port(address: Address, offset: u8) -> Port<u32> {
        let word = 1 << 31 | u32::from(address.requester()) << 8 | u32::from(offset & !3);
        // SAFETY: the partition owns the machine's PCI devices; 0xcf8 selects, with no effect of its own.
        unsafe { Port::new(0xcf8).write(word) };
        Port::new(0xcfc)
    }
}

fn register(address: Address, offset: u8) -> usize {
    usize::from(address.requester()) << 12 | usize::from(offset & !3)
}

impl ConfigSpace for HostConfig {
    fn read(&self, address: Address, offset: u8) -> u32 {
        match self {
            HostConfig::Memory(memory) => match register(address, offset) {
                at if at < memory.length() => memory.read32(at),
                _ => u32::MAX,
            },
            // SAFETY: reading a configuration word of a device that we own.
            HostConfig::Ports => unsafe { Self::port(address, offset).read() },
        }
    }

    fn write(&self, address: Address, offset: u8, value: u32) {
        match self {
            HostConfig::Memory(memory) => {
                let at = register(address, offset);
                if at < memory.length() {
                    memory.write32(at, value);
                }
            }
            // SAFETY: writing a configuration word of a device that we own; the PCI layer knows which and why.
            HostConfig::Ports => unsafe { Self::port(address, offset).write(value) },
        }
    }
}
