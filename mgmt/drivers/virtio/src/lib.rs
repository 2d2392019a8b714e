//! virtio 1.x over PCI for the management partition: transport, split queues, and drivers for net, block and console.
//!
//! The crate holds logic only: device registers and DMA memory are reached through [`mgmt_platform`], which the binary
//! implements; the tests put a device model behind it. virtio-drivers was considered and left: it never programs
//! MSI-X vectors, its console has no multiport and its block driver waits by spinning.
//! Section numbers are those of the OASIS virtio 1.2 specification.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod block;
mod console;
mod control;
mod disk;
mod error;
mod features;
mod layout;
mod net;
mod queue;
mod transport;

#[cfg(test)]
mod fake;

use mgmt_platform::{Memory, Platform, Registers};

pub use block::{Block, Operation, SECTOR_BYTES, SLOT_BYTES, SlotId};
pub use console::{Console, PortEvent};
pub use disk::Disk;
pub use error::VirtioError;
pub use features::Features;
pub use layout::{DeviceKind, Layout, VENDOR};
pub use net::{MAX_FRAME, Net};
pub use queue::{Access, Kick, Queue, Segment, Used};
pub use transport::{MsixEntry, Transport};
