//! A guess at what a file is, from its first bytes: for people, and to refuse an obvious mistake early.

use core::fmt;

/// Bytes from the beginning that the guess looks at.
pub(crate) const HEAD_BYTES: usize = 1024;

/// What a file looks like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// A Linux kernel for the x86 boot protocol.
    LinuxKernel,
    /// An ELF file: a PVH or Multiboot kernel, perhaps.
    Elf,
    /// A cpio archive (newc), not compressed: an initial RAM disk, perhaps.
    Cpio,
    /// Compressed with gzip, xz, zstd or lz4: an initial RAM disk, perhaps.
    Compressed,
    /// A disk image with a partition table or boot sector.
    Disk,
    /// Anything else.
    Data,
}

impl Format {
    const ALL: [(Format, u8, &'static str); 6] = [
        (Format::LinuxKernel, 1, "Linux kernel"),
        (Format::Elf, 2, "ELF"),
        (Format::Cpio, 3, "cpio archive"),
        (Format::Compressed, 4, "compressed"),
        (Format::Disk, 5, "disk image"),
        (Format::Data, 0, "data"),
    ];

    /// What a file that begins with these bytes looks like; 1,024 of them are enough.
    pub fn guess(head: &[u8]) -> Self {
        let at = |offset: usize, magic: &[u8]| {
            head.get(offset..)
                .is_some_and(|rest| rest.starts_with(magic))
        };
        // Linux' boot protocol, "The Real-Mode Kernel Header"; a kernel also has a boot sector's signature.
        if at(0x202, b"HdrS") {
            Format::LinuxKernel
        } else if at(0, b"\x7fELF") {
            Format::Elf
        } else if at(0, b"070701") || at(0, b"070702") {
            Format::Cpio
        } else if [
            &b"\x1f\x8b"[..],
            b"\xfd7zXZ\0",
            b"\x28\xb5\x2f\xfd",
            b"\x02\x21\x4c\x18",
            b"\x04\x22\x4d\x18",
        ]
        .into_iter()
        .any(|magic| at(0, magic))
        {
            Format::Compressed
        } else if at(510, b"\x55\xaa") {
            Format::Disk
        } else {
            Format::Data
        }
    }

    /// In a word or two.
    pub fn name(self) -> &'static str {
        let found = Self::ALL.iter().find(|(format, ..)| *format == self);
        found.map_or("data", |(_, _, name)| name)
    }

    /// Its number in the catalog.
    pub(crate) fn number(self) -> u8 {
        let found = Self::ALL.iter().find(|(format, ..)| *format == self);
        found.map_or(0, |(_, number, _)| *number)
    }

    /// The format with this number; what a later version added is data.
    pub(crate) fn numbered(number: u8) -> Self {
        let found = Self::ALL.iter().find(|(_, known, _)| *known == number);
        found.map_or(Format::Data, |(format, ..)| *format)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_their_magic() {
        let mut kernel = vec![0; 1024];
        kernel[510..512].copy_from_slice(b"\x55\xaa");
        assert_eq!(Format::guess(&kernel), Format::Disk);
        kernel[0x202..0x206].copy_from_slice(b"HdrS");
        assert_eq!(Format::guess(&kernel), Format::LinuxKernel);
        assert_eq!(Format::guess(b"\x7fELF\x02"), Format::Elf);
        assert_eq!(Format::guess(b"070701..."), Format::Cpio);
        assert_eq!(Format::guess(b"\x1f\x8b\x08"), Format::Compressed);
        assert_eq!(Format::guess(b""), Format::Data);
        for (format, number, _) in Format::ALL {
            assert_eq!(Format::numbered(number), format);
            assert_eq!(format.number(), number);
        }
        assert_eq!(Format::numbered(99), Format::Data);
    }
}
