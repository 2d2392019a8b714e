//! [`Sections`]: the section headers of a Multiboot kernel, for its own symbols in stack traces.
//!
//! Nothing here is needed to run a kernel, so what is damaged or does not fit is left out.

use alloc::vec::Vec;

use elf::abi::{SHT_STRTAB, SHT_SYMTAB};
use elf::endian::LittleEndian;
use elf::file::Class;
use elf::section::{SectionHeader, SectionHeaderTable};
use vmm_ram::Gpa;

use crate::elf_file::ElfFile;
use crate::planner::Planner;
use crate::{Copy, FileIndex, ImageFile, LoadError, Piece};

/// Kernels have some dozens.
const MAX_SECTIONS: u16 = 512;
/// Bytes of a header, and where its address is.
const SHAPE_32: (u16, usize, usize) = (40, 12, 4);
const SHAPE_64: (u16, usize, usize) = (64, 16, 8);

/// The section headers, with the addresses of what was loaded.
#[derive(Debug)]
pub struct Sections {
    /// The headers as the file has them.
    pub headers: Vec<u8>,
    /// How many.
    pub count: u32,
    /// Bytes of each.
    pub header_bytes: u32,
    /// Which one has the names.
    pub names: u32,
}

impl Sections {
    /// Reads the headers of an image, and places its symbol and string tables; `None` where it has none.
    pub async fn load<F: ImageFile>(
        planner: &mut Planner<'_, F>,
        image: &ElfFile,
    ) -> Result<Option<Self>, LoadError<F::Error>> {
        let header = image.header();
        let (size, address, width) = match header.class {
            Class::ELF32 => SHAPE_32,
            Class::ELF64 => SHAPE_64,
        };
        let count = header.e_shnum;
        if count == 0 || count > MAX_SECTIONS || header.e_shentsize != size {
            return Ok(None);
        }
        let bytes = usize::from(size).saturating_mul(usize::from(count));
        let headers = planner.read(FileIndex::Image, header.e_shoff, bytes).await;
        let mut headers = match headers {
            Ok(headers) => headers,
            Err(LoadError::Refused(_)) => return Ok(None),
            Err(unread) => return Err(unread),
        };
        let table = SectionHeaderTable::new(LittleEndian, header.class, &headers);
        let placed: Vec<_> = table
            .iter()
            .map(|section| place(planner, &section))
            .collect();
        for (one, at) in headers.chunks_exact_mut(size.into()).zip(placed) {
            let field = one
                .get_mut(address..)
                .and_then(|rest| rest.get_mut(..width));
            if let (Some(field), Some(at)) = (field, at) {
                // Addresses are below 4 GiB; what is above the first four bytes is zero already.
                for (target, byte) in field.iter_mut().zip(at.to_le_bytes()) {
                    *target = byte;
                }
            }
        }
        Ok(Some(Self {
            headers,
            count: count.into(),
            header_bytes: size.into(),
            names: header.e_shstrndx.into(),
        }))
    }
}

/// Where a table goes that no segment loads; `None` where it stays in the file.
fn place<F: ImageFile>(planner: &mut Planner<'_, F>, section: &SectionHeader) -> Option<u32> {
    let wanted = [SHT_SYMTAB, SHT_STRTAB].contains(&section.sh_type);
    let bytes = section.sh_size;
    let end = section.sh_offset.checked_add(bytes)?;
    if !wanted || section.sh_addr != 0 || bytes == 0 || end > planner.order.image.bytes() {
        return None;
    }
    let at = planner.room_behind(bytes, Piece::Symbols).ok()?;
    let copy = Copy {
        file: FileIndex::Image,
        offset: section.sh_offset,
        bytes,
        to: Gpa(at.into()),
    };
    planner.copy(copy).ok()?;
    Some(at)
}
