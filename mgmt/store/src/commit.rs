//! What is to be done on the disk to make a change durable.

use alloc::vec;
use alloc::vec::Vec;

use crate::SECTOR_BYTES;
use crate::header::Header;
use crate::superblock::Superblock;

/// One step on the disk. Each must have succeeded before the next begins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Write these whole sectors.
    Write {
        /// First sector.
        sector: u64,
        /// The sectors' bytes.
        data: Vec<u8>,
    },
    /// Make all writes so far durable.
    Flush,
}

/// A commit under way. Its steps done, it is handed back to the store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Commit {
    steps: Vec<Step>,
    pub(crate) generation: u64,
    pub(crate) slot: usize,
    /// The store's count of changes that it contains.
    pub(crate) changes: u64,
}

/// Whether the disk has a superblock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Disk {
    /// It has.
    Formatted,
    /// It is blank.
    Blank,
}

impl Commit {
    pub(crate) fn new(
        superblock: &Superblock,
        disk: Disk,
        generation: u64,
        slot: usize,
        changes: u64,
        mut content: Vec<u8>,
    ) -> Self {
        let header = Header::new(generation, &content);
        let first = superblock.slot(slot);
        let write = |sector, data| Step::Write { sector, data };
        content.resize(content.len().next_multiple_of(SECTOR_BYTES), 0);
        let mut steps = Vec::new();
        if disk == Disk::Blank {
            // Slots that some earlier use left behind must not count; the superblock comes when they are gone.
            for slot in 0..2 {
                steps.push(write(superblock.slot(slot), vec![0; SECTOR_BYTES]));
            }
            steps.push(Step::Flush);
            steps.push(write(0, superblock.bytes().to_vec()));
        }
        if !content.is_empty() {
            steps.push(write(first.saturating_add(1), content));
        }
        // The header must not be there before its content is: it would make a slot current that is not whole. (Its checksum
        // would tell; but this slot's old header is as good as any for that moment.)
        steps.push(Step::Flush);
        steps.push(write(first, header.bytes().to_vec()));
        steps.push(Step::Flush);
        Commit {
            steps,
            generation,
            slot,
            changes,
        }
    }

    /// The steps, in order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }
}
