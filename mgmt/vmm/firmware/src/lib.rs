//! What a guest finds where a PC has its firmware: ACPI tables, SMBIOS and the memory map.
//!
//! The management partition calls [`firmware`] at every start of a system, writes the result into the guest's memory, and
//! gives the memory map and the root pointer to `vmm-loader`. No code runs here for the guest: kernels are entered directly.
//! [`layout`] has the addresses, ports and lines that the tables tell of; the devices must be there.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod acpi;
mod facts;
pub mod layout;
mod memory_map;
mod room;
mod smbios;

pub use facts::BoardFacts;
pub use memory_map::memory_map;

use alloc::vec::Vec;
use core::fmt;

use room::Room;
use vmm_ram::{Gpa, MemoryRange};

/// What is to be written, and what kernels are told about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Firmware {
    /// Bytes and where they go, all between 0xe0000 and 1 MiB.
    pub writes: Vec<(Gpa, Vec<u8>)>,
    /// Where the ACPI root pointer is.
    pub rsdp: Gpa,
    /// What it says.
    pub rsdp_bytes: [u8; 36],
    /// The memory map, from the lowest address on.
    pub memory_map: Vec<MemoryRange>,
}

/// Why there can be no such board.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FirmwareError {
    /// No processors, or sockets without any.
    NoProcessors,
    /// The tables for so many processors do not fit below 1 MiB.
    TooManyProcessors(u32),
    /// Less than the first megabyte.
    TooLittleRam(u64),
}

impl fmt::Display for FirmwareError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoProcessors => f.write_str(
                "a system needs a processor; give it one or more, and sockets with cores",
            ),
            Self::TooManyProcessors(count) => write!(
                f,
                "the firmware tables have no room for {count} processors; give the system fewer"
            ),
            Self::TooLittleRam(bytes) => write!(
                f,
                "{} KiB of memory hold no firmware tables; give the system 1 MiB or more",
                bytes / 1024
            ),
        }
    }
}

impl core::error::Error for FirmwareError {}

/// Makes the tables of a board.
///
/// # Errors
/// Where there can be no such board.
pub fn firmware(facts: &BoardFacts<'_>) -> Result<Firmware, FirmwareError> {
    if facts.vcpus == 0 || facts.threads_per_core == 0 || facts.cores_per_socket == 0 {
        return Err(FirmwareError::NoProcessors);
    }
    if facts.vcpus > acpi::MAX_VCPUS {
        return Err(FirmwareError::TooManyProcessors(facts.vcpus));
    }
    if facts.ram.bytes < layout::LOW_END {
        return Err(FirmwareError::TooLittleRam(facts.ram.bytes));
    }
    let mut room = Room::new(layout::ACPI..layout::SMBIOS);
    let root = acpi::tables(&mut room, facts);
    let mut writes = room.writes();
    let mut room = Room::new(layout::SMBIOS..layout::LOW_END);
    let written = smbios::tables(&mut room, facts);
    writes.extend(room.writes());
    match (root, written) {
        (Some((rsdp, rsdp_bytes)), Some(())) => Ok(Firmware {
            writes,
            rsdp,
            rsdp_bytes,
            memory_map: memory_map(facts.ram),
        }),
        _ => Err(FirmwareError::TooManyProcessors(facts.vcpus)),
    }
}
