//! Changing mappings that exist: removal and new permissions, with splits of large pages.

use super::flush::Flush;
use super::format::{Attributes, Entry, Format, Permissions};
use super::level::{ENTRIES, Level};
use super::ports::{TableFrames, TableMemory};
use super::reserve::Reserve;
use super::table::{MapError, PageTable, Span};
use crate::addr::Hpa;

/// The change to every page of a range.
#[derive(Clone, Copy)]
enum Change {
    Unmap,
    Protect(Permissions),
}

/// A leaf being split: the page, and its level.
#[derive(Clone, Copy)]
struct Large {
    target: Hpa,
    attributes: Attributes,
    level: Level,
}

/// What to do with one entry.
enum Step {
    /// Nothing to change.
    Keep,
    /// Replace the leaf by this entry.
    Rewrite(u64),
    /// Replace the leaf by a table, in which the range is changed already.
    Split(Large),
    /// Unlink the table with everything below it.
    Cut(Level, Hpa),
    /// Go on in the table below.
    Descend(Level, Hpa),
}

impl<F: Format> PageTable<F> {
    /// Removes the mappings of `bytes` from `start`; addresses that are not mapped are left alone.
    /// Large pages that lie partly in the range are split.
    ///
    /// # Errors
    /// [`MapError`], [`MapError::Resource`] only where a split needs a table; then nothing has
    /// changed.
    pub fn unmap<M: TableMemory>(
        &mut self,
        memory: &mut M,
        frames: &mut impl TableFrames,
        start: F::In,
        bytes: u64,
    ) -> Result<Flush, MapError<F::In>> {
        self.edit(memory, frames, start, bytes, Change::Unmap)
    }

    /// Gives every page of `bytes` from `start` these permissions; all of them must be mapped.
    /// Large pages that lie partly in the range are split. Targets and memory types stay.
    ///
    /// # Errors
    /// [`MapError`]; then nothing has changed.
    pub fn protect<M: TableMemory>(
        &mut self,
        memory: &mut M,
        frames: &mut impl TableFrames,
        start: F::In,
        bytes: u64,
        permissions: Permissions,
    ) -> Result<Flush, MapError<F::In>> {
        self.edit(memory, frames, start, bytes, Change::Protect(permissions))
    }

    fn edit<M: TableMemory>(
        &mut self,
        memory: &mut M,
        frames: &mut impl TableFrames,
        start: F::In,
        bytes: u64,
        change: Change,
    ) -> Result<Flush, MapError<F::In>> {
        let span = self.span(start, bytes)?;
        let root = self.root;
        let level = self.format.root_level();
        let count = self.count_for_edit(memory, root, level, span, change)?;
        let mut reserve = Reserve::fill(count, memory, frames)?;
        let mut flush = Flush::none();
        let done = self.apply(
            memory,
            &mut reserve,
            &mut flush,
            (root, level),
            span,
            change,
        );
        reserve.release(memory, frames);
        done.map(|()| flush)
    }

    /// How many tables `apply` will take; finds every reason to refuse before anything is written.
    fn count_for_edit<M: TableMemory>(
        &self,
        memory: &M,
        table: Hpa,
        level: Level,
        span: Span,
        change: Change,
    ) -> Result<u64, MapError<F::In>> {
        let mut count = 0;
        for part in span.entries(level) {
            let raw = memory.load(level.slot(table, part.start));
            count += match self.edit_step(raw, level, part, change)? {
                Step::Keep | Step::Rewrite(_) | Step::Cut(..) => 0,
                Step::Split(large) => Self::count_for_split(large.level, part),
                Step::Descend(below, child) => {
                    self.count_for_edit(memory, child, below, part, change)?
                }
            };
        }
        Ok(count)
    }

    /// Tables that replace one large page of `level` of which `part` changes: one for each border
    /// of `part` inside each page of each level, the common ones counted once.
    fn count_for_split(level: Level, part: Span) -> u64 {
        let Some(below) = level.below() else {
            return 0;
        };
        1 + part
            .entries(below)
            .filter(|inner| !inner.fills(below))
            .map(|inner| Self::count_for_split(below, inner))
            .sum::<u64>()
    }

