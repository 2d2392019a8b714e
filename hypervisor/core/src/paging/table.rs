//! A page-table tree: creation, look-up, iteration and destruction. Edits are in `map` and `edit`.

use core::fmt;

use super::flush::Flushed;
use super::format::{Attributes, Entry, Format, InputAddress};
use super::level::{ENTRIES, Level};
use super::ports::{TableFrames, TableMemory};
use crate::addr::{Hpa, PAGE_SIZE, PageSize};
use crate::fault::ResourceError;

/// A tree of page tables in format `F`.
///
/// The owner serialises edits; dropping it without [`PageTable::destroy`] leaks its frames.
#[derive(Debug)]
pub struct PageTable<F: Format> {
    pub(super) format: F,
    pub(super) root: Hpa,
}

/// One page of an address space.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mapping<I> {
    /// First address of the page.
    pub start: I,
    /// What it maps to.
    pub target: Hpa,
    /// How large the page is.
    pub size: PageSize,
    /// What it allows.
    pub attributes: Attributes,
}

impl<I: InputAddress> Mapping<I> {
    /// Where `address`, which must lie in this page, maps to.
    pub fn resolve(&self, address: I) -> Hpa {
        let offset = address.to_u64() & (self.size.bytes() - 1);
        Hpa::new(self.target.as_u64() | offset)
    }
}

/// Why an edit was refused. Nothing has changed, unless it says otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MapError<I> {
    /// An end of the range, or the target, is not on a 4 KiB border, or the range is empty.
    Unaligned,
    /// The range leaves the address space that the tables translate.
    OutOfRange,
    /// The target is beyond the machine's physical addresses.
    TargetOutOfRange,
    /// This address is mapped already, to something else.
    AlreadyMapped(I),
    /// This address is not mapped, so its permissions cannot change.
    NotMapped(I),
    /// The format cannot express these attributes.
    Inexpressible,
    /// No frames are left for tables.
    Resource(ResourceError),
}

impl<I> From<ResourceError> for MapError<I> {
    fn from(error: ResourceError) -> Self {
        MapError::Resource(error)
    }
}

impl<I: InputAddress> fmt::Display for MapError<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MapError::Unaligned => {
                f.write_str("a mapping must start, end and point at 4 KiB borders")
            }
            MapError::OutOfRange => {
                f.write_str("the range is outside of the translated address space")
            }
            MapError::TargetOutOfRange => {
                f.write_str("the target is beyond the machine's physical addresses")
            }
            MapError::AlreadyMapped(at) => {
                write!(f, "{:#x} is already mapped to something else", at.to_u64())
            }
            MapError::NotMapped(at) => write!(f, "{:#x} is not mapped", at.to_u64()),
            MapError::Inexpressible => {
                f.write_str("the table format cannot express these permissions and memory type")
            }
            MapError::Resource(error) => error.fmt(f),
        }
    }
}

/// A part of the address space as offsets: the input address without its sign extension.
/// `end` is exclusive and at most 2^57, so sums do not overflow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Span {
    pub(super) start: u64,
    pub(super) end: u64,
}

impl Span {
    /// The parts of the span, one for each entry of a table of `level`, that entries of that level
    /// cover. The span must lie within one such table.
    pub(super) fn entries(self, level: Level) -> impl Iterator<Item = Span> {
        let mut start = self.start;
        core::iter::from_fn(move || {
            if start >= self.end {
                return None;
            }
            let border = (start | (level.span() - 1)) + 1;
            let part = Span {
                start,
                end: border.min(self.end),
            };
            start = part.end;
            Some(part)
        })
    }

    /// Whether the span is all that one entry of `level` covers.
    pub(super) fn fills(self, level: Level) -> bool {
        self.end - self.start == level.span()
    }
}

impl<F: Format> PageTable<F> {
    /// An empty tree.
    ///
    /// # Errors
    /// [`ResourceError`] where no frame is left for the root.
    pub fn new(format: F, frames: &mut impl TableFrames) -> Result<Self, ResourceError> {
        let root = frames.allocate()?;
        Ok(Self { format, root })
    }

    /// The host-physical address of the root table, for the register that takes it.
    pub fn root(&self) -> Hpa {
        self.root
    }

    /// The format.
    pub fn format(&self) -> &F {
        &self.format
    }

