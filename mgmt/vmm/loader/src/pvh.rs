//! PVH: ELF with a physical 32-bit entry point in a note (Xen's docs/misc/pvh.pandoc and public/arch-x86/hvm/start_info.h).

use alloc::vec::Vec;

use zerocopy::{Immutable, IntoBytes};

use crate::elf_file::{self, ElfFile};
use crate::entry_state::{self, register};
use crate::fields::{u32_at, u64_at};
use crate::planner::{Placed, Planner, with_zero};
use crate::{ImageFile, Kind, LoadError, LoadOrder, Piece, Plan, Refusal};

#[cfg(test)]
mod tests;

const OWNER: &[u8] = b"Xen";
/// XEN_ELFNOTE_PHYS32_ENTRY.
const PHYS32_ENTRY: u64 = 18;
const MAGIC: u32 = 0x336e_c578;
const VERSION: u32 = 1;
const COMMAND_LINE_LIMIT: u32 = 64 << 10;

/// hvm_start_info.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct StartInfo {
    magic: u32,
    version: u32,
    flags: u32,
    modules: u32,
    module_list: u64,
    command_line: u64,
    rsdp: u64,
    memory_map: u64,
    memory_map_lines: u32,
    reserved: u32,
}

/// hvm_modlist_entry.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct ModuleEntry {
    start: u64,
    bytes: u64,
    command_line: u64,
    reserved: u64,
}

/// hvm_memmap_table_entry.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct MemoryEntry {
    start: u64,
    bytes: u64,
    kind: u32,
    reserved: u32,
}

/// The entry point in the note, where there is one.
pub async fn entry<F: ImageFile>(
    planner: &Planner<'_, F>,
    image: &ElfFile,
) -> Result<Option<u64>, LoadError<F::Error>> {
    let note = image.note(planner, OWNER, PHYS32_ENTRY).await?;
    // 32-bit images have a word of 4 bytes, others may have either.
    Ok(note.and_then(|desc| match desc.len() {
        4 => u32_at(&desc, 0).map(u64::from),
        _ => u64_at(&desc, 0),
    }))
}

/// Makes the plan. `head` is the beginning of the image.
pub async fn plan<F: ImageFile>(
    mut planner: Planner<'_, F>,
    head: &[u8],
) -> Result<Plan, LoadError<F::Error>> {
    if !elf_file::is_elf(head) {
        return Err(Refusal::NotOfKind(Kind::Pvh).into());
    }
    let image = ElfFile::read(&planner, head).await?;
    let entry = entry(&planner, &image)
        .await?
        .ok_or(Refusal::NotOfKind(Kind::Pvh))?;
    image.load(&mut planner)?;
    if !image.has(entry) {
        return Err(Refusal::EntryOutside(entry).into());
    }
    let modules = planner.modules()?;
    let mut texts = Vec::with_capacity(modules.len());
    for module in &modules {
        texts.push(match module.text {
            "" => 0,
            text => planner.write(with_zero(text), 1, Piece::BootInformation)?,
        });
    }
    let command_line = match planner.command_line(COMMAND_LINE_LIMIT)? {
        Some(text) => planner.write(text, 1, Piece::CommandLine)?,
        None => 0,
    };
    let order = planner.order;
    let start = planner.write_with(8, Piece::BootInformation, |base| {
        start_info(order, &modules, &texts, command_line, base)
    })?;
    let mut boot = entry_state::protected(&mut planner, entry)?;
    boot.registers[register::RBX] = u64::from(start);
    Ok(planner.finish(boot))
}

/// The start info, the module list and the memory map, one behind the other at `base`.
fn start_info<F>(
    order: &LoadOrder<'_, F>,
    modules: &[Placed<'_>],
    texts: &[u32],
    command_line: u32,
    base: u32,
) -> Vec<u8> {
    let modules_at = u64::from(base).saturating_add(size_of::<StartInfo>() as u64);
    let list_bytes = size_of::<ModuleEntry>().saturating_mul(modules.len());
    let info = StartInfo {
        magic: MAGIC,
        version: VERSION,
        flags: 0,
        modules: modules.len() as u32,
        module_list: if modules.is_empty() { 0 } else { modules_at },
        command_line: u64::from(command_line),
        rsdp: order.rsdp.map_or(0, |rsdp| rsdp.at.0),
        memory_map: modules_at.saturating_add(list_bytes as u64),
        memory_map_lines: order.memory_map.len() as u32,
        reserved: 0,
    };
    let mut bytes = info.as_bytes().to_vec();
    for (module, text) in modules.iter().zip(texts) {
        let entry = ModuleEntry {
            start: u64::from(module.start),
            bytes: u64::from(module.bytes),
            command_line: u64::from(*text),
            reserved: 0,
        };
        bytes.extend_from_slice(entry.as_bytes());
    }
    for line in order.memory_map {
        let entry = MemoryEntry {
            start: line.start.0,
            bytes: line.bytes,
            kind: line.kind.number(),
            reserved: 0,
        };
        bytes.extend_from_slice(entry.as_bytes());
    }
    bytes
}