    fn apply<M: TableMemory>(
        &self,
        memory: &mut M,
        reserve: &mut Reserve,
        flush: &mut Flush,
        (table, level): (Hpa, Level),
        span: Span,
        change: Change,
    ) -> Result<(), MapError<F::In>> {
        for part in span.entries(level) {
            let slot = level.slot(table, part.start);
            let raw = memory.load(slot);
            match self.edit_step(raw, level, part, change)? {
                Step::Keep => {}
                Step::Rewrite(raw) => {
                    memory.store(slot, raw);
                    flush.need();
                }
                Step::Split(large) => {
                    let raw = self.split(memory, reserve, large, part, change)?;
                    memory.store(slot, raw);
                    flush.need();
                }
                Step::Cut(below, child) => {
                    memory.store(slot, 0);
                    self.retire(memory, flush, child, below);
                }
                Step::Descend(below, child) => {
                    self.apply(memory, reserve, flush, (child, below), part, change)?;
                    if matches!(change, Change::Unmap) && is_empty(memory, child) {
                        memory.store(slot, 0);
                        flush.retire(child, memory);
                    }
                }
            }
        }
        Ok(())
    }

    /// Fills a new table that says what `large` said, with the change applied to `part`.
    /// Returns the entry that links it; until that is stored, nobody sees the table.
    fn split<M: TableMemory>(
        &self,
        memory: &mut M,
        reserve: &mut Reserve,
        large: Large,
        part: Span,
        change: Change,
    ) -> Result<u64, MapError<F::In>> {
        let below = large.level.below().ok_or(MapError::Inexpressible)?;
        let table = reserve.take(memory).ok_or(MapError::Inexpressible)?;
        let base = part.start & !(large.level.span() - 1);
        for index in 0..ENTRIES {
            let within = index << below.shift();
            let small = Large {
                target: Hpa::new(large.target.as_u64() | within),
                attributes: large.attributes,
                level: below,
            };
            let start = base + within;
            let inner = Span {
                start: start.max(part.start),
                end: (start + below.span()).min(part.end),
            };
            let raw = if inner.start >= inner.end {
                self.leaf(small)?
            } else if inner.fills(below) {
                self.changed(small, change)?
            } else {
                self.split(memory, reserve, small, inner, change)?
            };
            memory.store(below.slot(table, start), raw);
        }
        Ok(self.format.encode_table(table, large.level))
    }

    /// Puts an unlinked table and everything below it on the list of tables to free.
    fn retire<M: TableMemory>(&self, memory: &mut M, flush: &mut Flush, table: Hpa, level: Level) {
        if let Some(below) = level.below() {
            for index in 0..ENTRIES {
                let raw = memory.load(Hpa::new(table.as_u64() | index << 3));
                if let Entry::Table(child) = self.format.decode(raw, level) {
                    self.retire(memory, flush, child, below);
                }
            }
        }
        flush.retire(table, memory);
    }

    fn edit_step(
        &self,
        raw: u64,
        level: Level,
        part: Span,
        change: Change,
    ) -> Result<Step, MapError<F::In>> {
        match (self.format.decode(raw, level), level.below(), change) {
            (Entry::Absent, _, Change::Unmap) => Ok(Step::Keep),
            (Entry::Absent, _, Change::Protect(_)) => {
                Err(MapError::NotMapped(self.address(part.start)))
            }
            (Entry::Leaf { target, attributes }, _, change) => {
                let large = Large {
                    target,
                    attributes,
                    level,
                };
                let new = self.changed(large, change)?;
                Ok(if new == raw {
                    Step::Keep
                } else if part.fills(level) {
                    Step::Rewrite(new)
                } else {
                    Step::Split(large)
                })
            }
            (Entry::Table(child), Some(below), Change::Unmap) if part.fills(level) => {
                Ok(Step::Cut(below, child))
            }
            (Entry::Table(child), Some(below), _) => Ok(Step::Descend(below, child)),
            (Entry::Table(_), None, _) => Err(MapError::Inexpressible),
        }
    }

    /// The entry of a page before the change.
    fn leaf(&self, page: Large) -> Result<u64, MapError<F::In>> {
        self.format
            .encode_leaf(page.target, page.attributes, page.level)
            .ok_or(MapError::Inexpressible)
    }

    /// The entry of a page after the change.
    fn changed(&self, page: Large, change: Change) -> Result<u64, MapError<F::In>> {
        match change {
            Change::Unmap => Ok(0),
            Change::Protect(permissions) => self.leaf(Large {
                attributes: Attributes {
                    permissions,
                    ..page.attributes
                },
                ..page
            }),
        }
    }
}

fn is_empty<M: TableMemory>(memory: &M, table: Hpa) -> bool {
    (0..ENTRIES).all(|index| memory.load(Hpa::new(table.as_u64() | index << 3)) == 0)
}
