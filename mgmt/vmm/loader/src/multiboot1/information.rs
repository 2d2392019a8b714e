//! [`Information`]: what a Multiboot 1 kernel finds by EBX.

use alloc::vec::Vec;

use vmm_ram::MemoryRange;
use zerocopy::{Immutable, IntoBytes};

use crate::LOADER_NAME;
use crate::elf_sections::Sections;
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
    /// The section headers of the image.
    pub sections: Option<&'a Sections>,
}

/// Which fields are valid.
mod flag {
    pub const MEMORY: u32 = 1 << 0;
    pub const COMMAND_LINE: u32 = 1 << 2;
    pub const MODULES: u32 = 1 << 3;
    pub const SECTIONS: u32 = 1 << 5;
    pub const MEMORY_MAP: u32 = 1 << 6;
    pub const LOADER_NAME: u32 = 1 << 9;
}

/// The fields up to the boot loader's name; those behind it are not valid.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct Fields {
    flags: u32,
    lower_kib: u32,
    upper_kib: u32,
    boot_device: u32,
    command_line: u32,
    modules: u32,
    modules_at: u32,
    symbols: [u32; 4],
    map_bytes: u32,
    map_at: u32,
    drives: [u32; 2],
    config_table: u32,
    loader_name: u32,
    rest: [u32; 13],
}

/// A line of the module list.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct ModuleEntry {
    start: u32,
    end: u32,
    text: u32,
    reserved: u32,
}

/// Bytes of a line of the memory map behind its first field.
const LINE_BYTES: u32 = 20;

impl Information<'_> {
    /// All of it, to be at `base`.
    pub fn at(&self, base: u32) -> Vec<u8> {
        let modules_at = base.wrapping_add(size_of::<Fields>() as u32);
        let module_bytes = size_of::<ModuleEntry>().wrapping_mul(self.modules.len());
        let map_at = modules_at.wrapping_add(module_bytes as u32);
        let map = self.memory_map();
        let headers_at = map_at.wrapping_add(map.len() as u32);
        let headers = self.sections.map_or(Vec::new(), |one| one.headers.clone());
        let texts_at = headers_at.wrapping_add(headers.len() as u32);

        let mut texts = Vec::new();
        let mut text = |bytes: &[u8]| {
            let at = texts_at.wrapping_add(texts.len() as u32);
            texts.extend_from_slice(bytes);
            at
        };
        let name = text(&with_zero(LOADER_NAME));
        let command_line = self.command_line.map(&mut text);
        let modules: Vec<u8> = self
            .modules
            .iter()
            .flat_map(|module| {
                let entry = ModuleEntry {
                    start: module.start,
                    end: module.start.wrapping_add(module.bytes),
                    text: text(&with_zero(module.text)),
                    reserved: 0,
                };
                entry.as_bytes().to_vec()
            })
            .collect();

        let mut flags = flag::MEMORY | flag::MODULES | flag::MEMORY_MAP | flag::LOADER_NAME;
        if command_line.is_some() {
            flags |= flag::COMMAND_LINE;
        }
        let symbols = match self.sections {
            Some(sections) => {
                flags |= flag::SECTIONS;
                [
                    sections.count,
                    sections.header_bytes,
                    headers_at,
                    sections.names,
                ]
            }
            None => [0; 4],
        };
        let fields = Fields {
            flags,
            lower_kib: kib(self.lower_bytes.min(640 << 10)),
            upper_kib: kib(self.upper_bytes),
            boot_device: 0,
            command_line: command_line.unwrap_or(0),
            modules: self.modules.len() as u32,
            modules_at,
            symbols,
            map_bytes: map.len() as u32,
            map_at,
            drives: [0; 2],
            config_table: 0,
            loader_name: name,
            rest: [0; 13],
        };
        [fields.as_bytes(), &modules, &map, &headers, &texts].concat()
    }

    fn memory_map(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for line in self.map {
            bytes.extend_from_slice(&LINE_BYTES.to_le_bytes());
            bytes.extend_from_slice(&line.start.0.to_le_bytes());
            bytes.extend_from_slice(&line.bytes.to_le_bytes());
            bytes.extend_from_slice(&line.kind.number().to_le_bytes());
        }
        bytes
    }
}

/// In KiB, as far as the field reaches.
pub fn kib(bytes: u64) -> u32 {
    u32::try_from(bytes / 1024).unwrap_or(u32::MAX)
}
