//! [`Room`]: memory for tables, given away from its beginning on.

use alloc::vec::Vec;
use core::ops::Range;

use vmm_ram::Gpa;

/// Memory that fills up with tables.
pub struct Room {
    free: Range<u64>,
    writes: Vec<(Gpa, Vec<u8>)>,
}

impl Room {
    /// All of it is free.
    pub const fn new(free: Range<u64>) -> Self {
        Self {
            free,
            writes: Vec::new(),
        }
    }

    /// Keeps room for a table that is not made yet, at a multiple of `align`; `None` where there is none.
    pub fn reserve(&mut self, bytes: usize, align: u64) -> Option<Gpa> {
        let at = self.free.start.checked_next_multiple_of(align)?;
        let end = at.checked_add(bytes as u64)?;
        if end > self.free.end {
            return None;
        }
        self.free.start = end;
        Some(Gpa(at))
    }

    /// Fills what was reserved.
    pub fn fill(&mut self, at: Gpa, bytes: Vec<u8>) {
        self.writes.push((at, bytes));
    }

    /// Places a table; `None` where there is no room.
    pub fn put(&mut self, bytes: Vec<u8>, align: u64) -> Option<Gpa> {
        let at = self.reserve(bytes.len(), align)?;
        self.fill(at, bytes);
        Some(at)
    }

    /// What was placed.
    pub fn writes(self) -> Vec<(Gpa, Vec<u8>)> {
        self.writes
    }
}
