//! Multiboot 2 (the specification's version 2.0), with the 32-bit entry point.
//!
//! The tags for EFI have no meaning here, because the guest has no EFI firmware.

mod header;
mod information;
#[cfg(test)]
mod tests;

use core::ops::Range;

use crate::elf_file::{self, ElfFile};
use crate::elf_sections::Sections;
use crate::entry_state::{self, register};
use crate::planner::Planner;
use crate::{ImageFile, Kind, LoadError, Piece, Plan, Refusal};

use header::Header;

pub use header::is_multiboot2;

/// EAX at the entry point.
const BOOT_MAGIC: u64 = 0x36d7_6289;
const COMMAND_LINE_LIMIT: u32 = 64 << 10;

/// Makes the plan. `head` is the beginning of the image.
pub async fn plan<F: ImageFile>(
    mut planner: Planner<'_, F>,
    head: &[u8],
) -> Result<Plan, LoadError<F::Error>> {
    let (offset, bytes) = header::find(head).ok_or(Refusal::NotOfKind(Kind::Multiboot2))?;
    let header = Header::parse(bytes)?;
    let (range, entry, image) = load(&mut planner, head, offset, &header).await?;
    let modules = planner.modules()?;
    let sections = match &image {
        Some(image) => Sections::load(&mut planner, image).await?,
        None => None,
    };
    let command_line = planner.command_line(COMMAND_LINE_LIMIT)?;
    let lower = planner.places.usable_end(0).unwrap_or(0);
    let upper = planner.places.usable_end(1 << 20).unwrap_or(1 << 20);
    let information = information::Information {
        lower_bytes: lower,
        upper_bytes: upper.saturating_sub(1 << 20),
        command_line: command_line.as_deref(),
        modules: &modules,
        map: planner.order.memory_map,
        rsdp: planner.order.rsdp,
        load_base: range.start,
        sections: sections.as_ref(),
    };
    let information = planner.write(information.bytes(), 8, Piece::BootInformation)?;
    let mut boot = entry_state::protected(&mut planner, entry)?;
    boot.registers[register::RAX] = BOOT_MAGIC;
    boot.registers[register::RBX] = u64::from(information);
    Ok(planner.finish(boot))
}

/// Places the image, and returns where it is, its entry point, and the image where it is loaded as ELF file.
async fn load<F: ImageFile>(
    planner: &mut Planner<'_, F>,
    head: &[u8],
    offset: u64,
    header: &Header,
) -> Result<(Range<u64>, u64, Option<ElfFile>), LoadError<F::Error>> {
    if let Some(addresses) = &header.addresses {
        let range = addresses.load(planner, offset)?;
        let entry = u64::from(header.entry.ok_or(Refusal::Damaged(
            "its Multiboot 2 header has an address tag and no entry address tag",
        ))?);
        return if range.contains(&entry) {
            Ok((range, entry, None))
        } else {
            Err(Refusal::EntryOutside(entry).into())
        };
    }
    if !elf_file::is_elf(head) {
        return Err(Refusal::NothingToLoad.into());
    }
    let image = ElfFile::read(planner, head).await?;
    let range = image.load(planner)?;
    let entry = header
        .entry
        .map_or_else(|| image.physical_entry(), u64::from);
    if image.has(entry) {
        Ok((range, entry, Some(image)))
    } else {
        Err(Refusal::EntryOutside(entry).into())
    }
}
