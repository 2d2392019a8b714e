//! The WBEM server as a host process: the same crates as in the management partition, over TCP.
//!
//! Called by the `cim-sim` binary (and through it by `cargo xtask sim`), by the client suites and by benchmarks.
//! One thread owns the server, which is single-threaded as in the partition; each connection has a reading and a
//! writing thread that only move bytes.
#![forbid(unsafe_code)]

pub mod demo;
mod images;
mod line;
mod listen;
mod options;
mod setup;
mod world;

pub use images::MemoryImages;
pub use listen::{Host, HostError};
pub use options::{NewAccount, Options, OptionsError};
pub use setup::{Ready, build};
pub use world::World;
