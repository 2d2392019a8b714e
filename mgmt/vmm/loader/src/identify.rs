//! [`identify`]: what a file is.

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use crate::planner::Planner;
use crate::{ImageFile, Kind, LoadError, LoadOrder, Refusal};
use crate::{elf_file, linux, multiboot1, multiboot2, pvh};

#[cfg(test)]
mod tests;

/// What is read of the beginning of a file: every header lies in it, also those of optical discs.
const HEAD_BYTES: u64 = 36 << 10;

/// What a file is, as far as its first bytes tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// Linux bzImage.
    Linux,
    /// ELF with a PVH note, and maybe Multiboot headers as well.
    Pvh,
    /// Multiboot 2 kernel.
    Multiboot2,
    /// Multiboot 1 kernel.
    Multiboot1,
    /// Any other ELF file.
    Elf,
    /// A cpio archive as Linux's initramfs.
    Cpio,
    /// Something compressed, an initramfs maybe.
    Compressed,
    /// An optical disc.
    Iso9660,
    /// A disk image of QEMU's.
    Qcow2,
    /// A disk with a master boot record, or a boot sector.
    BootSector,
    /// Anything else.
    Raw,
}

impl Format {
    /// Its name, as the image library shows it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Linux => "linux-bzimage",
            Self::Pvh => "pvh-elf",
            Self::Multiboot2 => "multiboot2",
            Self::Multiboot1 => "multiboot1",
            Self::Elf => "elf",
            Self::Cpio => "cpio",
            Self::Compressed => "compressed",
            Self::Iso9660 => "iso9660",
            Self::Qcow2 => "qcow2",
            Self::BootSector => "boot-sector",
            Self::Raw => "raw",
        }
    }

    /// How [`crate::plan`] would load it; `None` where it cannot guess.
    pub const fn kind(self) -> Option<Kind> {
        Some(match self {
            Self::Linux => Kind::Linux,
            Self::Pvh => Kind::Pvh,
            Self::Multiboot2 => Kind::Multiboot2,
            Self::Multiboot1 => Kind::Multiboot1,
            _ => return None,
        })
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What begins files that are not kernels.
const SIGNATURES: [(usize, &[u8], Format); 11] = [
    (0, b"070701", Format::Cpio),
    (0, b"070702", Format::Cpio),
    (0, b"\x1f\x8b", Format::Compressed),
    (0, b"\xfd7zXZ\0", Format::Compressed),
    (0, b"\x28\xb5\x2f\xfd", Format::Compressed),
    (0, b"\x02\x21\x4c\x18", Format::Compressed),
    (0, b"\x04\x22\x4d\x18", Format::Compressed),
    (0, b"BZh", Format::Compressed),
    (0, b"QFI\xfb", Format::Qcow2),
    (0x8001, b"CD001", Format::Iso9660),
    (510, b"\x55\xaa", Format::BootSector),
];

/// Names what a file is. Reads its beginning only, and the notes of an ELF file.
///
/// # Errors
/// Where the file cannot be read.
pub async fn identify<F: ImageFile>(file: &F) -> Result<Format, F::Error> {
    let head = read_head(file).await?;
    let order = LoadOrder {
        image: file,
        kind: Kind::Auto,
        modules: &[],
        command_line: "",
        memory_map: &[],
        rsdp: None,
    };
    let planner = match Planner::new(&order) {
        Ok(planner) => planner,
        Err(_) => return Ok(Format::Raw),
    };
    match guess(&planner, &head).await {
        Ok(format) => Ok(format),
        Err(LoadError::Read { error, .. }) => Err(error),
        // A damaged ELF file is one nevertheless.
        Err(LoadError::Refused(_)) => Ok(Format::Elf),
    }
}

/// The beginning of a file.
pub async fn read_head<F: ImageFile>(file: &F) -> Result<Vec<u8>, F::Error> {
    let bytes = usize::try_from(file.bytes().min(HEAD_BYTES)).unwrap_or(0);
    let mut head = vec![0; bytes];
    file.read(0, &mut head).await?;
    Ok(head)
}

/// What a file with that beginning is.
pub async fn guess<F: ImageFile>(
    planner: &Planner<'_, F>,
    head: &[u8],
) -> Result<Format, LoadError<F::Error>> {
    if linux::is_linux(head) {
        return Ok(Format::Linux);
    }
    if elf_file::is_elf(head) {
        // A kernel that this is not meant for, or that is damaged, may yet have a Multiboot header with addresses.
        let image = elf_file::ElfFile::read(planner, head).await;
        let entry = match &image {
            Ok(image) => pvh::entry(planner, image).await,
            Err(_) => Ok(None),
        };
        match entry {
            Ok(Some(_)) => return Ok(Format::Pvh),
            Err(LoadError::Read { file, error }) => return Err(LoadError::Read { file, error }),
            Ok(None) | Err(LoadError::Refused(_)) => {}
        }
        if let Err(LoadError::Read { file, error }) = image {
            return Err(LoadError::Read { file, error });
        }
    }
    if multiboot2::is_multiboot2(head) {
        return Ok(Format::Multiboot2);
    }
    if multiboot1::is_multiboot1(head) {
        return Ok(Format::Multiboot1);
    }
    if elf_file::is_elf(head) {
        return Ok(Format::Elf);
    }
    let known = SIGNATURES.iter().find(|(at, signature, _)| {
        head.get(*at..)
            .is_some_and(|rest| rest.starts_with(signature))
    });
    Ok(known.map_or(Format::Raw, |(_, _, format)| *format))
}

/// The kind to load a file by, where the order leaves it open.
pub async fn kind<F: ImageFile>(
    planner: &Planner<'_, F>,
    head: &[u8],
) -> Result<Kind, LoadError<F::Error>> {
    let format = guess(planner, head).await?;
    let refused = match format {
        Format::Elf => Refusal::PlainElf,
        _ => Refusal::UnknownFormat,
    };
    Ok(format.kind().ok_or(refused)?)
}
