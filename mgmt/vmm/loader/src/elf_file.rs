//! [`ElfFile`]: what the loader needs of an ELF file, read piece by piece.
//!
//! Source: System V ABI, chapters 4 and 5. Segments go to their physical addresses.

use alloc::vec::Vec;
use core::ops::Range;

use elf::abi::{EM_386, EM_X86_64, ET_DYN, ET_EXEC, PT_LOAD, PT_NOTE};
use elf::endian::LittleEndian;
use elf::file::{Class, ELF32_EHDR_TAILSIZE, ELF64_EHDR_TAILSIZE, FileHeader, parse_ident};
use elf::note::{Note, NoteIterator};
use elf::segment::{ProgramHeader, SegmentTable};
use vmm_ram::Gpa;

use crate::planner::Planner;
use crate::{Copy, FileIndex, ImageFile, LoadError, Piece, Refusal};

/// More program headers are refused.
pub const MAX_HEADERS: usize = 64;
/// Notes behind this are not looked at.
const MAX_NOTES: u64 = 64 << 10;
const IDENT: usize = 16;

/// An ELF file for x86.
#[derive(Debug)]
pub struct ElfFile {
    header: FileHeader<LittleEndian>,
    segments: Vec<ProgramHeader>,
}

/// Whether a file begins like ELF.
pub fn is_elf(head: &[u8]) -> bool {
    head.starts_with(&elf::abi::ELFMAGIC)
}

impl ElfFile {
    /// Reads the headers. `head` is the beginning of the image.
    pub async fn read<F: ImageFile>(
        planner: &Planner<'_, F>,
        head: &[u8],
    ) -> Result<Self, LoadError<F::Error>> {
        let header = file_header(head)?;
        let size: usize = match header.class {
            Class::ELF32 => 32,
            Class::ELF64 => 56,
        };
        let count = usize::from(header.e_phnum);
        if count == 0 {
            return Err(Refusal::NothingToLoad.into());
        }
        if usize::from(header.e_phentsize) != size {
            return Err(Refusal::Damaged("its program headers have an impossible size").into());
        }
        if count > MAX_HEADERS {
            return Err(Refusal::TooManySegments(count).into());
        }
        let bytes = planner
            .read(FileIndex::Image, header.e_phoff, size.saturating_mul(count))
            .await?;
        let segments = SegmentTable::new(LittleEndian, header.class, &bytes);
        Ok(Self {
            header,
            segments: segments.iter().collect(),
        })
    }

    /// The header.
    pub const fn header(&self) -> &FileHeader<LittleEndian> {
        &self.header
    }

    /// The entry point as a physical address: by the segment that has it, like boot loaders understand it.
    pub fn physical_entry(&self) -> u64 {
        let entry = self.header.e_entry;
        self.loadable()
            .find_map(|(_, segment)| {
                let offset = entry.checked_sub(segment.p_vaddr)?;
                (offset < segment.p_memsz).then(|| segment.p_paddr.checked_add(offset))?
            })
            .unwrap_or(entry)
    }

    /// Places all segments, and returns the range from the lowest to the highest address.
    pub fn load<F: ImageFile>(&self, planner: &mut Planner<'_, F>) -> Result<Range<u64>, Refusal> {
        let mut all: Option<Range<u64>> = None;
        for (index, segment) in self.loadable() {
            if segment.p_filesz > segment.p_memsz {
                return Err(Refusal::Damaged(
                    "a segment has more bytes in the file than in memory",
                ));
            }
            let copy = Copy {
                file: FileIndex::Image,
                offset: segment.p_offset,
                bytes: segment.p_filesz,
                to: Gpa(segment.p_paddr),
            };
            planner.load(copy, segment.p_memsz, Piece::Segment(index))?;
            let end = segment.p_paddr.saturating_add(segment.p_memsz);
            let before = all.unwrap_or(segment.p_paddr..end);
            all = Some(before.start.min(segment.p_paddr)..before.end.max(end));
        }
        all.ok_or(Refusal::NothingToLoad)
    }

    /// Whether a segment has that physical address.
    pub fn has(&self, at: u64) -> bool {
        self.loadable().any(|(_, segment)| {
            at.checked_sub(segment.p_paddr)
                .is_some_and(|offset| offset < segment.p_memsz)
        })
    }

    /// The contents of the first note of that owner and number.
    pub async fn note<F: ImageFile>(
        &self,
        planner: &Planner<'_, F>,
        owner: &[u8],
        number: u64,
    ) -> Result<Option<Vec<u8>>, LoadError<F::Error>> {
        for segment in self.segments.iter().filter(|one| one.p_type == PT_NOTE) {
            let bytes = usize::try_from(segment.p_filesz.min(MAX_NOTES)).unwrap_or(0);
            let notes = planner
                .read(FileIndex::Image, segment.p_offset, bytes)
                .await?;
            // Notes are aligned to 4 bytes, but for one kind in 64-bit files, whose segment can say 8 for all.
            for align in [4, 8] {
                let found = NoteIterator::new(LittleEndian, self.header.class, align, &notes)
                    .find_map(|note| match note {
                        Note::Unknown(note)
                            if note.n_type == number
                                && note.name.strip_suffix(&[0]) == Some(owner) =>
                        {
                            Some(note.desc.to_vec())
                        }
                        _ => None,
                    });
                if found.is_some() {
                    return Ok(found);
                }
            }
        }
        Ok(None)
    }

    fn loadable(&self) -> impl Iterator<Item = (usize, &ProgramHeader)> {
        let segments = self.segments.iter().enumerate();
        segments.filter(|(_, one)| one.p_type == PT_LOAD && one.p_memsz > 0)
    }
}

fn file_header(head: &[u8]) -> Result<FileHeader<LittleEndian>, Refusal> {
    if !is_elf(head) {
        return Err(Refusal::NothingToLoad);
    }
    let cut_off = Refusal::Truncated(FileIndex::Image);
    let damaged = Refusal::Damaged("its ELF header is wrong");
    let (ident, rest) = head.split_at_checked(IDENT).ok_or(cut_off)?;
    // Big-endian files are refused here as well.
    let ident = parse_ident::<LittleEndian>(ident).map_err(|_| Refusal::WrongMachine)?;
    let size = match ident.1 {
        Class::ELF32 => ELF32_EHDR_TAILSIZE,
        Class::ELF64 => ELF64_EHDR_TAILSIZE,
    };
    let rest = rest.get(..size).ok_or(cut_off)?;
    let header = FileHeader::parse_tail(ident, rest).map_err(|_| damaged)?;
    if ![EM_386, EM_X86_64].contains(&header.e_machine) {
        return Err(Refusal::WrongMachine);
    }
    if ![ET_EXEC, ET_DYN].contains(&header.e_type) {
        return Err(Refusal::NothingToLoad);
    }
    Ok(header)
}
