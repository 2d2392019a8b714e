//! Loads static ELF images, fixed or position-independent, into a partition's memory.
//!
//! The boot code loads the management partition's image with it. An image is checked wholly before
//! the first byte is written ([`ElfImage::parse`], [`ElfImage::place`]); it comes from a boot module
//! or from the management partition, so every number in it may be wrong.
//!
//! Fixed images go to their physical addresses (`p_paddr`), position-independent ones to a base that
//! the caller chooses, where they relocate themselves. Source: System V ABI, chapters 4 and 5.

use core::fmt;

use elf::abi::{ELFCLASS64, ELFDATA2LSB, EM_X86_64, ET_DYN, ET_EXEC, PT_INTERP, PT_LOAD};
use elf::endian::LittleEndian;
use elf::segment::{ProgramHeader, SegmentTable};
use elf::{ElfBytes, ParseError};

use crate::addr::Gpa;

#[cfg(test)]
mod tests;

/// More segments than this are refused: linkers make four or five.
const MAX_SEGMENTS: usize = 32;

/// Where the bytes of an image go.
pub trait GuestWriter {
    /// What a write that cannot be done says.
    type Error;

    /// Copies `bytes` to `at`.
    ///
    /// # Errors
    /// Where the guest has no memory there.
    fn write(&mut self, at: Gpa, bytes: &[u8]) -> Result<(), Self::Error>;

    /// Writes `len` zero bytes at `at`.
    ///
    /// # Errors
    /// Where the guest has no memory there.
    fn zero(&mut self, at: Gpa, len: u64) -> Result<(), Self::Error>;
}

/// Why an image cannot be loaded. Nothing was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ImageError {
    /// It does not begin like an ELF file.
    NotElf,
    /// It is ELF, but not for 64-bit x86.
    WrongMachine,
    /// It is neither an executable nor position-independent.
    WrongType,
    /// A table of the file lies outside of the file, or contradicts the header.
    Damaged,
    /// It needs a dynamic linker.
    NeedsInterpreter,
    /// It has nothing to load.
    NothingToLoad,
    /// It has more segments than a linker makes.
    TooManySegments,
    /// The contents of this segment are not all in the file.
    Truncated(usize),
    /// This segment has more contents than memory.
    SizesContradict(usize),
    /// This segment ends beyond the address space.
    AddressOverflow(usize),
    /// These two segments claim the same memory.
    Overlap(usize, usize),
    /// The entry point is in no segment.
    EntryOutside,
    /// The base is not aligned as this segment demands.
    BaseUnaligned(usize),
    /// This segment leaves the memory that the image may use.
    OutOfMemoryRange(usize),
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ImageError::NotElf => f.write_str("the image is not an ELF file"),
            ImageError::WrongMachine => {
                f.write_str("the image is not for 64-bit x86 (ELF64, little-endian, EM_X86_64)")
            }
            ImageError::WrongType => {
                f.write_str("the image is neither an executable nor a position-independent one")
            }
            ImageError::Damaged => {
                f.write_str("the image is damaged: a table lies outside of the file")
            }
            ImageError::NeedsInterpreter => {
                f.write_str("the image needs a dynamic linker; link it statically")
            }
            ImageError::NothingToLoad => f.write_str("the image has no segment to load"),
            ImageError::TooManySegments => {
                write!(f, "the image has more than {MAX_SEGMENTS} segments to load")
            }
            ImageError::Truncated(index) => {
                write!(
                    f,
                    "the image is cut off: segment {index} ends after the file"
                )
            }
            ImageError::SizesContradict(index) => {
                write!(
                    f,
                    "segment {index} of the image has more contents than memory"
                )
            }
            ImageError::AddressOverflow(index) => {
                write!(
                    f,
                    "segment {index} of the image ends beyond the address space"
                )
            }
            ImageError::Overlap(first, second) => {
                write!(f, "segments {first} and {second} of the image overlap")
            }
            ImageError::EntryOutside => {
                f.write_str("the entry point of the image lies in none of its segments")
            }
            ImageError::BaseUnaligned(index) => {
                write!(
                    f,
                    "the load address is not aligned as segment {index} demands"
                )
            }
            ImageError::OutOfMemoryRange(index) => {
                write!(
                    f,
                    "segment {index} of the image does not fit the memory given to it"
                )
            }
        }
    }
}

