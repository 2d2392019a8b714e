//! The registers of a unit (48882, 3.4): offsets and bits, and the port to them.

use crate::mmio::Mmio;

/// Bytes of a unit's register block that are used.
pub const REGISTER_BYTES: usize = 0x4000;

/// A 64-bit register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(usize)]
pub enum Register {
    /// Device table base address and size (MMIO offset 0000h).
    DeviceTable = 0x0000,
    /// Command buffer base address and length (0008h).
    CommandBuffer = 0x0008,
    /// Event log base address and length (0010h).
    EventLog = 0x0010,
    /// Control (0018h).
    Control = 0x0018,
    /// Exclusion range base (0020h).
    ExclusionBase = 0x0020,
    /// Extended features (0030h).
    Features = 0x0030,
    /// Command buffer head (2000h).
    CommandHead = 0x2000,
    /// Command buffer tail (2008h).
    CommandTail = 0x2008,
    /// Event log head (2010h).
    EventHead = 0x2010,
    /// Event log tail (2018h).
    EventTail = 0x2018,
    /// Status (2020h).
    Status = 0x2020,
}

/// Control: the unit translates.
pub(super) const CONTROL_ENABLE: u64 = 1 << 0;
/// Control: events are logged.
pub(super) const CONTROL_EVENT_LOG: u64 = 1 << 2;
/// Control: commands are fetched.
pub(super) const CONTROL_COMMANDS: u64 = 1 << 12;
/// Features: the command INVALIDATE_IOMMU_ALL exists.
pub(super) const FEATURE_INVALIDATE_ALL: u64 = 1 << 6;
/// Status: the event log is full, and logging has stopped. Cleared by writing it.
pub(super) const STATUS_EVENT_OVERFLOW: u64 = 1 << 0;

/// Control bits that repeat the flags of the firmware's description: (flag, control) bit numbers.
pub(super) const CONTROL_FROM_FLAGS: [(u32, u32); 5] = [(0, 1), (1, 8), (2, 9), (3, 11), (5, 10)];

/// A unit's registers.
pub trait Registers {
    /// Reads a register.
    fn read(&self, register: Register) -> u64;

    /// Writes a register; stores to memory before it are visible to the unit after it.
    fn write(&mut self, register: Register, value: u64);
}

impl Registers for Mmio<u64> {
    fn read(&self, register: Register) -> u64 {
        // All ones is what a bus without a device answers.
        Mmio::read(self, register as usize).unwrap_or(u64::MAX)
    }

    fn write(&mut self, register: Register, value: u64) {
        // x86 keeps stores in order, also from write-back memory to uncached registers.
        Mmio::write(self, register as usize, value);
    }
}
