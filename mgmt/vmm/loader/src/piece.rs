//! [`Piece`]: what a plan puts into memory, for messages.

use core::fmt;

use crate::FileIndex;

/// Something that takes room in a guest's memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Piece {
    /// The kernel or program as a whole.
    Kernel,
    /// A segment of an ELF image, as its program header counts.
    Segment(usize),
    /// Linux's initrd.
    Initrd,
    /// A module, counted from 0.
    Module(usize),
    /// The kernel's command line.
    CommandLine,
    /// What the boot protocol tells the kernel.
    BootInformation,
    /// A symbol or string table of the image.
    Symbols,
    /// The page tables that the kernel is entered with.
    PageTables,
    /// The descriptor table that the kernel is entered with.
    Descriptors,
    /// The stack of a program that brings none.
    Stack,
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel => f.write_str("the kernel"),
            Self::Segment(index) => write!(f, "segment {index} of the image"),
            Self::Initrd => f.write_str("the initrd"),
            Self::Module(index) => FileIndex::Module(*index).fmt(f),
            Self::CommandLine => f.write_str("the command line"),
            Self::BootInformation => f.write_str("the boot information"),
            Self::Symbols => f.write_str("a symbol table of the image"),
            Self::PageTables => f.write_str("the first page tables"),
            Self::Descriptors => f.write_str("the first descriptor table"),
            Self::Stack => f.write_str("the first stack"),
        }
    }
}
