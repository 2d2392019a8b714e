//! The PVH start record (Xen, `hvm_start_info`): what `qemu -kernel` gives.

use bulkhead_core::addr::{Hpa, HpaRange};

use crate::error::{BootError, BootNote};
use crate::info::{BootInfo, Protocol, copy_text};
use crate::memory::{MemoryKind, MemoryRegion};
use crate::module;
use crate::physical::{PhysicalBytes, c_string, u32_at, u64_at};

/// First word of the record, and the magic number that our entry code passes.
pub const MAGIC: u32 = 0x336e_c578;

/// Bytes of the record with a memory map (version 1).
const RECORD_BYTES: usize = 56;
const MODULE_BYTES: u64 = 32;
const MEMORY_BYTES: u64 = 24;
/// More of anything is a damaged record.
const COUNT_LIMIT: u32 = 4096;
const TEXT_LIMIT: usize = 4096;

/// Reads the record at `address`.
pub(crate) fn parse(address: Hpa, memory: &impl PhysicalBytes) -> Result<BootInfo, BootError> {
    let out_of_reach = BootError::OutOfReach {
        what: "start record",
        address,
    };
    let record = memory.slice(address, RECORD_BYTES).ok_or(out_of_reach)?;
    let word = |offset| u32_at(record, offset).ok_or(BootError::Malformed("start record"));
    let long = |offset| u64_at(record, offset).ok_or(BootError::Malformed("start record"));
    if word(0)? != MAGIC {
        return Err(BootError::Malformed("start record"));
    }
    if word(4)? == 0 {
        // Version 0 has no memory map, and we have no other source for one.
        return Err(BootError::NoMemoryMap);
    }
    let mut info = BootInfo::new(Protocol::Pvh);
    let command_line = Hpa::new(long(24)?);
    if command_line != Hpa::new(0) {
        match c_string(memory, command_line, TEXT_LIMIT) {
            Some(text) => {
                if let Some(note) = copy_text(&mut info.command_line, text, "command line") {
                    info.note(note);
                }
            }
            None => info.note(BootNote::Skipped("a command line that is out of reach")),
        }
    }
    let rsdp = long(32)?;
    info.rsdp = (rsdp != 0).then_some(Hpa::new(rsdp));
    memory_map(&mut info, memory, Hpa::new(long(40)?), word(48)?)?;
    modules(&mut info, memory, Hpa::new(long(16)?), word(12)?)?;
    Ok(info)
}

fn memory_map(
    info: &mut BootInfo,
    memory: &impl PhysicalBytes,
    start: Hpa,
    count: u32,
) -> Result<(), BootError> {
    for entry in entries(memory, "memory map", start, count, MEMORY_BYTES) {
        let entry = entry?;
        let malformed = BootError::Malformed("memory map");
        let base = u64_at(entry, 0).ok_or(malformed)?;
        let bytes = u64_at(entry, 8).ok_or(malformed)?;
        let kind = u32_at(entry, 16).ok_or(malformed)?;
        info.add_memory(
            HpaRange::new(Hpa::new(base), bytes).map(|range| MemoryRegion {
                range,
                kind: MemoryKind::from_number(kind),
            }),
        );
    }
    Ok(())
}

fn modules(
    info: &mut BootInfo,
    memory: &impl PhysicalBytes,
    start: Hpa,
    count: u32,
) -> Result<(), BootError> {
    for entry in entries(memory, "module list", start, count, MODULE_BYTES) {
        let entry = entry?;
        let malformed = BootError::Malformed("module list");
        let base = u64_at(entry, 0).ok_or(malformed)?;
        let bytes = u64_at(entry, 8).ok_or(malformed)?;
        let text = Hpa::new(u64_at(entry, 16).ok_or(malformed)?);
        let Some(range) = HpaRange::new(Hpa::new(base), bytes) else {
            info.note(BootNote::Skipped("a module past the end of memory"));
            continue;
        };
        let text = match text.as_u64() {
            0 => None,
            _ => c_string(memory, text, TEXT_LIMIT),
        };
        // A single file has no name of its own under PVH: the first word names it.
        let text = text.unwrap_or(b"initrd").trim_ascii();
        let end = text.iter().position(|byte| *byte == b' ');
        let (name, arguments) = text.split_at(end.unwrap_or(text.len()));
        module::add(info, memory, range, name, arguments.trim_ascii());
    }
    Ok(())
}

/// The `count` records of `bytes` bytes from `start`.
fn entries<'a, M: PhysicalBytes>(
    memory: &'a M,
    what: &'static str,
    start: Hpa,
    count: u32,
    bytes: u64,
) -> impl Iterator<Item = Result<&'a [u8], BootError>> {
    let plausible = if count > COUNT_LIMIT { 1 } else { count };
    (0..u64::from(plausible)).map(move |index| {
        if count > COUNT_LIMIT {
            return Err(BootError::Malformed(what));
        }
        start
            .checked_add(index * bytes)
            .and_then(|address| memory.slice(address, bytes as usize))
            .ok_or(BootError::OutOfReach {
                what,
                address: start,
            })
    })
}

#[cfg(test)]
mod tests;
