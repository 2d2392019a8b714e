//! The long-mode format (APM 2 5.3, SDM 3A 4.5): the host's own tables, and nested tables of the same layout.

use core::marker::PhantomData;

use super::format::{Attributes, Entry, Format, InputAddress, MemoryType, Permissions, Usage};
use super::level::Level;
use crate::addr::Hpa;

const PRESENT: u64 = 1 << 0;
const WRITABLE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const WRITE_THROUGH: u64 = 1 << 3;
const CACHE_DISABLE: u64 = 1 << 4;
const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;
/// In entries above level 1: this is a page.
const LARGE: u64 = 1 << 7;
/// The third bit of the PAT index, in 4 KiB entries.
const PAT_SMALL: u64 = 1 << 7;
/// The third bit of the PAT index, in large-page entries.
const PAT_LARGE: u64 = 1 << 12;
const NO_EXECUTE: u64 = 1 << 63;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// Who decides about the user bit of leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UserBit {
    /// Always set: nested tables, which treat every guest access as one from user mode
    /// (APM 2 15.25.5).
    Always,
    /// As [`Permissions::USER`] says: the host's own tables.
    ByPermission,
}

/// Whether the CPU knows 1 GiB pages (CPUID 8000_0001h EDX bit 26).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GigabytePages {
    /// It does.
    Supported,
    /// It does not.
    Absent,
}

impl GigabytePages {
    /// Whether entries of this level can map memory themselves: 4 KiB and 2 MiB on every CPU, 1 GiB where it knows them.
    pub const fn leaf_allowed(self, level: Level) -> bool {
        match level.number() {
            1 | 2 => true,
            3 => matches!(self, GigabytePages::Supported),
            _ => false,
        }
    }
}

/// The long-mode format, translating addresses of `I`. Needs EFER.NXE and the PAT of [`PAT`](Self::PAT).
#[derive(Clone, Copy, Debug)]
pub struct LongMode<I> {
    user: UserBit,
    gigabyte_pages: GigabytePages,
    output_bits: u8,
    root: Level,
    input: PhantomData<I>,
}

impl<I> LongMode<I> {
    /// The value of the PAT MSR that the memory types assume: the power-up value (WB, WT, UC-, UC)
    /// with WC and WP in entries 4 and 5.
    pub const PAT: u64 = 0x0007_0501_0007_0406;

    /// A four-level format on a CPU with `output_bits` physical-address bits
    /// (CPUID 8000_0008h EAX, at most 52 are used).
    pub const fn new(user: UserBit, gigabyte_pages: GigabytePages, output_bits: u8) -> Self {
        Self {
            user,
            gigabyte_pages,
            output_bits: if output_bits > 52 { 52 } else { output_bits },
            root: Level::FOUR,
            input: PhantomData,
        }
    }

    /// The same format with five levels (CR4.LA57 of the host).
    pub const fn with_five_levels(mut self) -> Self {
        self.root = Level::FIVE;
        self
    }
}

impl<I: InputAddress> Format for LongMode<I> {
    type In = I;

    fn root_level(&self) -> Level {
        self.root
    }

    fn leaf_allowed(&self, level: Level) -> bool {
        self.gigabyte_pages.leaf_allowed(level)
    }

    fn output_bits(&self) -> u32 {
        u32::from(self.output_bits)
    }

    fn decode(&self, raw: u64, level: Level) -> Entry {
        if raw & PRESENT == 0 {
            return Entry::Absent;
        }
        if level != Level::PAGE && raw & LARGE == 0 {
            return Entry::Table(Hpa::new(raw & ADDRESS));
        }
        let pat = if level == Level::PAGE {
            PAT_SMALL
        } else {
            PAT_LARGE
        };
        let mut permissions = Permissions::READ;
        permissions.set(Permissions::WRITE, raw & WRITABLE != 0);
        permissions.set(Permissions::EXECUTE, raw & NO_EXECUTE == 0);
        permissions.set(
            Permissions::USER,
            self.user == UserBit::ByPermission && raw & USER != 0,
        );
        let mut usage = Usage::empty();
        usage.set(Usage::ACCESSED, raw & ACCESSED != 0);
        usage.set(Usage::DIRTY, raw & DIRTY != 0);
        // UC- and WP, which this format never writes, read back as their stricter neighbours.
        let memory = match (
            raw & pat != 0,
            raw & CACHE_DISABLE != 0,
            raw & WRITE_THROUGH != 0,
        ) {
            (false, false, false) => MemoryType::WriteBack,
            (false, false, true) => MemoryType::WriteThrough,
            (true, false, false) => MemoryType::WriteCombining,
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
        table.as_u64() & ADDRESS | PRESENT | WRITABLE | USER | ACCESSED
    }

    fn encode_leaf(&self, target: Hpa, attributes: Attributes, level: Level) -> Option<u64> {
        let Attributes {
            permissions,
            memory,
            usage,
        } = attributes;
        // Present means readable in this format.
        if !permissions.contains(Permissions::READ) {
            return None;
        }
        let mut raw = target.as_u64() & ADDRESS | PRESENT;
        if permissions.contains(Permissions::WRITE) {
            raw |= WRITABLE;
        }
        if !permissions.contains(Permissions::EXECUTE) {
            raw |= NO_EXECUTE;
        }
        if self.user == UserBit::Always || permissions.contains(Permissions::USER) {
            raw |= USER;
        }
        if usage.contains(Usage::ACCESSED) {
            raw |= ACCESSED;
        }
        if usage.contains(Usage::DIRTY) {
            raw |= DIRTY;
        }
        let pat = if level == Level::PAGE {
            PAT_SMALL
        } else {
            PAT_LARGE
        };
        raw |= match memory {
            MemoryType::WriteBack => 0,
            MemoryType::WriteThrough => WRITE_THROUGH,
            MemoryType::Uncached => CACHE_DISABLE | WRITE_THROUGH,
            MemoryType::WriteCombining => pat,
        };
        if level != Level::PAGE {
            raw |= LARGE;
        }
        Some(raw)
    }
}
