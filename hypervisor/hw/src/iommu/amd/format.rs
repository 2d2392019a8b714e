//! The units' page-table format, version 1 (48882, 2.2.3).

use bulkhead_core::addr::{Gpa, Hpa};
use bulkhead_core::paging::{Attributes, Entry, Format, Level, MemoryType, Permissions, Usage};

const PRESENT: u64 = 1 << 0;
/// Bits 9 to 11: the level of the table that the entry points to, 0 for a page.
const NEXT_LEVEL_SHIFT: u32 = 9;
const NEXT_LEVEL: u64 = 7 << NEXT_LEVEL_SHIFT;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
/// Accesses are coherent with the CPUs' caches, whatever the device asks for.
const FORCE_COHERENT: u64 = 1 << 60;
const READ: u64 = 1 << 61;
const WRITE: u64 = 1 << 62;

/// The format: four levels, pages of 4 KiB, 2 MiB and 1 GiB, reads and writes. Device addresses are
/// guest-physical addresses of the device's owner.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AmdVi;

impl Format for AmdVi {
    type In = Gpa;

    fn root_level(&self) -> Level {
        Level::FOUR
    }

    fn leaf_allowed(&self, level: Level) -> bool {
        level.page_size().is_some()
    }

    fn output_bits(&self) -> u32 {
        52
    }

    fn decode(&self, raw: u64, level: Level) -> Entry {
        if raw & PRESENT == 0 {
            return Entry::Absent;
        }
        if raw & NEXT_LEVEL != 0 {
            return Entry::Table(Hpa::new(raw & ADDRESS));
        }
        let mut permissions = Permissions::empty();
        permissions.set(Permissions::READ, raw & READ != 0);
        permissions.set(Permissions::WRITE, raw & WRITE != 0);
        Entry::Leaf {
            target: Hpa::new(raw & ADDRESS & !(level.span() - 1)),
            attributes: Attributes {
                permissions,
                memory: MemoryType::WriteBack,
                // The marks of this format are optional and not used.
                usage: Usage::all(),
            },
        }
    }

    fn encode_table(&self, table: Hpa, level: Level) -> u64 {
        let next = u64::from(level.number() - 1) << NEXT_LEVEL_SHIFT;
        table.as_u64() & ADDRESS | PRESENT | next | READ | WRITE
    }

    fn encode_leaf(&self, target: Hpa, attributes: Attributes, _level: Level) -> Option<u64> {
        let permissions = attributes.permissions;
        let expressible = Permissions::RW.contains(permissions)
            && !permissions.is_empty()
            && attributes.memory == MemoryType::WriteBack;
        if !expressible {
            return None;
        }
        let mut raw = target.as_u64() & ADDRESS | PRESENT | FORCE_COHERENT;
        if permissions.contains(Permissions::READ) {
            raw |= READ;
        }
        if permissions.contains(Permissions::WRITE) {
            raw |= WRITE;
        }
        Some(raw)
    }
}
