//! ACPI tables (ACPI 6.5, chapter 5), made with `acpi_tables`.
//!
//! There is no RSDT: every kernel that the loader knows is younger than the XSDT.

mod dsdt;
mod fixed;
mod interrupts;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;

use acpi_tables::facs::FACS;
use acpi_tables::mcfg::MCFG;
use acpi_tables::rsdp::Rsdp;
use acpi_tables::xsdt::XSDT;
use acpi_tables::{Aml, sdt::Sdt};
use vmm_ram::Gpa;

use crate::BoardFacts;
use crate::layout;
use crate::room::Room;

/// What the names of processors in the DSDT can count; fewer fit.
pub const MAX_VCPUS: u32 = 0x1000;

const OEM: [u8; 6] = *b"BULKHD";
const OEM_TABLE: [u8; 8] = *b"BULKHEAD";
const OEM_REVISION: u32 = 1;
/// Bytes of the header of a table.
const HEADER: u32 = 36;
const ALIGN: u64 = 16;
/// The FACS is in a cache line (ACPI 6.5, 5.2.10).
const FACS_ALIGN: u64 = 64;

/// Places all tables; returns the root pointer and where it is, `None` where there is no room.
pub fn tables(room: &mut Room, facts: &BoardFacts<'_>) -> Option<(Gpa, [u8; 36])> {
    // First, where a kernel that searches finds it at once.
    let rsdp = room.reserve(Rsdp::len(), ALIGN)?;
    let facs = room.put(bytes(&FACS::new()), FACS_ALIGN)?;
    let dsdt = room.put(dsdt::table(facts), ALIGN)?;
    let entries = [
        room.put(fixed::table(facs, dsdt), ALIGN)?,
        room.put(interrupts::table(facts), ALIGN)?,
        room.put(config_space(), ALIGN)?,
    ];
    let mut xsdt = XSDT::new(OEM, OEM_TABLE, OEM_REVISION);
    for entry in entries {
        xsdt.add_entry(entry.0);
    }
    let xsdt = room.put(bytes(&xsdt), ALIGN)?;
    let root = bytes(&Rsdp::new(OEM, xsdt.0));
    let copy = *root.first_chunk()?;
    room.fill(rsdp, root);
    Some((rsdp, copy))
}

/// Where PCI Express configuration space is (PCI Firmware Specification 3.3, 4.1.2).
fn config_space() -> Vec<u8> {
    let mut table = MCFG::new(OEM, OEM_TABLE, OEM_REVISION);
    table.add_ecam(u64::from(layout::ECAM), 0, 0, 0);
    bytes(&table)
}

/// A table of any kind with that content.
fn table(signature: [u8; 4], revision: u8, content: &[u8]) -> Vec<u8> {
    let mut table = Sdt::new(signature, HEADER, revision, OEM, OEM_TABLE, OEM_REVISION);
    table.append_slice(content);
    table.as_slice().to_vec()
}

fn bytes(table: &dyn Aml) -> Vec<u8> {
    let mut bytes = Vec::new();
    table.to_aml_bytes(&mut bytes);
    bytes
}
