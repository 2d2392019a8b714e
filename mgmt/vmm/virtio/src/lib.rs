//! The device side of virtio 1.2 for guests: split queues, the PCI transport, and the models of console and entropy source.
//!
//! Called by `vmm-board`, which routes a guest's accesses to a [`VirtioPci`] and carries away what that sends. Everything here
//! runs when a guest asks for it, on memory that the guest changes meanwhile. Invariants: each number from the guest is
//! checked where it is used, and a copy of it is used where it is checked; one call does bounded work, and says so where work
//! is left ([`VirtioPci::has_work`]); what a guest does wrong stops its device with [`DeviceFault`] and DEVICE_NEEDS_RESET
//! (2.1.2), nothing else.
//!
//! Sections cited are those of the OASIS virtio 1.2 specification.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod byte_ring;
mod chain;
mod console;
mod device;
mod entropy;
mod fault;
mod features;
mod layout;
#[cfg(any(test, feature = "mock"))]
pub mod mock;
mod queue;
mod ring;
mod transport;

pub use chain::ChainAccess;
pub use console::{Console, INPUT, OUTPUT, TerminalSize};
pub use device::{Kind, QueueIndex, VirtioDevice};
pub use entropy::{Entropy, EntropySource};
pub use fault::{DeviceFault, QueueFault, SetupError};
pub use features::Features;
pub use layout::{place, status};
pub use ring::{Ring, Served, Stop};
pub use transport::VirtioPci;
