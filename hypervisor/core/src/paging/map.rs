//! Adding mappings.

use super::format::{Attributes, Entry, Format};
use super::level::Level;
use super::ports::{TableFrames, TableMemory};
use super::reserve::Reserve;
use super::table::{MapError, PageTable, Span};
use crate::addr::{Hpa, PAGE_SIZE};

/// A range that is being mapped: target = offset - `base_offset` + `base_target`.
struct Request {
    base_offset: u64,
    base_target: u64,
    attributes: Attributes,
}

impl Request {
    fn target(&self, offset: u64) -> Hpa {
        Hpa::new(self.base_target + (offset - self.base_offset))
    }
}

/// What to do with one entry.
enum Step {
    /// It maps the right thing already.
    Keep,
    /// Write a leaf.
    Leaf,
    /// Go on in the table below; `None`: one that must be made.
    Descend(Level, Option<Hpa>),
}

impl<F: Format> PageTable<F> {
    /// Maps `bytes` from `start` to `target`, with the largest pages that alignment, format and the
    /// tables already there permit.
    ///
    /// Pages that already map the same target with the same permissions and memory type stay as
    /// they are. No flush is needed where hardware does not cache absent entries (CPUs do not; an
    /// IOMMU may say that it does).
    ///
    /// # Errors
    /// [`MapError`]; then nothing has changed.
    pub fn map<M: TableMemory>(
        &mut self,
        memory: &mut M,
        frames: &mut impl TableFrames,
        start: F::In,
        bytes: u64,
        target: Hpa,
        attributes: Attributes,
    ) -> Result<(), MapError<F::In>> {
        let span = self.span(start, bytes)?;
        if target.as_u64() & (PAGE_SIZE - 1) != 0 {
            return Err(MapError::Unaligned);
        }
        let last = target
            .as_u64()
            .checked_add(bytes - 1)
            .ok_or(MapError::TargetOutOfRange)?;
        if last >> self.format.output_bits() != 0 {
            return Err(MapError::TargetOutOfRange);
        }
        if self
            .format
            .encode_leaf(target, attributes, Level::PAGE)
            .is_none()
        {
            return Err(MapError::Inexpressible);
        }
        let request = Request {
            base_offset: span.start,
            base_target: target.as_u64(),
            attributes,
        };
        let root = self.root;
        let level = self.format.root_level();
        let count = self.count_for_map(memory, Some(root), level, span, &request)?;
        let mut reserve = Reserve::fill(count, memory, frames)?;
        let done = self.fill(memory, &mut reserve, root, level, span, &request);
        reserve.release(memory, frames);
        done
    }

    /// How many tables `fill` will take; finds every reason to refuse before anything is written.
    fn count_for_map<M: TableMemory>(
        &self,
        memory: &M,
        table: Option<Hpa>,
        level: Level,
        span: Span,
        request: &Request,
    ) -> Result<u64, MapError<F::In>> {
        let mut count = 0;
        for part in span.entries(level) {
            let entry = match table {
                Some(table) => {
                    let raw = memory.load(level.slot(table, part.start));
                    self.format.decode(raw, level)
                }
                None => Entry::Absent,
            };
            if let Step::Descend(below, child) = self.map_step(entry, level, part, request)? {
                count += u64::from(child.is_none());
                count += self.count_for_map(memory, child, below, part, request)?;
            }
        }
        Ok(count)
    }

    /// Writes the entries of `span` in `table`. A new table is filled before the store that links it.
    fn fill<M: TableMemory>(
        &self,
        memory: &mut M,
        reserve: &mut Reserve,
        table: Hpa,
        level: Level,
        span: Span,
        request: &Request,
    ) -> Result<(), MapError<F::In>> {
        for part in span.entries(level) {
            let slot = level.slot(table, part.start);
            let entry = self.format.decode(memory.load(slot), level);
            match self.map_step(entry, level, part, request)? {
                Step::Keep => {}
                Step::Leaf => {
                    let raw = self
                        .format
                        .encode_leaf(request.target(part.start), request.attributes, level)
                        .ok_or(MapError::Inexpressible)?;
                    memory.store(slot, raw);
                }
                Step::Descend(below, Some(child)) => {
                    self.fill(memory, reserve, child, below, part, request)?;
                }
                Step::Descend(below, None) => {
                    let child = reserve.take(memory).ok_or(MapError::Inexpressible)?;
                    self.fill(memory, reserve, child, below, part, request)?;
                    memory.store(slot, self.format.encode_table(child, level));
                }
            }
        }
        Ok(())
    }

    fn map_step(
        &self,
        entry: Entry,
        level: Level,
        part: Span,
        request: &Request,
    ) -> Result<Step, MapError<F::In>> {
        let target = request.target(part.start);
        match (entry, level.below()) {
            (Entry::Absent, below) => {
                let aligned = target.as_u64() & (level.span() - 1) == 0;
                let leaf = part.fills(level)
                    && aligned
                    && self.format.leaf_allowed(level)
                    && self
                        .format
                        .encode_leaf(target, request.attributes, level)
                        .is_some();
                match (leaf, below) {
                    (true, _) => Ok(Step::Leaf),
                    (false, Some(below)) => Ok(Step::Descend(below, None)),
                    (false, None) => Err(MapError::Inexpressible),
                }
            }
            (Entry::Table(child), Some(below)) => Ok(Step::Descend(below, Some(child))),
            (
                Entry::Leaf {
                    target: page,
                    attributes,
                },
                _,
            ) => {
                let existing = page.as_u64() | (part.start & (level.span() - 1));
                if existing == target.as_u64() && attributes.same_as(&request.attributes) {
                    Ok(Step::Keep)
                } else {
                    Err(MapError::AlreadyMapped(self.address(part.start)))
                }
            }
            (Entry::Table(_), None) => Err(MapError::Inexpressible),
        }
    }
}
