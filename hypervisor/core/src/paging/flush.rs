//! What an edit leaves to do: a TLB flush, and then the release of the tables it unlinked.

use super::ports::{TableFrames, TableMemory};
use super::reserve::{chain, unchain};
use crate::addr::Hpa;

/// Evidence that no CPU or device can still use translations from before an edit.
#[derive(Debug)]
pub struct Flushed(());

impl Flushed {
    /// States that the flush is complete: every CPU that may have walked the tables has flushed
    /// them (or entered with a fresh tag) *after* the edit, or the tables were never active.
    pub const fn attest() -> Self {
        Flushed(())
    }
}

/// The debt of an edit: flush first, then [`release`](Flush::release) the unlinked tables.
///
/// Retired tables form a chain through their first entry. A walker that still holds one in its
/// paging-structure cache reads the link as a not-present entry, which is the state after the
/// edit, so the chain exposes nothing.
#[derive(Debug)]
#[must_use = "translations are stale and tables stay allocated until the flush is done and released"]
pub struct Flush {
    needed: bool,
    head: Option<Hpa>,
    tail: Option<Hpa>,
}

impl Flush {
    /// Nothing to flush.
    pub const fn none() -> Self {
        Flush {
            needed: false,
            head: None,
            tail: None,
        }
    }

    /// Whether a present entry was changed, so that TLBs may hold what no longer holds.
    pub const fn is_needed(&self) -> bool {
        self.needed
    }

    /// Adds the debt of a later edit, to be paid by one flush for both.
    pub fn append(&mut self, later: Flush, memory: &mut impl TableMemory) {
        self.needed |= later.needed;
        match (self.tail, later.head) {
            (Some(tail), Some(head)) => {
                memory.store(tail, chain(Some(head)));
                self.tail = later.tail;
            }
            (None, _) => {
                self.head = later.head;
                self.tail = later.tail;
            }
            (Some(_), None) => {}
        }
    }

    /// Frees the retired tables. The proof says that the flush is complete.
    pub fn release(
        self,
        _proof: Flushed,
        memory: &mut impl TableMemory,
        frames: &mut impl TableFrames,
    ) {
        let mut next = self.head;
        while let Some(frame) = next {
            next = unchain(memory.load(frame));
            frames.free(frame);
        }
    }

    /// A present entry changed.
    pub(super) fn need(&mut self) {
        self.needed = true;
    }

    /// Puts an unlinked table, whose own children are already here, on the chain.
    pub(super) fn retire(&mut self, table: Hpa, memory: &mut impl TableMemory) {
        self.needed = true;
        memory.store(table, chain(self.head));
        self.head = Some(table);
        if self.tail.is_none() {
            self.tail = Some(table);
        }
    }
}
