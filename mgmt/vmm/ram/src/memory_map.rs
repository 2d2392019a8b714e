//! [`MemoryRange`]: a line of the memory map that a guest is told.

use crate::Gpa;

/// What a guest may do with a range of addresses. The numbers are those of ACPI 6.5, table 15.4, which Linux, PVH and
/// Multiboot use as well.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum MemoryKind {
    /// RAM that is free.
    Usable = 1,
    /// Not to be touched, except by who knows what is there.
    Reserved = 2,
    /// Tables that are free once they were read.
    AcpiReclaimable = 3,
}

impl MemoryKind {
    /// Its number in every kind of memory map.
    pub const fn number(self) -> u32 {
        self as u32
    }
}

/// A line of a memory map. The lines of a map do not overlap, and go up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MemoryRange {
    /// Its first byte.
    pub start: Gpa,
    /// Its bytes.
    pub bytes: u64,
    /// What it is for.
    pub kind: MemoryKind,
}

impl MemoryRange {
    /// The first address behind it.
    pub const fn end(self) -> Gpa {
        Gpa(self.start.0.saturating_add(self.bytes))
    }
}
