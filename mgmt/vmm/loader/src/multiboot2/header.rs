//! [`Header`]: the Multiboot 2 header in an image.

use crate::addresses::Addresses;
use crate::fields::{u16_at, u32_at};
use crate::{Demand, Refusal};

const MAGIC: u32 = 0xe852_50d6;
/// The header is in the first 32 KiB, at a multiple of 8.
const SEARCHED: usize = 32 << 10;
const ALIGN: usize = 8;
const HEAD: usize = 16;
const TAG_HEAD: usize = 8;
/// i386: entered in 32-bit mode.
const ARCHITECTURE: u32 = 0;
/// A tag that may be passed over.
const OPTIONAL: u16 = 1;
/// In the flags of the console tag: a console is needed.
const CONSOLE_REQUIRED: u32 = 1;
/// As load address: the beginning of the file.
const FROM_BEGINNING: u32 = u32::MAX;
/// The last kind of information that version 2.0 defines.
const LAST_INFORMATION: u32 = 21;

/// Kinds of header tags.
mod tag {
    pub const END: u16 = 0;
    pub const INFORMATION_REQUEST: u16 = 1;
    pub const ADDRESS: u16 = 2;
    pub const ENTRY_ADDRESS: u16 = 3;
    pub const CONSOLE: u16 = 4;
    pub const FRAMEBUFFER: u16 = 5;
    pub const MODULE_ALIGNMENT: u16 = 6;
    pub const EFI_BOOT_SERVICES: u16 = 7;
    pub const EFI_32_ENTRY: u16 = 8;
    pub const EFI_64_ENTRY: u16 = 9;
    pub const RELOCATABLE: u16 = 10;
}

/// What the loader needs of the header.
#[derive(Debug, Default)]
pub struct Header {
    /// Where the image goes, where the header says it.
    pub addresses: Option<Addresses>,
    /// The entry point, where the header says it.
    pub entry: Option<u32>,
}

/// Whether a file is a Multiboot 2 kernel.
pub fn is_multiboot2(head: &[u8]) -> bool {
    find(head).is_some()
}

/// The first header, and where it is.
pub fn find(head: &[u8]) -> Option<(u64, &[u8])> {
    let head = head.get(..SEARCHED).unwrap_or(head);
    (0..head.len())
        .step_by(ALIGN)
        .find_map(|at| Some((at as u64, header(head.get(at..)?)?)))
}

fn header(bytes: &[u8]) -> Option<&[u8]> {
    if u32_at(bytes, 0)? != MAGIC || u32_at(bytes, 4)? != ARCHITECTURE {
        return None;
    }
    let length = u32_at(bytes, 8)?;
    let sum = MAGIC
        .wrapping_add(ARCHITECTURE)
        .wrapping_add(length)
        .wrapping_add(u32_at(bytes, 12)?);
    let length = usize::try_from(length)
        .ok()
        .filter(|length| *length >= HEAD)?;
    (sum == 0).then(|| bytes.get(..length))?
}

impl Header {
    /// Reads the tags of a header that was found.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let damaged = Refusal::Damaged("a tag of its Multiboot 2 header does not fit");
        let mut header = Self::default();
        let mut at = HEAD;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let kind = u16_at(rest, 0).ok_or(damaged)?;
            let flags = u16_at(rest, 2).ok_or(damaged)?;
            let size = u32_at(rest, 4).ok_or(damaged)?;
            if kind == tag::END {
                break;
            }
            let size = usize::try_from(size)
                .ok()
                .filter(|size| *size >= TAG_HEAD)
                .ok_or(damaged)?;
            let content = rest.get(TAG_HEAD..size).ok_or(damaged)?;
            match header.take(kind, content) {
                // What may be passed over is passed over.
                Err(Refusal::Demands(_)) if flags & OPTIONAL != 0 => {}
                taken => taken?,
            }
            // Tags begin at multiples of 8 from the header's begin, which is at one.
            at = size
                .checked_next_multiple_of(ALIGN)
                .and_then(|size| at.checked_add(size))
                .ok_or(damaged)?;
        }
        Ok(header)
    }

    fn take(&mut self, kind: u16, content: &[u8]) -> Result<(), Refusal> {
        let damaged = Refusal::Damaged("a tag of its Multiboot 2 header is too short");
        let field = |index: usize| u32_at(content, index * 4).ok_or(damaged);
        match kind {
            tag::INFORMATION_REQUEST => {
                let asked = content.chunks_exact(4).filter_map(|word| u32_at(word, 0));
                match asked.max().filter(|kind| *kind > LAST_INFORMATION) {
                    Some(unknown) => return Err(Refusal::Demands(Demand::Information(unknown))),
                    None => return Ok(()),
                }
            }
            tag::ADDRESS => {
                self.addresses = Some(Addresses {
                    header: field(0)?,
                    load: Some(field(1)?).filter(|load| *load != FROM_BEGINNING),
                    load_end: field(2)?,
                    bss_end: field(3)?,
                });
            }
            tag::ENTRY_ADDRESS => self.entry = Some(field(0)?),
            tag::CONSOLE if field(0)? & CONSOLE_REQUIRED == 0 => {}
            tag::CONSOLE | tag::FRAMEBUFFER => return Err(Refusal::Demands(Demand::Display)),
            // Modules are always on pages; a relocatable image can stay where it was linked.
            tag::MODULE_ALIGNMENT
            | tag::RELOCATABLE
            | tag::EFI_BOOT_SERVICES
            | tag::EFI_32_ENTRY
            | tag::EFI_64_ENTRY => {}
            other => return Err(Refusal::Demands(Demand::HeaderTag(other))),
        }
        Ok(())
    }
}
