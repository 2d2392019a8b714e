//! [`Addresses`]: where a Multiboot header says that the image goes, for images that are no ELF files.

use core::ops::Range;

use vmm_ram::Gpa;

use crate::planner::Planner;
use crate::{Copy, FileIndex, ImageFile, Piece, Refusal};

/// The address fields of both Multiboots (Multiboot 0.6.96, 3.1.3; Multiboot2 2.0, 3.1.5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Addresses {
    /// Where the header itself will be.
    pub header: u32,
    /// Where loading begins; `None`: with the beginning of the file.
    pub load: Option<u32>,
    /// Where it ends; 0: at the end of the file.
    pub load_end: u32,
    /// Where the zeros behind it end; 0: there are none.
    pub bss_end: u32,
}

impl Addresses {
    /// Places the image, whose header is at `header_offset` of the file, and returns where it is.
    pub fn load<F: ImageFile>(
        &self,
        planner: &mut Planner<'_, F>,
        header_offset: u64,
    ) -> Result<Range<u64>, Refusal> {
        let damaged =
            Refusal::Damaged("the addresses in its Multiboot header contradict each other");
        let header = u64::from(self.header);
        let load = match self.load {
            Some(load) => u64::from(load),
            None => header.checked_sub(header_offset).ok_or(damaged)?,
        };
        let before_header = header.checked_sub(load).ok_or(damaged)?;
        let offset = header_offset.checked_sub(before_header).ok_or(damaged)?;
        let rest = planner.order.image.bytes().saturating_sub(offset);
        let bytes = match u64::from(self.load_end) {
            0 => rest,
            end => end.checked_sub(load).ok_or(damaged)?,
        };
        let loaded_end = load.checked_add(bytes).ok_or(damaged)?;
        let end = match u64::from(self.bss_end) {
            0 => loaded_end,
            end => Some(end).filter(|end| *end >= loaded_end).ok_or(damaged)?,
        };
        if end == load {
            return Err(Refusal::NothingToLoad);
        }
        let copy = Copy {
            file: FileIndex::Image,
            offset,
            bytes,
            to: Gpa(load),
        };
        planner.load(copy, end.saturating_sub(load), Piece::Kernel)?;
        Ok(load..end)
    }
}
