//! What a driver can do wrong, and what stops a device from being composed.

use core::fmt;

use vmm_pci::{BarError, ConfigFull};
use vmm_ram::NotRam;

use crate::QueueIndex;

/// A queue that a driver has damaged. The device stops until it is reset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum QueueFault {
    /// A ring, a descriptor table or a buffer is not in RAM.
    NotRam(NotRam),
    /// A ring or a table would go on beyond the last address.
    BeyondMemory,
    /// A ring's address is not aligned as 2.7 wants it.
    Misaligned,
    /// More buffers are available than the queue has descriptors (2.7.13.3).
    AvailableIndex {
        /// The driver's index.
        available: u16,
        /// How far the device has come.
        taken: u16,
    },
    /// A chain begins or goes on at a descriptor that its table does not have.
    NoSuchDescriptor(u16),
    /// A chain is longer than the queue, or a loop (2.7.5.1).
    TooLong,
    /// A chain's buffers have more than 2^32 bytes (2.7.4.1).
    TooManyBytes,
    /// An indirect table without the feature, in an indirect table, or with a next one (2.7.5.3.1).
    Indirect,
    /// An indirect table's bytes are no multiple of a descriptor's (2.7.5.3.1).
    IndirectBytes(u32),
    /// A buffer to read behind one to write (2.7.4.2).
    ReadableAfterWritable,
}

impl From<NotRam> for QueueFault {
    fn from(fault: NotRam) -> Self {
        Self::NotRam(fault)
    }
}

impl fmt::Display for QueueFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRam(fault) => fault.fmt(f),
            Self::BeyondMemory => f.write_str("a ring goes on beyond the last address"),
            Self::Misaligned => f.write_str("a ring's address is not aligned"),
            Self::AvailableIndex { available, taken } => write!(
                f,
                "the available index {available} is further from {taken} than the queue is long"
            ),
            Self::NoSuchDescriptor(index) => write!(f, "there is no descriptor {index}"),
            Self::TooLong => {
                f.write_str("a chain of descriptors is a loop, or longer than the queue")
            }
            Self::TooManyBytes => f.write_str("a chain has more than 4 GiB"),
            Self::Indirect => f.write_str("an indirect descriptor where none may be"),
            Self::IndirectBytes(bytes) => {
                write!(f, "an indirect table of {bytes} bytes, no multiple of 16")
            }
            Self::ReadableAfterWritable => f.write_str("a buffer to read behind a buffer to write"),
        }
    }
}

impl core::error::Error for QueueFault {}

/// Why a device waits for its reset: what its driver did wrong, and where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeviceFault {
    /// The queue.
    pub queue: QueueIndex,
    /// What is wrong with it.
    pub cause: QueueFault,
}

impl fmt::Display for DeviceFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the driver broke queue {}: {}", self.queue.0, self.cause)
    }
}

impl core::error::Error for DeviceFault {}

/// A device cannot be composed: a mistake of ours, found when a board is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SetupError {
    /// A BAR is not possible.
    Bar(BarError),
    /// There is no such slot.
    Slot(u8),
    /// Its capabilities do not fit.
    Capabilities(ConfigFull),
}

impl From<BarError> for SetupError {
    fn from(error: BarError) -> Self {
        Self::Bar(error)
    }
}

impl From<ConfigFull> for SetupError {
    fn from(error: ConfigFull) -> Self {
        Self::Capabilities(error)
    }
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bar(error) => error.fmt(f),
            Self::Slot(number) => write!(f, "a bus has no slot {number}"),
            Self::Capabilities(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for SetupError {}
