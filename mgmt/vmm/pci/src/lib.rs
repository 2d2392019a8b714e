//! What a guest sees of PCI: configuration spaces, BARs, capabilities, MSI-X, INTx, and the decoding of accesses to them.
//!
//! Called by `vmm-virtio`, whose transport keeps a [`Function`], and by `vmm-board`, which owns all functions of a guest and
//! routes its accesses with [`AddressPort`], [`ecam_target`] and [`BarMap`]. There is one bus, 0, without bridges; each device
//! has one function. Invariants: no access panics or allocates, whatever its address, width and value; a message leaves only
//! where bus mastering and MSI-X are on and neither the function nor the entry is masked.
//!
//! Sections cited are those of the PCI Local Bus Specification 3.0, and of PCI Express Base 2.0 where ECAM is meant.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod bar;
mod bar_map;
mod capability;
mod config_address;
mod function;
mod host_bridge;
mod intx;
mod message;
mod msix;
mod register;
mod slot;
mod state;
mod width;

pub use bar::{BarError, BarIndex};
pub use bar_map::{BarHit, BarMap, MemoryWindow};
pub use capability::{CapabilityId, CapabilityOffset, ConfigFull};
pub use config_address::{AddressPort, ConfigAddress, ECAM_BYTES, ecam_target};
pub use function::{Function, Identity};
pub use host_bridge::host_bridge;
pub use intx::{Gsi, IntxLevels, Level, Pin};
pub use message::{Message, Outbox};
pub use msix::{MAX_VECTORS, MsixPlace};
pub use register::{CAPABILITIES, COMMAND, INTERRUPT_LINE, STATUS, command};
pub use slot::{SLOTS, Slot};
pub use state::{BadState, StateReader, StateWriter};
pub use width::Width;
