//! Interrupt remapping tables (48882, 2.2.5): which interrupts a domain's devices can raise.
//!
//! One table for each domain, shared by its devices. A device sends the index of an entry as its
//! message data; whatever else it sends is aborted.

use bulkhead_core::addr::Hpa;
use bulkhead_core::id::{ApicId, Vector};
use bulkhead_core::paging::TableMemory;

/// Entries of a table. With more, the index would reach into the data bits that carry the delivery
/// mode, by which some emulations judge a message before they look into the table.
pub const INTERRUPTS: usize = 256;

/// The table-length field of a device table entry: 2^8 entries.
pub(super) const LENGTH_FIELD: u64 = 8 << 1;

const ENABLED: u32 = 1 << 0;
const DESTINATION_SHIFT: u32 = 8;
const VECTOR_SHIFT: u32 = 16;

/// A table in memory: one frame, of which the first 1024 bytes are used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct InterruptTable {
    base: Hpa,
}

impl InterruptTable {
    /// The table at `base`, all zero: every interrupt is aborted.
    pub(super) const fn new(base: Hpa) -> Self {
        InterruptTable { base }
    }

    pub(super) const fn base(&self) -> Hpa {
        self.base
    }

    /// Lets entry `index` raise `vector` on the CPU `target`: fixed delivery, physical destination.
    /// Returns false for a CPU whose id this format cannot hold.
    #[must_use]
    pub(super) fn set(
        &self,
        memory: &mut impl TableMemory,
        index: u8,
        target: ApicId,
        vector: Vector,
    ) -> bool {
        // 255 is the broadcast.
        let Some(target) = u8::try_from(target.0).ok().filter(|id| *id != u8::MAX) else {
            return false;
        };
        let entry =
            ENABLED | u32::from(target) << DESTINATION_SHIFT | u32::from(vector.0) << VECTOR_SHIFT;
        // Entries have 4 bytes: the neighbour is stored again as it was.
        let slot = self.base.wrapping_add(u64::from(index / 2) * 8);
        let shift = u32::from(index % 2) * 32;
        let others = memory.load(slot) & !(u64::from(u32::MAX) << shift);
        memory.store(slot, others | u64::from(entry) << shift);
        true
    }
}