    /// What `address` maps to: at most one load per level, no allocation.
    pub fn translate(&self, memory: &impl TableMemory, address: F::In) -> Option<Mapping<F::In>> {
        let offset = self.offset(address)?;
        match self.find(memory, offset) {
            (_, Some(mapping)) => Some(mapping),
            _ => None,
        }
    }

    /// All mappings from the page of `from` upwards, in address order.
    pub fn mappings<'a, M: TableMemory>(
        &'a self,
        memory: &'a M,
        from: F::In,
    ) -> Mappings<'a, F, M> {
        let end = 1 << self.format.root_level().input_bits();
        Mappings {
            table: self,
            memory,
            next: self.offset(from).unwrap_or(end),
            end,
        }
    }

    /// Frees every table. The proof says that nothing walks the tree any more.
    pub fn destroy(
        self,
        _proof: Flushed,
        memory: &mut impl TableMemory,
        frames: &mut impl TableFrames,
    ) {
        self.free_tree(self.root, self.format.root_level(), memory, frames);
    }

    fn free_tree(
        &self,
        table: Hpa,
        level: Level,
        memory: &mut impl TableMemory,
        frames: &mut impl TableFrames,
    ) {
        if let Some(below) = level.below() {
            for index in 0..ENTRIES {
                let raw = memory.load(Hpa::new(table.as_u64() | index << 3));
                if let Entry::Table(child) = self.format.decode(raw, level) {
                    self.free_tree(child, below, memory, frames);
                }
            }
        }
        frames.free(table);
    }

    /// Descends to the entry for `offset`: the level reached, and the page where there is one.
    fn find(&self, memory: &impl TableMemory, offset: u64) -> (Level, Option<Mapping<F::In>>) {
        let mut table = self.root;
        let mut level = self.format.root_level();
        loop {
            let raw = memory.load(level.slot(table, offset));
            match (
                self.format.decode(raw, level),
                level.below(),
                level.page_size(),
            ) {
                (Entry::Table(child), Some(below), _) => {
                    table = child;
                    level = below;
                }
                (Entry::Leaf { target, attributes }, _, Some(size)) => {
                    let mapping = Mapping {
                        start: self.address(offset & !(level.span() - 1)),
                        target,
                        size,
                        attributes,
                    };
                    return (level, Some(mapping));
                }
                _ => return (level, None),
            }
        }
    }

    /// The offset of an address; `None` where the tables cannot translate it.
    pub(super) fn offset(&self, address: F::In) -> Option<u64> {
        let bits = self.format.root_level().input_bits();
        let offset = address.to_u64() & ((1 << bits) - 1);
        (self.address(offset) == address).then_some(offset)
    }

    /// The address at an offset.
    pub(super) fn address(&self, offset: u64) -> F::In {
        let unused = 64 - self.format.root_level().input_bits();
        F::In::from_u64(if F::In::SIGN_EXTENDED {
            ((offset << unused).cast_signed() >> unused).cast_unsigned()
        } else {
            offset
        })
    }

    /// The span of `bytes` from `start`, checked.
    pub(super) fn span(&self, start: F::In, bytes: u64) -> Result<Span, MapError<F::In>> {
        if bytes == 0 || (bytes | start.to_u64()) & (PAGE_SIZE - 1) != 0 {
            return Err(MapError::Unaligned);
        }
        let last = start
            .to_u64()
            .checked_add(bytes - 1)
            .ok_or(MapError::OutOfRange)?;
        let first_offset = self.offset(start).ok_or(MapError::OutOfRange)?;
        let last_offset = self
            .offset(F::In::from_u64(last))
            .ok_or(MapError::OutOfRange)?;
        // Both ends can be canonical with the hole between them: then the distances differ.
        if last_offset.checked_sub(first_offset) != Some(bytes - 1) {
            return Err(MapError::OutOfRange);
        }
        Ok(Span {
            start: first_offset,
            end: last_offset + 1,
        })
    }
}

/// An iterator over the pages of a tree, in address order.
#[derive(Debug)]
pub struct Mappings<'a, F: Format, M> {
    table: &'a PageTable<F>,
    memory: &'a M,
    next: u64,
    end: u64,
}

impl<F: Format, M: TableMemory> Iterator for Mappings<'_, F, M> {
    type Item = Mapping<F::In>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.next < self.end {
            let (level, mapping) = self.table.find(self.memory, self.next);
            self.next = (self.next | (level.span() - 1)) + 1;
            if mapping.is_some() {
                return mapping;
            }
        }
        None
    }
}
