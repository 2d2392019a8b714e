//! Multiboot 1 (the specification's version 0.6.96).
//!
//! Modules always get pages of their own, so the header's wish for that needs no regard. The boot information, the module
//! list, the memory map and all texts are one block of memory.

mod header;
mod information;
#[cfg(test)]
mod tests;

use crate::elf_file::{self, ElfFile};
use crate::elf_sections::Sections;
use crate::entry_state::{self, register};
use crate::planner::Planner;
use crate::{Demand, ImageFile, Kind, LoadError, Piece, Plan, Refusal};

use header::Header;

pub use header::is_multiboot1;

/// EAX at the entry point.
const BOOT_MAGIC: u64 = 0x2bad_b002;
/// The first half of the flags must be understood.
const REQUIRED: u32 = 0xffff;
/// Modules on pages, memory information.
const UNDERSTOOD: u32 = 0b11;
const VIDEO: u32 = 0b100;
const COMMAND_LINE_LIMIT: u32 = 64 << 10;

/// Makes the plan. `head` is the beginning of the image.
pub async fn plan<F: ImageFile>(
    mut planner: Planner<'_, F>,
    head: &[u8],
) -> Result<Plan, LoadError<F::Error>> {
    let (offset, header) = header::find(head).ok_or(Refusal::NotOfKind(Kind::Multiboot1))?;
    check_flags(header.flags)?;
    let (entry, image) = load(&mut planner, head, offset, &header).await?;
    let modules = planner.modules()?;
    let sections = match &image {
        Some(image) => Sections::load(&mut planner, image).await?,
        None => None,
    };
    let command_line = planner.command_line(COMMAND_LINE_LIMIT)?;
    let lower = planner.places.usable_end(0).unwrap_or(0);
    let upper = planner.places.usable_end(1 << 20).unwrap_or(1 << 20);
    let map = planner.order.memory_map;
    let information = information::Information {
        lower_bytes: lower,
        upper_bytes: upper.saturating_sub(1 << 20),
        command_line: command_line.as_deref(),
        modules: &modules,
        map,
        sections: sections.as_ref(),
    };
    let information = planner.write_with(8, Piece::BootInformation, |base| information.at(base))?;
    let mut boot = entry_state::protected(&mut planner, entry)?;
    boot.registers[register::RAX] = BOOT_MAGIC;
    boot.registers[register::RBX] = u64::from(information);
    Ok(planner.finish(boot))
}

fn check_flags(flags: u32) -> Result<(), Refusal> {
    if flags & VIDEO != 0 {
        return Err(Refusal::Demands(Demand::Display));
    }
    match flags & REQUIRED & !UNDERSTOOD {
        0 => Ok(()),
        unknown => Err(Refusal::Demands(Demand::Flag(unknown))),
    }
}

/// Places the image, and returns its entry point, and the image where it is loaded as ELF file.
async fn load<F: ImageFile>(
    planner: &mut Planner<'_, F>,
    head: &[u8],
    offset: u64,
    header: &Header,
) -> Result<(u64, Option<ElfFile>), LoadError<F::Error>> {
    if let Some((addresses, entry)) = &header.addresses {
        let entry = u64::from(*entry);
        let range = addresses.load(planner, offset)?;
        return if range.contains(&entry) {
            Ok((entry, None))
        } else {
            Err(Refusal::EntryOutside(entry).into())
        };
    }
    if !elf_file::is_elf(head) {
        return Err(Refusal::NothingToLoad.into());
    }
    let image = ElfFile::read(planner, head).await?;
    image.load(planner)?;
    let entry = image.physical_entry();
    if image.has(entry) {
        Ok((entry, Some(image)))
    } else {
        Err(Refusal::EntryOutside(entry).into())
    }
}
