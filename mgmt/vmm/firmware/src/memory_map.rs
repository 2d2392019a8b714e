//! [`memory_map`]: what a guest is told about its memory.

use alloc::vec::Vec;
use core::ops::Range;

use vmm_ram::{Gpa, MemoryKind, MemoryRange, RamLayout};

use crate::layout;

#[cfg(test)]
mod tests;

/// The map of a board with that RAM, from the lowest address on. What is in no line is nothing, or a PCI device.
pub fn memory_map(ram: RamLayout) -> Vec<MemoryRange> {
    let ecam = u64::from(layout::ECAM);
    let io_apic = u64::from(layout::IO_APIC);
    let local_apic = u64::from(layout::LOCAL_APIC);
    let mut map = Vec::new();
    let mut line = |range: Range<u64>, kind| {
        let bytes = range.end.saturating_sub(range.start);
        let start = Gpa(range.start);
        if bytes > 0 {
            map.push(MemoryRange { start, bytes, kind });
        }
    };
    let low_end = ram.low().map_or(0, |low| low.end().0);
    line(0..layout::CONVENTIONAL_END.min(low_end), MemoryKind::Usable);
    line(
        layout::CONVENTIONAL_END..layout::EXTENDED_DATA_END,
        MemoryKind::Reserved,
    );
    line(layout::ACPI..layout::LOW_END, MemoryKind::Reserved);
    line(layout::LOW_END..low_end, MemoryKind::Usable);
    line(
        ecam..ecam + u64::from(layout::ECAM_BYTES),
        MemoryKind::Reserved,
    );
    line(io_apic..io_apic + 0x1000, MemoryKind::Reserved);
    line(local_apic..local_apic + 0x1000, MemoryKind::Reserved);
    if let Some(high) = ram.high() {
        line(high.start.0..high.end().0, MemoryKind::Usable);
    }
    map
}
