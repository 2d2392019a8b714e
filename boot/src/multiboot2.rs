//! The Multiboot2 information record (Multiboot2 specification 3.6): what GRUB gives.

use bulkhead_core::addr::{Hpa, HpaRange};

use crate::error::{BootError, BootNote};
use crate::framebuffer::Framebuffer;
use crate::info::{BootInfo, Protocol, copy_text};
use crate::memory::{MemoryKind, MemoryRegion};
use crate::module;
use crate::physical::{PhysicalBytes, u16_at, u32_at, u64_at, until_nul};

/// The magic number in EAX at entry.
pub const MAGIC: u32 = 0x36d7_6289;

/// A record above this size is taken for damaged.
const RECORD_LIMIT: u32 = 16 << 20;

const TAG_END: u32 = 0;
const TAG_COMMAND_LINE: u32 = 1;
const TAG_LOADER: u32 = 2;
const TAG_MODULE: u32 = 3;
const TAG_MEMORY_MAP: u32 = 6;
const TAG_FRAMEBUFFER: u32 = 8;
const TAG_ACPI_OLD: u32 = 14;
const TAG_ACPI_NEW: u32 = 15;

/// Reads the record at `address`.
pub(crate) fn parse(address: Hpa, memory: &impl PhysicalBytes) -> Result<BootInfo, BootError> {
    let out_of_reach = BootError::OutOfReach {
        what: "information record",
        address,
    };
    let malformed = BootError::Malformed("information record");
    let size = memory
        .slice(address, 8)
        .and_then(|head| u32_at(head, 0))
        .ok_or(out_of_reach)?;
    if !(8..=RECORD_LIMIT).contains(&size) {
        return Err(malformed);
    }
    let record = memory.slice(address, size as usize).ok_or(out_of_reach)?;
    let mut info = BootInfo::new(Protocol::Multiboot2);
    let mut position = 8usize;
    loop {
        let kind = u32_at(record, position).ok_or(malformed)?;
        let bytes = u32_at(record, position + 4).ok_or(malformed)? as usize;
        let end = position.checked_add(bytes).ok_or(malformed)?;
        let body = record
            .get(position..end)
            .and_then(|tag| tag.get(8..))
            .ok_or(malformed)?;
        if kind == TAG_END {
            return Ok(info);
        }
        let body_address = address.checked_add(position as u64 + 8).ok_or(malformed)?;
        tag(&mut info, memory, kind, body, body_address);
        position = end.checked_next_multiple_of(8).ok_or(malformed)?;
    }
}

fn tag(info: &mut BootInfo, memory: &impl PhysicalBytes, kind: u32, body: &[u8], at: Hpa) {
    let complete = match kind {
        TAG_COMMAND_LINE => {
            let note = copy_text(&mut info.command_line, until_nul(body), "command line");
            note.into_iter().for_each(|note| info.note(note));
            Some(())
        }
        TAG_LOADER => {
            let note = copy_text(&mut info.loader, until_nul(body), "boot loader's name");
            note.into_iter().for_each(|note| info.note(note));
            Some(())
        }
        TAG_MODULE => module_tag(info, memory, body),
        TAG_MEMORY_MAP => memory_map(info, body),
        TAG_FRAMEBUFFER => framebuffer(info, body),
        TAG_ACPI_OLD => {
            info.rsdp = info.rsdp.or(Some(at));
            Some(())
        }
        TAG_ACPI_NEW => {
            info.rsdp = Some(at);
            Some(())
        }
        _ => Some(()),
    };
    if complete.is_none() {
        info.note(BootNote::Skipped(
            "a tag of the boot loader that is too short",
        ));
    }
}

fn module_tag(info: &mut BootInfo, memory: &impl PhysicalBytes, body: &[u8]) -> Option<()> {
    let start = u64::from(u32_at(body, 0)?);
    let bytes = u64::from(u32_at(body, 4)?).checked_sub(start)?;
    let text = until_nul(body.get(8..)?).trim_ascii();
    let end = text.iter().position(|byte| *byte == b' ');
    let (name, arguments) = text.split_at(end.unwrap_or(text.len()));
    let range = HpaRange::new(Hpa::new(start), bytes)?;
    module::add(info, memory, range, name, arguments.trim_ascii());
    Some(())
}

fn memory_map(info: &mut BootInfo, body: &[u8]) -> Option<()> {
    let entry_bytes = u32_at(body, 0)? as usize;
    if entry_bytes < 20 {
        return None;
    }
    for entry in body.get(8..)?.chunks_exact(entry_bytes) {
        let range = HpaRange::new(Hpa::new(u64_at(entry, 0)?), u64_at(entry, 8)?);
        let kind = MemoryKind::from_number(u32_at(entry, 16)?);
        info.add_memory(range.map(|range| MemoryRegion { range, kind }));
    }
    Some(())
}

fn framebuffer(info: &mut BootInfo, body: &[u8]) -> Option<()> {
    let bits = *body.get(20)?;
    let kind = *body.get(21)?;
    // Type 1 is direct RGB. Palettes (0) and the text mode (2) cannot be drawn to.
    if kind != 1 || !matches!(bits, 24 | 32) {
        return Some(());
    }
    // The colour fields follow 16 reserved bits: position and size of red, green, blue.
    let _reserved = u16_at(body, 22)?;
    let buffer = Framebuffer {
        address: Hpa::new(u64_at(body, 0)?),
        pitch: u32_at(body, 8)?,
        width: u32_at(body, 12)?,
        height: u32_at(body, 16)?,
        pixel_bytes: bits / 8,
        shifts: [*body.get(24)?, *body.get(26)?, *body.get(28)?],
    };
    let line = u64::from(buffer.width) * u64::from(buffer.pixel_bytes);
    let sensible = buffer.shifts.iter().all(|shift| *shift <= 24)
        && line <= u64::from(buffer.pitch)
        && buffer.bytes().is_some_and(|bytes| bytes > 0);
    if sensible {
        info.framebuffer = Some(buffer);
        Some(())
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