/// A checked image.
#[derive(Debug)]
pub struct ElfImage<'a> {
    bytes: &'a [u8],
    segments: SegmentTable<'a, LittleEndian>,
    kind: Kind,
    entry: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Fixed,
    PositionIndependent,
}

/// The memory an image may use, and where it goes if it can go anywhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Room {
    /// First address that may be written.
    pub start: Gpa,
    /// First address that may not be written any more.
    pub end: Gpa,
    /// What a position-independent image's address 0 becomes.
    pub base: Gpa,
}

/// Where an image is (or will be).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Placed {
    /// Where execution begins.
    pub entry: Gpa,
    /// The lowest address of the image.
    pub start: Gpa,
    /// The first address after the image, its zero-filled memory included.
    pub end: Gpa,
}

/// One loadable segment with its place.
#[derive(Clone, Copy)]
struct Segment {
    /// Its index in the program header table.
    index: usize,
    header: ProgramHeader,
    start: u64,
    /// Exclusive.
    end: u64,
}

impl<'a> ElfImage<'a> {
    /// Checks everything about an image that does not depend on where it goes.
    ///
    /// # Errors
    /// [`ImageError`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ImageError> {
        // Before the tables, whose layout depends on it, so that a 32-bit image is not called damaged.
        match bytes.first_chunk() {
            Some([0x7f, b'E', b'L', b'F', ELFCLASS64, ELFDATA2LSB]) => {}
            Some([0x7f, b'E', b'L', b'F', _, _]) => return Err(ImageError::WrongMachine),
            _ => return Err(ImageError::NotElf),
        }
        let file = ElfBytes::<LittleEndian>::minimal_parse(bytes)
            .map_err(|_: ParseError| ImageError::Damaged)?;
        if file.ehdr.e_machine != EM_X86_64 {
            return Err(ImageError::WrongMachine);
        }
        let kind = match file.ehdr.e_type {
            ET_EXEC => Kind::Fixed,
            ET_DYN => Kind::PositionIndependent,
            _ => return Err(ImageError::WrongType),
        };
        let image = Self {
            bytes,
            segments: file.segments().ok_or(ImageError::NothingToLoad)?,
            kind,
            entry: file.ehdr.e_entry,
        };
        if image.segments.iter().any(|s| s.p_type == PT_INTERP) {
            return Err(ImageError::NeedsInterpreter);
        }
        match image.loadable().count() {
            0 => return Err(ImageError::NothingToLoad),
            1..=MAX_SEGMENTS => {}
            _ => return Err(ImageError::TooManySegments),
        }
        for (index, header) in image.loadable() {
            if header.p_filesz > header.p_memsz {
                return Err(ImageError::SizesContradict(index));
            }
            image
                .contents(&header)
                .ok_or(ImageError::Truncated(index))?;
        }
        Ok(image)
    }

    /// Whether the image can go anywhere.
    pub fn is_position_independent(&self) -> bool {
        self.kind == Kind::PositionIndependent
    }

    /// Where the image would be in `room`.
    ///
    /// # Errors
    /// [`ImageError`] where it does not fit there.
    pub fn place(&self, room: Room) -> Result<Placed, ImageError> {
        let mut placed: Option<(u64, u64)> = None;
        let mut entry = None;
        for segment in self.placed_segments(room.base) {
            let Segment {
                index,
                header,
                start,
                end,
            } = segment?;
            if self.kind == Kind::PositionIndependent
                && header.p_align > 1
                && !room.base.as_u64().is_multiple_of(header.p_align)
            {
                return Err(ImageError::BaseUnaligned(index));
            }
            if start < room.start.as_u64() || end > room.end.as_u64() {
                return Err(ImageError::OutOfMemoryRange(index));
            }
            for other in self
                .placed_segments(room.base)
                .take_while(|other| !matches!(other, Ok(other) if other.index >= index))
            {
                let other = other?;
                if start < other.end && other.start < end {
                    return Err(ImageError::Overlap(other.index, index));
                }
            }
            let (lowest, highest) = placed.unwrap_or((start, end));
            placed = Some((lowest.min(start), highest.max(end)));
            let into = self.entry.checked_sub(header.p_vaddr);
            if let Some(offset) = into.filter(|offset| *offset < header.p_filesz) {
                // In range: the segment's end did not overflow.
                entry = start.checked_add(offset);
            }
        }
        let (start, end) = placed.ok_or(ImageError::NothingToLoad)?;
        Ok(Placed {
            entry: Gpa::new(entry.ok_or(ImageError::EntryOutside)?),
            start: Gpa::new(start),
            end: Gpa::new(end),
        })
    }

    /// Writes the image to its place.
    ///
    /// # Errors
    /// [`LoadError::Image`] before anything is written, [`LoadError::Write`] from `writer`.
    pub fn load<W: GuestWriter>(
        &self,
        room: Room,
        writer: &mut W,
    ) -> Result<Placed, LoadError<W::Error>> {
        let placed = self.place(room).map_err(LoadError::Image)?;
        for segment in self.placed_segments(room.base) {
            let Segment {
                index,
                header,
                start,
                ..
            } = segment.map_err(LoadError::Image)?;
            let contents = self
                .contents(&header)
                .ok_or(LoadError::Image(ImageError::Truncated(index)))?;
            let at = Gpa::new(start);
            if !contents.is_empty() {
                writer.write(at, contents).map_err(LoadError::Write)?;
            }
            // The sizes were compared when the image was parsed.
            let rest = header.p_memsz.saturating_sub(header.p_filesz);
            if rest > 0 {
                writer
                    .zero(at.wrapping_add(header.p_filesz), rest)
                    .map_err(LoadError::Write)?;
            }
        }
        Ok(placed)
    }

    /// The segments that take memory, with their indices.
    fn loadable(&self) -> impl Iterator<Item = (usize, ProgramHeader)> + '_ {
        self.segments
            .iter()
            .enumerate()
            .filter(|(_, header)| header.p_type == PT_LOAD && header.p_memsz > 0)
    }

    fn placed_segments(&self, base: Gpa) -> impl Iterator<Item = Result<Segment, ImageError>> + '_ {
        self.loadable().map(move |(index, header)| {
            let start = match self.kind {
                Kind::Fixed => Some(header.p_paddr),
                Kind::PositionIndependent => base.as_u64().checked_add(header.p_vaddr),
            };
            let start = start.ok_or(ImageError::AddressOverflow(index))?;
            let end = start
                .checked_add(header.p_memsz)
                .ok_or(ImageError::AddressOverflow(index))?;
            Ok(Segment {
                index,
                header,
                start,
                end,
            })
        })
    }

    fn contents(&self, header: &ProgramHeader) -> Option<&'a [u8]> {
        let start = usize::try_from(header.p_offset).ok()?;
        let len = usize::try_from(header.p_filesz).ok()?;
        self.bytes.get(start..start.checked_add(len)?)
    }
}

/// Why loading failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LoadError<E> {
    /// The image is bad or does not fit; nothing was written.
    Image(ImageError),
    /// The guest's memory refused the bytes; part of the image may be written.
    Write(E),
}

impl<E: fmt::Display> fmt::Display for LoadError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Image(error) => error.fmt(f),
            LoadError::Write(error) => write!(f, "the image cannot be written: {error}"),
        }
    }
}
