//! [`LoadError`] and [`Refusal`]: why an image cannot be loaded, as sentences for the operator.

use core::fmt;

use vmm_ram::Gpa;

use crate::{FileIndex, Kind, Piece};

/// Why there is no plan.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LoadError<E> {
    /// The store did not deliver a file.
    Read {
        /// The file.
        file: FileIndex,
        /// What the store says.
        error: E,
    },
    /// The files or the order are wrong.
    Refused(Refusal),
}

impl<E> From<Refusal> for LoadError<E> {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl<E: fmt::Display> fmt::Display for LoadError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { file, error } => write!(f, "{file} cannot be read: {error}"),
            Self::Refused(refusal) => refusal.fmt(f),
        }
    }
}

impl<E: fmt::Display + fmt::Debug> core::error::Error for LoadError<E> {}

/// What is wrong with the files or with the order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// A guess was asked for, and nothing is known about the image.
    UnknownFormat,
    /// It is ELF, but nothing says how to enter it.
    PlainElf,
    /// The image is of another kind than the order says.
    NotOfKind(Kind),
    /// A header of the image contradicts itself.
    Damaged(&'static str),
    /// The image ends before what its headers name.
    Truncated(FileIndex),
    /// Linux without the 64-bit entry point.
    No64BitEntry {
        /// Its boot protocol, major and minor version.
        protocol: (u8, u8),
    },
    /// An old Linux image that is loaded below 1 MiB.
    NotLoadedHigh,
    /// ELF for another processor.
    WrongMachine,
    /// More program headers than kernels have.
    TooManySegments(usize),
    /// The image has nothing to load.
    NothingToLoad,
    /// A 32-bit entry point above 4 GiB, or one outside of the image.
    EntryOutside(u64),
    /// The command line is longer than the kernel takes.
    CommandLineTooLong {
        /// Its bytes.
        bytes: usize,
        /// What the kernel takes.
        limit: u32,
    },
    /// A text has a zero byte, which would end it.
    ZeroInText(Piece),
    /// More modules than the loader takes.
    TooManyModules(usize),
    /// The kind takes no modules.
    ModulesNotTaken,
    /// The kind takes no command line.
    CommandLineNotTaken,
    /// The memory map has more lines than the kernel takes.
    MemoryMapTooLong(usize),
    /// A Multiboot kernel demands this.
    Demands(Demand),
    /// A flat binary's entry point or load address does not fit its mode.
    EntryMode(Gpa),
    /// The place of a piece is not free RAM.
    NotUsable {
        /// The piece.
        piece: Piece,
        /// Where it must go.
        at: u64,
        /// How much it needs.
        bytes: u64,
    },
    /// Two pieces claim the same memory.
    Overlap {
        /// The piece that came later.
        piece: Piece,
        /// The one that was there.
        other: Piece,
        /// Where the later one begins.
        at: u64,
    },
    /// Linux runs in more memory than there is.
    KernelNeeds {
        /// The end of what it runs in.
        end: u64,
    },
    /// There is no room for a piece that could go anywhere.
    NoRoom {
        /// The piece.
        piece: Piece,
        /// How much it needs.
        bytes: u64,
    },
}

/// What a Multiboot header may demand and does not get.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Demand {
    /// A display.
    Display,
    /// A flag that Multiboot 1 does not define.
    Flag(u32),
    /// A header tag that is not known.
    HeaderTag(u16),
    /// A kind of information that Multiboot 2 does not define.
    Information(u32),
}

