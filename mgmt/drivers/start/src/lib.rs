//! What the management partition is told at its start: the [`StartInfo`] page, checked, and the command line.
//!
//! Called once by the binary, before anything else exists; [`Start::check`] therefore allocates nothing.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod options;
mod start;

pub use options::Options;
pub use start::{Ecam, Region, Start, StartError};
