//! Linux bzImage by the 64-bit boot protocol (Linux Documentation/arch/x86/boot.rst and zero-page.rst).
//!
//! The real-mode part of the file is only read for its header. The rest is copied to where it will run from, the
//! initrds are joined as high as the kernel can reach them, and the kernel is entered 512 bytes behind its first byte with
//! RSI = the boot parameters.

mod header;
#[cfg(test)]
mod tests;

use alloc::vec;
use alloc::vec::Vec;

use header::Header;
use vmm_ram::{Gpa, MemoryRange};

use crate::entry_state::{self, register};
use crate::places::{END, align_up};
use crate::planner::Planner;
use crate::{Copy, FileIndex, ImageFile, LoadError, Piece, Plan, Refusal};

pub use header::is_linux;

/// Most lines of the memory map in the boot parameters (E820_MAX_ENTRIES_ZEROPAGE).
pub const MAX_E820: usize = 128;

const PAGE: u64 = 4096;
/// Where 64-bit code begins in the protected-mode part.
const ENTRY_64: u64 = 0x200;
/// The kernel joins initrds at multiples of this.
const INITRD_ALIGN: u64 = 4;

/// Offsets in the boot parameters.
mod params {
    pub const ACPI_RSDP_ADDR: usize = 0x070;
    pub const E820_ENTRIES: usize = 0x1e8;
    pub const TYPE_OF_LOADER: usize = 0x210;
    pub const CODE32_START: usize = 0x214;
    pub const RAMDISK_IMAGE: usize = 0x218;
    pub const RAMDISK_SIZE: usize = 0x21c;
    pub const CMD_LINE_PTR: usize = 0x228;
    pub const SETUP_DATA: usize = 0x250;
    pub const E820_TABLE: usize = 0x2d0;
    pub const BYTES: usize = 4096;
}

/// The number for boot loaders without one of their own.
const UNDEFINED_LOADER: u8 = 0xff;

/// Makes the plan. `head` is the beginning of the image.
pub async fn plan<F: ImageFile>(
    mut planner: Planner<'_, F>,
    head: &[u8],
) -> Result<Plan, LoadError<F::Error>> {
    let header = Header::parse(head)?;
    let kernel = place_kernel(&mut planner, &header)?;
    let initrd = place_initrd(&mut planner, &header)?;
    let command_line = match planner.command_line(header.command_line_limit)? {
        Some(text) => planner.write(text, 16, Piece::CommandLine)?,
        None => 0,
    };
    let parameters = parameters(&planner, &header, kernel, initrd, command_line)?;
    let parameters = planner.write(parameters, PAGE, Piece::BootInformation)?;
    let mut boot = entry_state::long(&mut planner, kernel.saturating_add(ENTRY_64))?;
    boot.registers[register::RSI] = u64::from(parameters);
    Ok(planner.finish(boot))
}

/// Copies the protected-mode part, and returns where.
fn place_kernel<F: ImageFile>(
    planner: &mut Planner<'_, F>,
    header: &Header,
) -> Result<u64, Refusal> {
    let file = FileIndex::Image;
    let offset = header.payload_offset;
    let bytes = planner.order.image.bytes().saturating_sub(offset);
    if bytes <= ENTRY_64 || bytes < header.payload_bytes {
        return Err(Refusal::Truncated(file));
    }
    let memory_bytes = header.init_bytes.max(bytes);
    let piece = Piece::Kernel;
    let preferred = header.preferred_address;
    let at = match (
        planner.places.claim(preferred, memory_bytes, piece),
        header.alignment,
    ) {
        (Ok(()), _) => preferred,
        // A relocatable kernel that lies lower goes up to its preferred address by itself, so lower is no help.
        (Err(_), Some(align)) => planner
            .places
            .lowest(memory_bytes, align, preferred..END, piece)
            .map_err(|_| Refusal::KernelNeeds {
                end: preferred.saturating_add(memory_bytes),
            })?,
        (Err(refused), None) => return Err(refused),
    };
    let to = Gpa(at);
    planner.copy(Copy {
        file,
        offset,
        bytes,
        to,
    })?;
    planner.zero(at.saturating_add(bytes), memory_bytes.saturating_sub(bytes));
    Ok(at)
}

