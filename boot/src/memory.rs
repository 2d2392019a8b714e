//! The machine's memory map.

use bulkhead_core::addr::HpaRange;

/// What a range of the memory map is for (ACPI 6.5, 15, table 15.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MemoryKind {
    /// RAM that the operating system may use.
    Usable,
    /// Not to be touched.
    Reserved,
    /// RAM that holds ACPI tables; usable once they have been read.
    AcpiReclaimable,
    /// RAM that the firmware needs over sleep states.
    AcpiNvs,
    /// RAM with errors.
    Defective,
    /// A type that we do not know: not to be touched.
    Unknown(u32),
}

impl MemoryKind {
    /// The kind with this number, which PVH, Multiboot2 and E820 share.
    pub const fn from_number(number: u32) -> Self {
        match number {
            1 => MemoryKind::Usable,
            2 => MemoryKind::Reserved,
            3 => MemoryKind::AcpiReclaimable,
            4 => MemoryKind::AcpiNvs,
            5 => MemoryKind::Defective,
            other => MemoryKind::Unknown(other),
        }
    }
}

/// A range of the memory map.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MemoryRegion {
    /// Where.
    pub range: HpaRange,
    /// What for.
    pub kind: MemoryKind,
}
