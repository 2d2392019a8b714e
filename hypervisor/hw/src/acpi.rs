//! ACPI tables: CPUs, I/O APICs, memory affinity, PCI configuration space, timers, reset.
//!
//! Pure parsing over [`PhysicalBytes`]; bring-up runs it on the early identity map. The firmware is
//! not trusted: lengths and checksums are verified, unknown or damaged tables are skipped with a
//! note.

mod fadt;
mod hpet;
mod madt;
mod mcfg;
mod reader;
mod root;
mod soft_off;
mod srat;

use core::fmt;

use bulkhead_boot::PhysicalBytes;
use bulkhead_core::addr::Hpa;
use heapless::Vec;

pub use fadt::{CmosClock, Fadt, Register, RegisterSpace, TimerWidth};
pub use hpet::Hpet;
pub use madt::{CpuEntry, IoApicEntry, Madt, Override};
pub use mcfg::ConfigSpace;
pub use soft_off::SoftOff;
pub use srat::{CpuAffinity, Domain, MemoryAffinity, Srat};

/// A four-letter table signature.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Signature(pub [u8; 4]);

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|byte| write!(f, "{}", byte.escape_ascii()))
    }
}

/// A table that was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TableLocation {
    /// What it is.
    pub signature: Signature,
    /// Where it is.
    pub address: Hpa,
    /// Its length.
    pub bytes: u32,
}

/// Something in the tables that was left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AcpiNote {
    /// No use is made of this table.
    Unused(Signature),
    /// The table at this address cannot be read at boot.
    OutOfReach(Hpa),
    /// The table's checksum or structure is wrong.
    Damaged(Signature),
    /// More of something than the hypervisor has room for.
    TooMany(&'static str),
}

impl fmt::Display for AcpiNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AcpiNote::Unused(signature) => write!(f, "table {signature} is not used"),
            AcpiNote::OutOfReach(address) => {
                write!(f, "a table at {address} cannot be read at boot, skipped")
            }
            AcpiNote::Damaged(signature) => {
                write!(f, "table {signature} is damaged, skipped")
            }
            AcpiNote::TooMany(what) => write!(f, "too many {what}: the rest is ignored"),
        }
    }
}

/// Why there are no tables at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AcpiError {
    /// No root pointer, or none with a right checksum.
    NoRootPointer,
    /// The root table is unreadable or damaged.
    BadRootTable(Hpa),
}

impl fmt::Display for AcpiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AcpiError::NoRootPointer => {
                f.write_str("the firmware has no valid ACPI root pointer (RSDP)")
            }
            AcpiError::BadRootTable(address) => write!(
                f,
                "the ACPI root table at {address} is unreadable or damaged"
            ),
        }
    }
}

/// What the tables say.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Acpi {
    /// CPUs, I/O APICs, interrupt overrides.
    pub madt: Madt,
    /// Power management registers.
    pub fadt: Option<Fadt>,
    /// What switches the machine off.
    pub soft_off: Option<SoftOff>,
    /// The high-precision event timer.
    pub hpet: Option<Hpet>,
    /// PCI configuration spaces.
    pub config_spaces: Vec<ConfigSpace, 8>,
    /// Affinity of CPUs and memory.
    pub srat: Srat,
    /// AMD's table of I/O virtualization, to be parsed by the IOMMU code.
    pub ivrs: Option<TableLocation>,
    /// Intel's table of I/O virtualization.
    pub dmar: Option<TableLocation>,
    /// What was left out.
    pub notes: Vec<AcpiNote, 24>,
}

impl Acpi {
    /// Reads all tables from the root pointer at `rsdp`, or from the one found by search.
    ///
    /// # Errors
    /// [`AcpiError`] where there are no tables.
    pub fn read(rsdp: Option<Hpa>, memory: &impl PhysicalBytes) -> Result<Self, AcpiError> {
        let root = rsdp
            .and_then(|address| root::pointer_at(memory, address))
            .or_else(|| root::search(memory))
            .ok_or(AcpiError::NoRootPointer)?;
        let mut acpi = Acpi::default();
        for address in root.tables(memory)? {
            acpi.table(memory, address);
        }
        acpi.soft_off = acpi
            .fadt
            .and_then(|fadt| root::table_at(memory, fadt.dsdt))
            .and_then(soft_off::find);
        Ok(acpi)
    }

    fn table(&mut self, memory: &impl PhysicalBytes, address: Hpa) {
        let Some(header) = memory.slice(address, root::HEADER_BYTES) else {
            return self.note(AcpiNote::OutOfReach(address));
        };
        let Some(signature) = reader::array_at(header, 0).map(Signature) else {
            return;
        };
        let Some(table) = root::table_at(memory, address) else {
            return self.note(AcpiNote::Damaged(signature));
        };
        let location = TableLocation {
            signature,
            address,
            bytes: table.len() as u32,
        };
        let understood = match &signature.0 {
            b"APIC" => self.madt.read(table, &mut self.notes),
            b"FACP" => Fadt::read(table).map(|fadt| self.fadt = Some(fadt)),
            b"HPET" => Hpet::read(table).map(|hpet| self.hpet = hpet),
            b"MCFG" => mcfg::read(table, &mut self.config_spaces, &mut self.notes),
            b"SRAT" => self.srat.read(table, &mut self.notes),
            b"IVRS" => {
                self.ivrs = Some(location);
                Some(())
            }
            b"DMAR" => {
                self.dmar = Some(location);
                Some(())
            }
            _ => {
                self.note(AcpiNote::Unused(signature));
                Some(())
            }
        };
        if understood.is_none() {
            self.note(AcpiNote::Damaged(signature));
        }
    }

    fn note(&mut self, note: AcpiNote) {
        note_in(&mut self.notes, note);
    }
}

type Notes = Vec<AcpiNote, 24>;

/// Adds a note once; there is nothing to do where even the notes are full.
fn note_in(notes: &mut Notes, note: AcpiNote) {
    if !notes.contains(&note) {
        let _full = notes.push(note);
    }
}

/// Adds `item` to `list`, or notes that there are too many.
fn push_or_note<T, const N: usize>(
    list: &mut Vec<T, N>,
    item: T,
    what: &'static str,
    notes: &mut Notes,
) {
    if list.push(item).is_err() {
        note_in(notes, AcpiNote::TooMany(what));
    }
}

#[cfg(test)]
mod tests;
