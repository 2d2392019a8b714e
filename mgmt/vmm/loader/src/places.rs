//! [`Places`]: which memory below 4 GiB is free while a plan is made.
//!
//! Every protocol here hands over 32-bit addresses, or is entered with only the first 4 GiB mapped, so nothing is ever
//! placed higher.

use alloc::vec::Vec;
use core::ops::Range;

use vmm_ram::{MemoryKind, MemoryRange};

use crate::{Piece, Refusal};

#[cfg(test)]
mod tests;

/// The end of what is given away.
pub const END: u64 = 1 << 32;

/// Free and taken memory.
#[derive(Debug)]
pub struct Places {
    usable: Vec<Range<u64>>,
    taken: Vec<(Range<u64>, Piece)>,
}

impl Places {
    /// All of it is free that the map calls usable.
    pub fn new(map: &[MemoryRange]) -> Self {
        let mut usable: Vec<Range<u64>> = map
            .iter()
            .filter(|line| line.kind == MemoryKind::Usable)
            .map(|line| line.start.0..line.end().0.min(END))
            .filter(|range| !range.is_empty())
            .collect();
        usable.sort_by_key(|range| range.start);
        // A piece may lie across the border of two lines.
        usable.dedup_by(|next, before| {
            let joined = next.start <= before.end;
            if joined {
                before.end = before.end.max(next.end);
            }
            joined
        });
        Self {
            usable,
            taken: Vec::new(),
        }
    }

    /// Takes what must be at `at`. Nothing is taken for no bytes.
    ///
    /// # Errors
    /// Where it is not free.
    pub fn claim(&mut self, at: u64, bytes: u64, piece: Piece) -> Result<(), Refusal> {
        if bytes == 0 {
            return Ok(());
        }
        let refused = Refusal::NotUsable { piece, at, bytes };
        let range = at..at.checked_add(bytes).ok_or(refused)?;
        let inside = |usable: &Range<u64>| usable.start <= range.start && range.end <= usable.end;
        if !self.usable.iter().any(inside) {
            return Err(refused);
        }
        if let Some((_, other)) = self.overlapping(&range) {
            return Err(Refusal::Overlap {
                piece,
                other: *other,
                at,
            });
        }
        self.taken.push((range, piece));
        Ok(())
    }

    /// Takes the lowest free place in `within` at a multiple of `align`, a power of two.
    ///
    /// # Errors
    /// Where there is none.
    pub fn lowest(
        &mut self,
        bytes: u64,
        align: u64,
        within: Range<u64>,
        piece: Piece,
    ) -> Result<u64, Refusal> {
        let found = self.usable.iter().find_map(|usable| {
            let end = usable.end.min(within.end);
            let mut at = align_up(usable.start.max(within.start), align)?;
            loop {
                let range = at..at.checked_add(bytes).filter(|last| *last <= end)?;
                match self.overlapping(&range) {
                    // Each step goes beyond one more piece.
                    Some((other, _)) => at = align_up(other.end, align)?,
                    None => return Some(at),
                }
            }
        });
        self.take(found, bytes, piece)
    }

    /// Takes the highest free place in `within` at a multiple of `align`, a power of two.
    ///
    /// # Errors
    /// Where there is none.
    pub fn highest(
        &mut self,
        bytes: u64,
        align: u64,
        within: Range<u64>,
        piece: Piece,
    ) -> Result<u64, Refusal> {
        let found = self.usable.iter().rev().find_map(|usable| {
            let start = usable.start.max(within.start);
            let mut end = usable.end.min(within.end);
            loop {
                let at = align_down(end.checked_sub(bytes)?, align);
                if at < start {
                    return None;
                }
                match self.overlapping(&(at..at.checked_add(bytes)?)) {
                    Some((other, _)) => end = other.start,
                    None => return Some(at),
                }
            }
        });
        self.take(found, bytes, piece)
    }

    /// The end of what was taken last in memory; 0 where nothing was.
    pub fn end_of_taken(&self) -> u64 {
        self.taken
            .iter()
            .map(|(range, _)| range.end)
            .max()
            .unwrap_or(0)
    }

    /// The end of the usable memory that `at` is in, as long as it has no hole; `None` where it is in none.
    pub fn usable_end(&self, at: u64) -> Option<u64> {
        let usable = self.usable.iter().find(|range| range.contains(&at))?;
        Some(usable.end)
    }

    fn take(&mut self, found: Option<u64>, bytes: u64, piece: Piece) -> Result<u64, Refusal> {
        let at = found.ok_or(Refusal::NoRoom { piece, bytes })?;
        self.claim(at, bytes, piece)?;
        Ok(at)
    }

    fn overlapping(&self, range: &Range<u64>) -> Option<&(Range<u64>, Piece)> {
        self.taken
            .iter()
            .find(|(other, _)| other.start < range.end && range.start < other.end)
    }
}

/// The next multiple of `align`, a power of two.
pub fn align_up(value: u64, align: u64) -> Option<u64> {
    let mask = align.checked_sub(1)?;
    Some(value.checked_add(mask)? & !mask)
}

const fn align_down(value: u64, align: u64) -> u64 {
    value & !align.saturating_sub(1)
}
