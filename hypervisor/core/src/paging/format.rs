//! What a page-table format must say about itself: entry layouts, leaf sizes, attributes.

use core::fmt;

use bitflags::bitflags;

use super::level::Level;
use crate::addr::{Gpa, Gva, Hpa, Hva};

bitflags! {
    /// What a mapping allows.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Permissions: u8 {
        /// Data reads.
        const READ = 1;
        /// Data writes.
        const WRITE = 2;
        /// Instruction fetches.
        const EXECUTE = 4;
        /// Accesses from user mode; formats without the notion ignore it.
        const USER = 8;
    }
}

impl Permissions {
    /// Read only.
    pub const R: Permissions = Permissions::READ;
    /// Read and write.
    pub const RW: Permissions = Permissions::READ.union(Permissions::WRITE);
    /// Read and execute.
    pub const RX: Permissions = Permissions::READ.union(Permissions::EXECUTE);
    /// Read, write and execute: guest memory.
    pub const RWX: Permissions = Permissions::RW.union(Permissions::EXECUTE);
}

bitflags! {
    /// What the hardware did through a mapping, in formats that record it.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Usage: u8 {
        /// The page was accessed.
        const ACCESSED = 1;
        /// The page was written.
        const DIRTY = 2;
    }
}

/// How accesses through a mapping are cached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MemoryType {
    /// Write-back: RAM.
    WriteBack,
    /// Write-through.
    WriteThrough,
    /// Uncached: device registers.
    Uncached,
    /// Write-combining: frame buffers.
    WriteCombining,
}

/// Everything a leaf says besides the address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attributes {
    /// What is allowed.
    pub permissions: Permissions,
    /// How it is cached.
    pub memory: MemoryType,
    /// Accessed and dirty marks.
    pub usage: Usage,
}

impl Attributes {
    /// A mapping with both usage marks set, so that the hardware need not write the entry.
    pub const fn new(permissions: Permissions, memory: MemoryType) -> Self {
        Self {
            permissions,
            memory,
            usage: Usage::all(),
        }
    }

    /// Guest RAM: everything allowed, write-back.
    pub const GUEST_RAM: Attributes = Attributes::new(Permissions::RWX, MemoryType::WriteBack);

    /// Whether both mean the same to software: equal but for the usage marks, which hardware changes.
    pub fn same_as(&self, other: &Attributes) -> bool {
        self.permissions == other.permissions && self.memory == other.memory
    }
}

/// A table entry, decoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entry {
    /// Nothing here.
    Absent,
    /// The next lower table.
    Table(Hpa),
    /// A page.
    Leaf {
        /// Where it points, aligned to the page size of the level.
        target: Hpa,
        /// What it allows.
        attributes: Attributes,
    },
}

/// An address space that page tables translate from.
pub trait InputAddress: Copy + Eq + Ord + fmt::Debug {
    /// Whether the bits above the translated ones repeat the highest of them (canonical form)
    /// instead of being zero.
    const SIGN_EXTENDED: bool;

    /// The address with this number.
    fn from_u64(address: u64) -> Self;

    /// The number.
    fn to_u64(self) -> u64;
}

macro_rules! input_address {
    ($name:ident, $signed:literal) => {
        impl InputAddress for $name {
            const SIGN_EXTENDED: bool = $signed;

            fn from_u64(address: u64) -> Self {
                Self::new(address)
            }

            fn to_u64(self) -> u64 {
                self.as_u64()
            }
        }
    };
}

input_address!(Gpa, false);
input_address!(Gva, true);
input_address!(Hva, true);

/// A page-table format: how entries are laid out, and which pages they can describe.
///
/// Contract with the engine: all-zero decodes as [`Entry::Absent`], and so does every multiple of
/// 4096 (the engine chains retired tables through their first entry); tables are encoded with every
/// permission, so that the leaf alone decides.
pub trait Format {
    /// The address space that is translated.
    type In: InputAddress;

    /// The level of the root.
    fn root_level(&self) -> Level;

    /// Whether entries of `level` may be pages.
    fn leaf_allowed(&self, level: Level) -> bool;

    /// Bits of host-physical address that entries can hold on this machine.
    fn output_bits(&self) -> u32;

    /// What the entry `raw` of a table of `level` says.
    fn decode(&self, raw: u64, level: Level) -> Entry;

    /// The entry of a table of `level` that points to the next lower table.
    fn encode_table(&self, table: Hpa, level: Level) -> u64;

    /// The entry of a table of `level` that maps a page; `None` where the format cannot express
    /// the attributes.
    fn encode_leaf(&self, target: Hpa, attributes: Attributes, level: Level) -> Option<u64>;
}