impl fmt::Display for Demand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Display => f.write_str("a display, and the system has none"),
            Self::Flag(bits) => write!(f, "what Multiboot does not define (flags {bits:#x})"),
            Self::HeaderTag(kind) => write!(f, "what this loader does not know (tag {kind})"),
            Self::Information(kind) => {
                write!(
                    f,
                    "information that this loader does not know (type {kind})"
                )
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownFormat => f.write_str(
                "the image is neither a Linux bzImage nor an ELF file with a PVH note nor a Multiboot kernel; \
                 for a raw program give the kind flat and its load address",
            ),
            Self::PlainElf => f.write_str(
                "the image is an ELF file without a PVH note and without a Multiboot header, so its entry state is \
                 unknown; for Linux use the bzImage, or build the kernel with CONFIG_PVH",
            ),
            Self::NotOfKind(kind) => write!(
                f,
                "the image is not {kind}; choose the right image, or let its kind be guessed"
            ),
            Self::Damaged(what) => write!(f, "the image is damaged: {what}; add the file again"),
            Self::Truncated(file) => write!(
                f,
                "{file} is cut off: its headers name more than the file has; add the file again"
            ),
            Self::No64BitEntry { protocol: (major, minor) } => write!(
                f,
                "the kernel has no 64-bit entry point (boot protocol {major}.{minor:02}); use a kernel for x86-64 of \
                 Linux 3.8 or later"
            ),
            Self::NotLoadedHigh => {
                f.write_str("the kernel is a zImage, which is loaded below 1 MiB; use a bzImage")
            }
            Self::WrongMachine => f.write_str(
                "the image is an ELF file for another processor; use one for x86 (EM_386 or EM_X86_64)",
            ),
            Self::TooManySegments(count) => write!(
                f,
                "the image has {count} program headers, more than the {} that are taken; link it with fewer",
                crate::elf_file::MAX_HEADERS
            ),
            Self::NothingToLoad => f.write_str("the image has nothing to load; choose another image"),
            Self::EntryOutside(at) => write!(
                f,
                "the entry point {at:#x} is in nothing that the image loads below 4 GiB; link the image anew"
            ),
            Self::CommandLineTooLong { bytes, limit } => write!(
                f,
                "the command line has {bytes} bytes and the kernel takes {limit}; shorten it"
            ),
            Self::ZeroInText(piece) => {
                write!(f, "the text of {piece} has a zero byte in it; remove it")
            }
            Self::TooManyModules(count) => write!(
                f,
                "{count} modules are more than the {} that are taken; pack them together",
                crate::order::MAX_MODULES
            ),
            Self::ModulesNotTaken => {
                f.write_str("a flat binary takes no modules; remove them, or use a Multiboot kernel")
            }
            Self::CommandLineNotTaken => f.write_str(
                "a flat binary takes no command line; remove it, or use a Multiboot kernel",
            ),
            Self::MemoryMapTooLong(lines) => write!(
                f,
                "the memory map has {lines} lines and the kernel takes {}",
                crate::linux::MAX_E820
            ),
            Self::Demands(demand) => write!(f, "the kernel's Multiboot header demands {demand}"),
            Self::EntryMode(at) => write!(
                f,
                "a flat binary cannot be entered at {at} in this mode; real mode needs an address below 1 MiB, the \
                 others one below 4 GiB, in the binary"
            ),
            Self::NotUsable { piece, at, bytes } => write!(
                f,
                "{piece} must lie at {at:#x} ({} KiB), and the system has no free memory there; give it more memory, \
                 or link the image to another address",
                kib(*bytes)
            ),
            Self::Overlap { piece, other, at } => write!(
                f,
                "{piece} at {at:#x} overlaps {other}; link the image anew, or choose another address"
            ),
            Self::KernelNeeds { end } => write!(
                f,
                "the kernel runs in memory up to {} MiB; give the system more than that, so that its initrd and its \
                 programs find room as well",
                end.div_ceil(1 << 20)
            ),
            Self::NoRoom { piece, bytes } => write!(
                f,
                "there is no room for {piece} ({} KiB); give the system more memory",
                kib(*bytes)
            ),
        }
    }
}

impl core::error::Error for Refusal {}

const fn kib(bytes: u64) -> u64 {
    bytes.div_ceil(1024)
}
