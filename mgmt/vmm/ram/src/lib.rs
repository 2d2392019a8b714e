//! A guest's memory as the management partition's device models and loaders reach it, and where it lies.
//!
//! Device models, loaders and firmware tables take a [`GuestRam`]; the partition's binary implements it over the window that
//! maps a guest's RAM, tests use `fake::FakeRam`. What is read may change under the reader at any time: the guest runs. So
//! nothing that was read twice is the same, and every number is checked where it is used.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod access;
#[cfg(any(test, feature = "fake"))]
pub mod fake;
mod gpa;
mod layout;
mod memory_map;

pub use access::{GuestRam, NotRam};
pub use gpa::Gpa;
pub use layout::{RamLayout, RamRange};
pub use memory_map::{MemoryKind, MemoryRange};
