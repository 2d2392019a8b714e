//! Driver of Intel's gigabit network cards of the 8254x family and of the 82574L, frames in and frames out.
//!
//! Called by the management partition, for lab machines and for emulators without virtio. Registers and DMA memory are
//! reached through [`mgmt_platform`]; the tests put a model of the card behind it. The descriptors are the legacy
//! ones, which all these cards have. Section numbers are those of Intel's "PCI/PCI-X Family of Gigabit Ethernet
//! Controllers Software Developer's Manual" (317453); the 82574's datasheet (317694) has the same registers.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod card;
mod error;
mod model;
mod registers;
mod ring;

#[cfg(test)]
mod fake;

pub use card::{Card, MAX_FRAME, Notice};
pub use error::E1000Error;
pub use model::Model;
