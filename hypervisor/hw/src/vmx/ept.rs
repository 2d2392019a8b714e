//! EPT (SDM 3C 28.3.2): the format of nested tables on Intel CPUs.

use bulkhead_core::addr::{Gpa, Hpa};
use bulkhead_core::paging::{
    Attributes, Entry, Format, GigabytePages, Level, MemoryType, Permissions, Usage,
};

const READ: u64 = 1 << 0;
const WRITE: u64 = 1 << 1;
const EXECUTE: u64 = 1 << 2;
const TYPE_SHIFT: u32 = 3;
const LARGE: u64 = 1 << 7;
/// Ignored by the CPU, because the EPT pointer does not switch the marks on.
const ACCESSED: u64 = 1 << 8;
const DIRTY: u64 = 1 << 9;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// Write-back, a walk of four levels (SDM 3C 24.6.11).
const POINTER: u64 = 6 | 3 << 3;

/// The format, with four levels.
#[derive(Clone, Copy, Debug)]
pub struct Ept {
    gigabyte_pages: GigabytePages,
    output_bits: u8,
}

impl Ept {
    /// The format on a CPU with so many bits of physical address.
    pub const fn new(gigabyte_pages: GigabytePages, output_bits: u8) -> Self {
        Self {
            gigabyte_pages,
            output_bits: if output_bits > 52 { 52 } else { output_bits },
        }
    }

    /// What the EPT-pointer field holds for tables at `root`.
    pub const fn pointer(root: Hpa) -> u64 {
        root.as_u64() & ADDRESS | POINTER
    }
}

impl Format for Ept {
    type In = Gpa;

    fn root_level(&self) -> Level {
        Level::FOUR
    }

    fn leaf_allowed(&self, level: Level) -> bool {
        self.gigabyte_pages.leaf_allowed(level)
    }

    fn output_bits(&self) -> u32 {
        u32::from(self.output_bits)
    }

    fn decode(&self, raw: u64, level: Level) -> Entry {
        if raw & (READ | WRITE | EXECUTE) == 0 {
            return Entry::Absent;
        }
        if level != Level::PAGE && raw & LARGE == 0 {
            return Entry::Table(Hpa::new(raw & ADDRESS));
        }
        let mut permissions = Permissions::empty();
        permissions.set(Permissions::READ, raw & READ != 0);
        permissions.set(Permissions::WRITE, raw & WRITE != 0);
        permissions.set(Permissions::EXECUTE, raw & EXECUTE != 0);
        let mut usage = Usage::empty();
        usage.set(Usage::ACCESSED, raw & ACCESSED != 0);
        usage.set(Usage::DIRTY, raw & DIRTY != 0);
        let memory = match raw >> TYPE_SHIFT & 7 {
            6 => MemoryType::WriteBack,
            4 => MemoryType::WriteThrough,
            1 => MemoryType::WriteCombining,
            _ => MemoryType::Uncached,
        };
        Entry::Leaf {
            target: Hpa::new(raw & ADDRESS & !(level.span() - 1)),
            attributes: Attributes {
                permissions,
                memory,
                usage,
            },
        }
    }

    fn encode_table(&self, table: Hpa, _level: Level) -> u64 {
        table.as_u64() & ADDRESS | READ | WRITE | EXECUTE
    }

    fn encode_leaf(&self, target: Hpa, attributes: Attributes, level: Level) -> Option<u64> {
        let Attributes {
            permissions,
            memory,
            usage,
        } = attributes;
        // Writable but not readable is a misconfiguration (SDM 3C 28.3.3.1); execute-only pages are an option of the CPU's.
        if !permissions.contains(Permissions::READ) {
            return None;
        }
        let mut raw = target.as_u64() & ADDRESS | READ;
        for (bit, permission) in [(WRITE, Permissions::WRITE), (EXECUTE, Permissions::EXECUTE)] {
            if permissions.contains(permission) {
                raw |= bit;
            }
        }
        for (bit, mark) in [(ACCESSED, Usage::ACCESSED), (DIRTY, Usage::DIRTY)] {
            if usage.contains(mark) {
                raw |= bit;
            }
        }
        let memory: u64 = match memory {
            MemoryType::WriteBack => 6,
            MemoryType::WriteThrough => 4,
            MemoryType::WriteCombining => 1,
            MemoryType::Uncached => 0,
        };
        raw |= memory << TYPE_SHIFT;
        if level != Level::PAGE {
            raw |= LARGE;
        }
        Some(raw)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMAT: Ept = Ept::new(GigabytePages::Supported, 40);

    #[test]
    fn leaves_are_laid_out_as_the_manual_says() {
        let raw = FORMAT.encode_leaf(Hpa::new(0x4000_0000), Attributes::GUEST_RAM, Level::PAGE);
        assert_eq!(raw, Some(0x4000_0000 | 0b111 | 6 << 3 | 3 << 8));
        let device = Attributes::new(Permissions::RW, MemoryType::Uncached);
        let three = Level::FOUR.below().unwrap();
        let raw = FORMAT.encode_leaf(Hpa::new(0x4000_0000), device, three);
        assert_eq!(raw, Some(0x4000_0000 | 0b011 | 1 << 7 | 3 << 8));
        assert_eq!(Ept::pointer(Hpa::new(0x1000)), 0x101e);
    }

    #[test]
    fn what_was_encoded_is_decoded() {
        for permissions in [
            Permissions::R,
            Permissions::RW,
            Permissions::RX,
            Permissions::RWX,
        ] {
            for memory in [
                MemoryType::WriteBack,
                MemoryType::WriteThrough,
                MemoryType::Uncached,
                MemoryType::WriteCombining,
            ] {
                let attributes = Attributes::new(permissions, memory);
                for level in [Level::PAGE, Level::FOUR.below().unwrap()] {
                    let target = Hpa::new(0x80_0000_0000);
                    let raw = FORMAT.encode_leaf(target, attributes, level).unwrap();
                    assert_eq!(
                        FORMAT.decode(raw, level),
                        Entry::Leaf { target, attributes }
                    );
                }
            }
        }
        let table = FORMAT.encode_table(Hpa::new(0x5000), Level::FOUR);
        assert_eq!(
            FORMAT.decode(table, Level::FOUR),
            Entry::Table(Hpa::new(0x5000))
        );
    }

    #[test]
    fn retired_tables_are_absent_and_unreadable_pages_impossible() {
        for raw in [0, 0x1000, 0x7fff_f000] {
            assert_eq!(FORMAT.decode(raw, Level::FOUR), Entry::Absent);
        }
        let blind = Attributes::new(Permissions::WRITE, MemoryType::WriteBack);
        assert_eq!(FORMAT.encode_leaf(Hpa::new(0), blind, Level::PAGE), None);
    }
}
