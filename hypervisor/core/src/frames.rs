//! Who owns which physical memory: 2 MiB blocks for guests, and 4 KiB frames for the hypervisor's tables.
//!
//! Boot code calls [`Layout::plan`] with the firmware's map and builds the one [`FrameAllocator`];
//! partition creation and destruction call it; page tables get their frames from [`FramePool`].
//!
//! Invariants:
//! - Every block has exactly one owner or is free; the counts in the ledger are exact at any time.
//! - A request succeeds wholly or changes nothing; a wrong free is detected and changes nothing.
//! - Nothing allocates: the state lives in storage that the caller sized at boot (2 bytes for each
//!   block, so 4 MiB for 4 TiB). Physical page 0 is never handed out.
//!
//! There is no lock inside; the owner serialises calls.

mod allocator;
mod layout;
mod ledger;
mod pool;

#[cfg(test)]
mod tests;

pub use allocator::{FrameAllocator, Placement, Storage};
pub use layout::{Layout, LayoutError, NodeId, NodeRange, Zone};
pub use ledger::{FreeError, NodeLedger, Owner};
pub use pool::{FramePool, PoolBlock};

use crate::addr::PageSize;

/// Bytes in a block, the unit of allocation for guests.
pub const BLOCK_BYTES: u64 = PageSize::Size2M.bytes();

/// Blocks in a chunk of 1 GiB.
const CHUNK_BLOCKS: u64 = PageSize::Size1G.bytes() / BLOCK_BYTES;