/// Joins the initrds: where they begin, and their bytes.
fn place_initrd<F: ImageFile>(
    planner: &mut Planner<'_, F>,
    header: &Header,
) -> Result<Option<(u32, u32)>, Refusal> {
    let mut total: u64 = 0;
    let mut offsets = Vec::new();
    for module in planner.order.modules {
        let piece = Piece::Initrd;
        let refused = Refusal::NoRoom {
            piece,
            bytes: u64::MAX,
        };
        let start = align_up(total, INITRD_ALIGN).ok_or(refused)?;
        offsets.push((total, start));
        total = start.checked_add(module.file.bytes()).ok_or(refused)?;
    }
    if total == 0 {
        return Ok(None);
    }
    let within = (1 << 20)..header.initrd_end;
    let refused = Refusal::NoRoom {
        piece: Piece::Initrd,
        bytes: total,
    };
    let at = planner
        .places
        .highest(total, PAGE, within, Piece::Initrd)
        .map_err(|_| refused)?;
    for (index, ((gap, start), module)) in offsets.iter().zip(planner.order.modules).enumerate() {
        planner.zero(at.saturating_add(*gap), start.saturating_sub(*gap));
        planner.copy(Copy {
            file: FileIndex::Module(index),
            offset: 0,
            bytes: module.file.bytes(),
            to: Gpa(at.saturating_add(*start)),
        })?;
    }
    let at = u32::try_from(at).map_err(|_| refused)?;
    Ok(Some((at, u32::try_from(total).map_err(|_| refused)?)))
}

/// The page that the kernel finds by RSI.
fn parameters<F: ImageFile>(
    planner: &Planner<'_, F>,
    header: &Header,
    kernel: u64,
    initrd: Option<(u32, u32)>,
    command_line: u32,
) -> Result<Vec<u8>, Refusal> {
    let map = planner.order.memory_map;
    let lines = u8::try_from(map.len())
        .ok()
        .filter(|lines| usize::from(*lines) <= MAX_E820)
        .ok_or(Refusal::MemoryMapTooLong(map.len()))?;
    let mut page = vec![0; params::BYTES];
    let mut put = |at: usize, bytes: &[u8]| {
        let room = page
            .get_mut(at..)
            .and_then(|rest| rest.get_mut(..bytes.len()));
        if let Some(room) = room {
            room.copy_from_slice(bytes);
        }
    };
    put(header::START, &header.bytes);
    put(params::TYPE_OF_LOADER, &[UNDEFINED_LOADER]);
    put(params::CODE32_START, &(kernel as u32).to_le_bytes());
    let (start, bytes) = initrd.unwrap_or_default();
    put(params::RAMDISK_IMAGE, &start.to_le_bytes());
    put(params::RAMDISK_SIZE, &bytes.to_le_bytes());
    put(params::CMD_LINE_PTR, &command_line.to_le_bytes());
    put(params::SETUP_DATA, &[0; 8]);
    let rsdp = planner.order.rsdp.map_or(0, |rsdp| rsdp.at.0);
    put(params::ACPI_RSDP_ADDR, &rsdp.to_le_bytes());
    put(params::E820_ENTRIES, &[lines]);
    let table: Vec<u8> = map.iter().flat_map(e820_line).collect();
    put(params::E820_TABLE, &table);
    Ok(page)
}

fn e820_line(line: &MemoryRange) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(20);
    bytes.extend_from_slice(&line.start.0.to_le_bytes());
    bytes.extend_from_slice(&line.bytes.to_le_bytes());
    bytes.extend_from_slice(&line.kind.number().to_le_bytes());
    bytes
}
