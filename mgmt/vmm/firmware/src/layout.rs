//! Addresses, ports and interrupt lines of the board, as the tables tell the guest.

use core::ops::Range;

/// Where free conventional memory ends, and what a PC calls the extended BIOS data begins.
pub const CONVENTIONAL_END: u64 = 0x9_fc00;
/// Where conventional memory ends.
pub const EXTENDED_DATA_END: u64 = 0xa_0000;
/// The ACPI tables, up to SMBIOS.
pub const ACPI: u64 = 0xe_0000;
/// SMBIOS, up to 1 MiB.
pub const SMBIOS: u64 = 0xf_0000;
/// The end of the first megabyte.
pub const LOW_END: u64 = 1 << 20;

/// Where BARs may be.
pub const PCI_WINDOW: Range<u32> = 0xd000_0000..0xe000_0000;
/// PCI Express configuration space of bus 0.
pub const ECAM: u32 = 0xe000_0000;
/// Its bytes.
pub const ECAM_BYTES: u32 = 1 << 20;
/// The I/O APIC's page.
pub const IO_APIC: u32 = 0xfec0_0000;
/// The local APICs' page.
pub const LOCAL_APIC: u32 = 0xfee0_0000;

/// Ports of the power management events: status, then enable, 2 bytes each.
pub const PM1A_EVENT: u16 = 0x600;
/// The power management control port, 2 bytes. SCI_EN reads as 1.
pub const PM1A_CONTROL: u16 = 0x604;
/// The ACPI timer, 4 bytes.
pub const PM_TIMER: u16 = 0x608;
/// The general-purpose events: a byte of status, a byte of enable.
pub const GPE0: u16 = 0x60c;
/// The event of processors that come and go.
pub const HOT_PLUG_EVENT: u8 = 1;
/// Registers for processors that come and go, 4 of 4 bytes: a processor's number; its state (bit 0: it is there; 1: it has come; 2: it is
/// wanted back; ones clear bits 1 and 2; writing bit 3 gives it back); the first processor that has come or is wanted back, all ones for none,
/// and in writing the first argument of _OST; its second argument.
pub const HOT_PLUG: u16 = 0x610;
/// What a guest writes to [`PM1A_CONTROL`] as sleep type (bits 12:10), with bit 13, to power off.
pub const SLEEP_TYPE_OFF: u8 = 5;
/// The reset port.
pub const RESET_PORT: u16 = 0xcf9;
/// What a guest writes there.
pub const RESET_VALUE: u8 = 6;
/// The first serial port, 8 bytes.
pub const COM1: u16 = 0x3f8;
/// Its interrupt line.
pub const COM1_LINE: u32 = 4;
/// The real-time clock, 2 bytes.
pub const CLOCK: u16 = 0x70;
/// Its interrupt line.
pub const CLOCK_LINE: u32 = 8;
/// Where the clock has the century.
pub const CLOCK_CENTURY: u8 = 0x32;

/// The interrupt of power management events: level-triggered, active high.
pub const SCI: u8 = 9;
/// The pin of the I/O APIC that the timer of interrupt line 0 drives.
pub const TIMER_GSI: u32 = 2;
/// Device numbers on the PCI bus.
pub const PCI_SLOTS: u8 = 32;
/// INTA to INTD.
pub const PCI_PINS: u8 = 4;
/// The first pin of the I/O APIC for PCI.
const PCI_GSI: u32 = 16;

/// The pin of the I/O APIC that a PCI interrupt pin (INTA is 0) of a device drives.
pub const fn pci_gsi(slot: u8, pin: u8) -> u32 {
    PCI_GSI + (slot as u32 + pin as u32) % PCI_PINS as u32
}
