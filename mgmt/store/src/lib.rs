//! The management partition's store: named blobs on a disk, changed by atomic commits.
//!
//! A commit is durable as a whole or has not happened, whenever the power goes. The whole content is kept in memory and
//! written anew by each commit into the slot that is not current: right for the few megabytes of accounts,
//! subscriptions and definitions that it holds.
//!
//! The caller does the I/O: [`open`] reads through [`Sectors`], and a [`Commit`] is a list of steps. Layout:
//!
//! | sectors | content |
//! |---|---|
//! | 0 | superblock: magic, version, geometry, checksum; written once |
//! | 2048 ... | slot A: a header sector (generation, length, checksums), then the content |
//! | after it | slot B, the same |
//! | from the next mebibyte to the end | the data area ([`Store::data_start`]): others keep their contents there |
//!
//! The slot with the highest generation whose checksums are right is current.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod checksum;
mod commit;
mod content;
mod header;
mod open;
mod store;
mod superblock;

#[cfg(test)]
mod fake;

pub use checksum::crc32c;
pub use commit::{Commit, Step};
pub use open::{OpenError, Opened, Sectors, open};
pub use store::{Store, StoreError};

/// Bytes of a sector.
pub const SECTOR_BYTES: usize = 512;
