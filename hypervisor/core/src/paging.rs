//! One page-table engine for every table format: the host's own, the guests' nested tables, the IOMMUs'.
//!
//! [`PageTable`] is called by the code that owns an address space (host mappings, a partition's
//! memory, a DMA domain). It writes through [`TableMemory`], takes frames from [`TableFrames`] and
//! knows entry layouts only through [`Format`]; nothing here needs hardware.
//!
//! Invariants, proved by the tests after every single store:
//! - An address shows its old or its new mapping, never a third state: tables are filled before
//!   they are linked.
//! - A table that was unlinked is freed only against a [`Flushed`] proof, because a CPU may still
//!   walk it from its paging-structure caches.
//! - An operation that fails has changed nothing and holds no frame.
//!
//! There is no lock inside: the owner of a [`PageTable`] serialises its writers; the hardware and
//! [`PageTable::translate`] may walk at any time.

mod edit;
mod flush;
mod format;
pub mod guest_walk;
mod level;
mod long_mode;
mod map;
mod ports;
mod reserve;
mod table;

#[cfg(test)]
pub(crate) mod fakes;
#[cfg(test)]
mod tests;

pub use flush::{Flush, Flushed};
pub use format::{Attributes, Entry, Format, InputAddress, MemoryType, Permissions, Usage};
pub use level::Level;
pub use long_mode::{GigabytePages, LongMode, UserBit};
pub use ports::{TableFrames, TableMemory};
pub use table::{MapError, Mapping, Mappings, PageTable};
