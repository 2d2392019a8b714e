//! [`LoadOrder`]: what is to be loaded, and into what.

use core::fmt;

use vmm_ram::{Gpa, MemoryRange};

use crate::ImageFile;

/// More modules are refused.
pub const MAX_MODULES: usize = 64;

/// What is to be loaded, and what the guest's memory is like.
#[derive(Debug)]
pub struct LoadOrder<'a, F> {
    /// The kernel or program.
    pub image: &'a F,
    /// How to load it.
    pub kind: Kind,
    /// Linux: initrds, which are joined. PVH and Multiboot: modules.
    pub modules: &'a [Module<'a, F>],
    /// The kernel's command line; empty: none.
    pub command_line: &'a str,
    /// The memory map that the guest is told. Pieces go to its usable ranges below 4 GiB only, so whatever else is in
    /// memory (firmware tables) must be in another range. All usable ranges must be RAM.
    pub memory_map: &'a [MemoryRange],
    /// The ACPI root pointer.
    pub rsdp: Option<Rsdp>,
}

/// A file that goes with the kernel.
#[derive(Debug)]
pub struct Module<'a, F> {
    /// The file.
    pub file: &'a F,
    /// Its own command line, for PVH and Multiboot; often its name.
    pub text: &'a str,
}

impl<F> Clone for Module<'_, F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F> Copy for Module<'_, F> {}

/// The ACPI root pointer in the guest's memory (ACPI 6.5, 5.2.5.3). Who makes the tables writes it there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rsdp {
    /// Where it lies.
    pub at: Gpa,
    /// What it says; Multiboot 2 hands on a copy.
    pub bytes: [u8; 36],
}

/// How an image is loaded and entered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Kind {
    /// What the image's first bytes say; never [`Kind::Flat`].
    #[default]
    Auto,
    /// Linux bzImage by the 64-bit boot protocol.
    Linux,
    /// ELF with a PVH entry point.
    Pvh,
    /// Multiboot 1: ELF, or by the addresses in its header.
    Multiboot1,
    /// Multiboot 2: the same.
    Multiboot2,
    /// Raw bytes.
    Flat(Flat),
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "of a known kind",
            Self::Linux => "a Linux bzImage",
            Self::Pvh => "an ELF file with a PVH note",
            Self::Multiboot1 => "a Multiboot 1 kernel",
            Self::Multiboot2 => "a Multiboot 2 kernel",
            Self::Flat(_) => "a flat binary",
        })
    }
}

/// How raw bytes are loaded and entered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flat {
    /// Where the first byte goes.
    pub load: Gpa,
    /// Where it is entered.
    pub entry: Gpa,
    /// In which mode.
    pub mode: Mode,
}

impl Flat {
    /// What is usual for raw bytes at `load`: entered at their beginning, in real mode below 1 MiB, else in 32-bit mode.
    pub const fn at(load: Gpa) -> Self {
        Self {
            load,
            entry: load,
            mode: if load.0 < 1 << 20 {
                Mode::Real
            } else {
                Mode::Protected
            },
        }
    }
}

impl Default for Flat {
    /// At 1 MiB, in 32-bit mode.
    fn default() -> Self {
        Self::at(Gpa(1 << 20))
    }
}

/// A processor mode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// 16-bit real mode: CS is the entry point's bits 19:16, IP the rest.
    Real,
    /// 32-bit, flat segments, no paging.
    Protected,
    /// 64-bit, the first 4 GiB mapped to themselves.
    Long,
}

impl<F: ImageFile> LoadOrder<'_, F> {
    /// The file of that index.
    pub fn file(&self, index: crate::FileIndex) -> Option<&F> {
        match index {
            crate::FileIndex::Image => Some(self.image),
            crate::FileIndex::Module(index) => self.modules.get(index).map(|module| module.file),
        }
    }
}
