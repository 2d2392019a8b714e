//! The one record that the hypervisor starts from.

use bulkhead_core::addr::{Hpa, HpaRange};
use heapless::{String, Vec};

use crate::error::{BootError, BootNote};
use crate::framebuffer::Framebuffer;
use crate::memory::MemoryRegion;
use crate::module::Module;
use crate::physical::PhysicalBytes;
use crate::{multiboot2, pvh};

/// A command line.
pub type CommandLine = String<512>;

/// How the image was started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// The PVH direct boot ABI of Xen, as `qemu -kernel` implements it.
    Pvh,
    /// Multiboot2, as GRUB implements it.
    Multiboot2,
}

impl Protocol {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Protocol::Pvh => "PVH",
            Protocol::Multiboot2 => "Multiboot2",
        }
    }
}

/// What the boot loader said, copied out of its memory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BootInfo {
    /// How the image was started.
    pub protocol: Protocol,
    /// The loader's name for itself, empty where it gave none.
    pub loader: String<64>,
    /// The hypervisor's command line.
    pub command_line: CommandLine,
    /// The memory map, as given: neither sorted nor free of overlaps.
    pub memory: Vec<MemoryRegion, 128>,
    /// The boot modules.
    pub modules: Vec<Module, 24>,
    /// Memory that holds modules or archives of them, to be kept until they are released.
    pub reserved: Vec<HpaRange, 24>,
    /// The first archive of modules.
    pub archive: Option<HpaRange>,
    /// Where the ACPI root pointer, or the loader's copy of it, is.
    pub rsdp: Option<Hpa>,
    /// The framebuffer, where there is one that can be drawn to.
    pub framebuffer: Option<Framebuffer>,
    /// What was left out.
    pub notes: Vec<BootNote, 16>,
}

impl BootInfo {
    /// Reads the record at `info` of the protocol that `magic` stands for.
    ///
    /// # Errors
    /// [`BootError`] where the hypervisor cannot start from it; lesser defects become
    /// [`BootInfo::notes`].
    pub fn parse(magic: u32, info: Hpa, memory: &impl PhysicalBytes) -> Result<Self, BootError> {
        let parsed = match magic {
            pvh::MAGIC => pvh::parse(info, memory)?,
            multiboot2::MAGIC => multiboot2::parse(info, memory)?,
            other => return Err(BootError::UnknownProtocol(other)),
        };
        if parsed.memory.is_empty() {
            return Err(BootError::NoMemoryMap);
        }
        Ok(parsed)
    }

    pub(crate) const fn new(protocol: Protocol) -> Self {
        BootInfo {
            protocol,
            loader: String::new(),
            command_line: String::new(),
            memory: Vec::new(),
            modules: Vec::new(),
            reserved: Vec::new(),
            archive: None,
            rsdp: None,
            framebuffer: None,
            notes: Vec::new(),
        }
    }

    /// Records a note; there is nothing to do where even the notes are full.
    pub(crate) fn note(&mut self, note: BootNote) {
        let _full = self.notes.push(note);
    }

    pub(crate) fn add_memory(&mut self, region: Option<MemoryRegion>) {
        match region {
            None => self.note(BootNote::Skipped("a memory range past 2^64")),
            Some(region) if region.range.bytes() == 0 => {}
            Some(region) => {
                if self.memory.push(region).is_err() {
                    self.note(BootNote::TooMany("memory ranges"));
                }
            }
        }
    }
}

/// Copies `bytes` as text; bytes that are not printable ASCII become `?`. A note where it was cut.
#[must_use]
pub(crate) fn copy_text<const N: usize>(
    target: &mut String<N>,
    bytes: &[u8],
    what: &'static str,
) -> Option<BootNote> {
    for byte in bytes {
        let printable = byte.is_ascii_graphic() || *byte == b' ';
        let char = if printable { char::from(*byte) } else { '?' };
        if target.push(char).is_err() {
            return Some(BootNote::Cut(what));
        }
    }
    None
}
