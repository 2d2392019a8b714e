//! The image library: kernels, initial RAM disks and other files that virtual systems start from.
//!
//! Called by the management partition (uploads, loading of guests) and by the host tools, which put files on a disk
//! before it is booted from. Contents lie in the data area behind the configuration store's slots
//! ([`store::Store::data_start`]), in blocks of 64 KiB; the catalog is one entry an image in the configuration store.
//!
//! Invariants:
//! - a block is in use if and only if a catalog entry, an open [`Image`] or an [`Upload`] under way names it: free space
//!   is derived, never recorded;
//! - a catalog entry is written after the contents it names are flushed, and blocks that it named before are used again
//!   only when its change is durable: a power cut at any moment leaves the old image or the new one;
//! - what an upload has taken goes back when it is dropped.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod area;
mod catalog;
mod digest;
mod entry;
mod error;
mod facts;
mod format;
mod image;
mod library;
mod medium;
mod modules;
mod name;
mod upload;

#[cfg(test)]
mod fake;

pub use catalog::{Catalog, CatalogError, StoreCatalog};
pub use digest::Sha256Sum;
pub use error::LibraryError;
pub use facts::{ImageFacts, Origin};
pub use format::Format;
pub use image::Image;
pub use library::{Damage, Library, Outcome};
pub use medium::{Medium, MediumSectors};
pub use name::ImageName;
pub use upload::Upload;

/// Bytes of a block: what space is given out in.
pub const BLOCK_BYTES: u64 = 64 * 1024;
