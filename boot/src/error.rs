//! What can be wrong with a boot loader's record.

use core::fmt;

use bulkhead_core::addr::Hpa;

/// The record is unusable: the hypervisor cannot start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BootError {
    /// Entered by something that is neither PVH nor Multiboot2.
    UnknownProtocol(u32),
    /// A part of the record lies where the hypervisor cannot read.
    OutOfReach {
        /// Which part.
        what: &'static str,
        /// Where it should be.
        address: Hpa,
    },
    /// A part of the record contradicts itself.
    Malformed(&'static str),
    /// The loader gave no memory map.
    NoMemoryMap,
}

impl fmt::Display for BootError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BootError::UnknownProtocol(magic) => write!(
                f,
                "the boot loader's magic number {magic:#x} is neither PVH nor Multiboot2"
            ),
            BootError::OutOfReach { what, address } => write!(
                f,
                "the boot loader placed the {what} at {address}, which cannot be read at boot"
            ),
            BootError::Malformed(what) => {
                write!(f, "the boot loader's {what} is malformed")
            }
            BootError::NoMemoryMap => f.write_str("the boot loader gave no memory map"),
        }
    }
}

/// Something in the record was left out; the hypervisor starts all the same and says so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BootNote {
    /// A fixed table was full; the name says which.
    TooMany(&'static str),
    /// A text was longer than its field and was cut.
    Cut(&'static str),
    /// A part was unreadable or malformed and was skipped.
    Skipped(&'static str),
}

impl fmt::Display for BootNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BootNote::TooMany(what) => write!(f, "too many {what}: the rest is ignored"),
            BootNote::Cut(what) => write!(f, "the {what} is too long and was cut"),
            BootNote::Skipped(what) => write!(f, "skipped: {what}"),
        }
    }
}
