//! The levels of a page-table tree and the spans of their entries.

use crate::addr::{Hpa, PageSize};

/// Entries in a table of any level and format.
pub(super) const ENTRIES: u64 = 512;

/// A level of the tree: 1 holds 4 KiB pages, 2 holds 2 MiB pages, and so on up to 5.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Level(u8);

impl Level {
    /// The lowest level, whose entries map 4 KiB pages.
    pub const PAGE: Level = Level(1);
    /// The root of a tree of four levels (48 input bits).
    pub const FOUR: Level = Level(4);
    /// The root of a tree of five levels (57 input bits).
    pub const FIVE: Level = Level(5);

    /// The level as manuals count it, 1 to 5.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// The level whose leaves are pages of this size.
    pub const fn of(size: PageSize) -> Level {
        match size {
            PageSize::Size4K => Level(1),
            PageSize::Size2M => Level(2),
            PageSize::Size1G => Level(3),
        }
    }

    /// The page size of a leaf at this level; `None` above 1 GiB.
    pub const fn page_size(self) -> Option<PageSize> {
        match self.0 {
            1 => Some(PageSize::Size4K),
            2 => Some(PageSize::Size2M),
            3 => Some(PageSize::Size1G),
            _ => None,
        }
    }

    /// The level of the tables that entries of this level point to; `None` at the lowest.
    pub const fn below(self) -> Option<Level> {
        if self.0 > 1 {
            Some(Level(self.0 - 1))
        } else {
            None
        }
    }

    /// The binary logarithm of the bytes one entry of this level spans.
    pub const fn shift(self) -> u32 {
        12 + 9 * (self.0 as u32 - 1)
    }

    /// Bytes that one entry of this level spans.
    pub const fn span(self) -> u64 {
        1 << self.shift()
    }

    /// Bits of input address that a tree with its root at this level translates.
    pub const fn input_bits(self) -> u32 {
        self.shift() + 9
    }

    /// Where the entry for `offset` lies in the table at `table`.
    pub(super) const fn slot(self, table: Hpa, offset: u64) -> Hpa {
        let index = (offset >> self.shift()) & (ENTRIES - 1);
        Hpa::new(table.as_u64() | index << 3)
    }
}
