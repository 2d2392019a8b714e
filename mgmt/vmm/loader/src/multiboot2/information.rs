//! [`Information`]: what a Multiboot 2 kernel finds by EBX.

use alloc::vec::Vec;

use vmm_ram::MemoryRange;

use crate::LOADER_NAME;
use crate::elf_sections::Sections;
use crate::order::Rsdp;
use crate::planner::{Placed, with_zero};

/// What is told.
pub struct Information<'a> {
    /// Usable memory from 0 on.
    pub lower_bytes: u64,
    /// Usable memory from 1 MiB on.
    pub upper_bytes: u64,
    /// With its zero byte.
    pub command_line: Option<&'a [u8]>,
    /// The modules.
    pub modules: &'a [Placed<'a>],
    /// The memory map.
    pub map: &'a [MemoryRange],
    /// The ACPI root pointer.
    pub rsdp: Option<Rsdp>,
    /// The lowest address of the image.
    pub load_base: u64,
    /// The section headers of the image.
    pub sections: Option<&'a Sections>,
}

/// Kinds of information tags.
mod tag {
    pub const END: u32 = 0;
    pub const COMMAND_LINE: u32 = 1;
    pub const LOADER_NAME: u32 = 2;
    pub const MODULE: u32 = 3;
    pub const BASIC_MEMORY: u32 = 4;
    pub const MEMORY_MAP: u32 = 6;
    pub const SECTIONS: u32 = 9;
    pub const OLD_RSDP: u32 = 14;
    pub const NEW_RSDP: u32 = 15;
    pub const LOAD_BASE: u32 = 21;
}

const TAG_HEAD: u32 = 8;
const ALIGN: usize = 8;
/// Bytes and version of a line of the memory map.
const MAP_HEAD: [u32; 2] = [24, 0];
/// What ACPI 1.0 had of the root pointer.
const OLD_RSDP_BYTES: usize = 20;

impl Information<'_> {
    /// All of it; it names no address of its own.
    pub fn bytes(&self) -> Vec<u8> {
        let mut tags = Tags(Vec::from([0; 8]));
        if let Some(text) = self.command_line {
            tags.add(tag::COMMAND_LINE, &[text]);
        }
        tags.add(tag::LOADER_NAME, &[&with_zero(LOADER_NAME)]);
        for module in self.modules {
            let end = module.start.wrapping_add(module.bytes);
            let range = [module.start.to_le_bytes(), end.to_le_bytes()].concat();
            tags.add(tag::MODULE, &[&range, &with_zero(module.text)]);
        }
        let kib = |bytes: u64| u32::try_from(bytes / 1024).unwrap_or(u32::MAX);
        let lower = kib(self.lower_bytes.min(640 << 10)).to_le_bytes();
        let upper = kib(self.upper_bytes).to_le_bytes();
        tags.add(tag::BASIC_MEMORY, &[&lower, &upper]);
        tags.add(tag::MEMORY_MAP, &[&self.memory_map()]);
        if let Some(sections) = self.sections {
            let numbers = [sections.count, sections.header_bytes, sections.names];
            let numbers = numbers.map(u32::to_le_bytes).concat();
            tags.add(tag::SECTIONS, &[&numbers, &sections.headers]);
        }
        if let Some(rsdp) = self.rsdp {
            let old = rsdp.bytes.get(..OLD_RSDP_BYTES).unwrap_or_default();
            tags.add(tag::OLD_RSDP, &[old]);
            tags.add(tag::NEW_RSDP, &[&rsdp.bytes]);
        }
        let base = u32::try_from(self.load_base).unwrap_or(u32::MAX);
        tags.add(tag::LOAD_BASE, &[&base.to_le_bytes()]);
        tags.add(tag::END, &[]);
        tags.finish()
    }

    fn memory_map(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = MAP_HEAD
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect();
        for line in self.map {
            bytes.extend_from_slice(&line.start.0.to_le_bytes());
            bytes.extend_from_slice(&line.bytes.to_le_bytes());
            bytes.extend_from_slice(&line.kind.number().to_le_bytes());
            bytes.extend_from_slice(&[0; 4]);
        }
        bytes
    }
}

/// The block under way, from its two fields of fixed size on.
struct Tags(Vec<u8>);

impl Tags {
    fn add(&mut self, kind: u32, contents: &[&[u8]]) {
        let size = contents.iter().fold(TAG_HEAD, |size, content| {
            size.wrapping_add(content.len() as u32)
        });
        self.0.extend_from_slice(&kind.to_le_bytes());
        self.0.extend_from_slice(&size.to_le_bytes());
        for content in contents {
            self.0.extend_from_slice(content);
        }
        let padded = self.0.len().next_multiple_of(ALIGN);
        self.0.resize(padded, 0);
    }

    fn finish(mut self) -> Vec<u8> {
        let size = (self.0.len() as u32).to_le_bytes();
        if let Some(field) = self.0.first_chunk_mut() {
            *field = size;
        }
        self.0
    }
}
