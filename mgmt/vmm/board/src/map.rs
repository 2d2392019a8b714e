//! Where things are. The guest's ACPI tables say the same.

use vmm_pci::{ECAM_BYTES, Gsi, MemoryWindow};

/// Configuration spaces of bus 0.
pub const ECAM: MemoryWindow = MemoryWindow {
    start: 0xe000_0000,
    end: 0xe000_0000 + ECAM_BYTES,
};

/// What the host bridge forwards to its bus: where BARs may lie.
pub const PCI_WINDOW: MemoryWindow = MemoryWindow {
    start: 0xd000_0000,
    end: 0xe000_0000,
};

/// First port of the PM1a event block (status, enable); the control block follows it.
pub const PM1A_EVENT: u16 = 0x600;
/// First port of the PM1a control block.
pub const PM1A_CONTROL: u16 = 0x604;
/// The first port behind both.
pub(crate) const PM1A_END: u16 = 0x606;

/// First port of the general-purpose events: a byte of status, a byte of enable.
pub const GPE0: u16 = 0x60c;
pub(crate) const GPE0_END: u16 = 0x60e;
/// The event of processors that come and go.
pub const HOT_PLUG_EVENT: u8 = 1;
/// First port of the registers for processors that come and go.
pub const HOT_PLUG: u16 = 0x610;
pub(crate) const HOT_PLUG_END: u16 = 0x620;

/// The system control interrupt, level-triggered.
pub const SCI: Gsi = Gsi(9);

/// Configuration address and data.
pub(crate) const CONFIG_ADDRESS: u16 = 0xcf8;
pub(crate) const CONFIG_DATA: u16 = 0xcfc;
pub(crate) const CONFIG_END: u16 = 0xd00;

/// Keyboard controller.
pub(crate) const KEYBOARD_DATA: u16 = 0x60;
pub(crate) const KEYBOARD_COMMAND: u16 = 0x64;
