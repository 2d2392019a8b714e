//! The WBEM server in the management partition: cim-server on the partition's connections, clock and store.
//!
//! Called by the binary's composition root: [`Keeper`] over the disk's store, [`Wbem::open`] once it is read, then one
//! [`WbemService`] for each transport. No client is told that a change is made before the change is durable: a
//! connection's output waits for the commit.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod accounts;
mod gate;
mod images;
mod keeper;
mod records;
mod service;
mod wbem;

pub use images::{KeeperCatalog, KeptImages, KeptLibrary, open_library};
pub use keeper::{Durability, Keeper, Mark};
pub use service::WbemService;
pub use wbem::{Wbem, WbemConfig, WbemError, clock_at, server_name};
