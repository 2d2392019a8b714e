//! The contract between the hypervisor and its partitions.
//!
//! Plain old data and numbers, no logic: hypercalls, the start-up information, shared pages, records.
//! The hypervisor and the management partition meet nowhere else. Every layout is little-endian,
//! fixed, and checked at compile time. [`VERSION`] changes with every incompatible change.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod console;
pub mod crash;
pub mod event;
pub mod host;
pub mod hypercall;
pub mod io;
pub mod partition;
pub mod start;

/// Version of the contract; [`hypercall::Number::Version`] returns it.
pub const VERSION: u32 = 1;

/// Byte port on which every partition may print; the hypervisor shows each line on its console,
/// prefixed with the partition's name, and keeps it in its log.
pub const DEBUG_PORT: u16 = 0xe9;
