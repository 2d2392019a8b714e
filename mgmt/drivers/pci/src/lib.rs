//! PCI for the management partition: finding functions, their BARs and capabilities, MSI and MSI-X.
//!
//! The binary gives access to configuration space ([`ConfigSpace`]); everything that a device says is checked:
//! capability lists are walked with a limit, BAR sizes are validated. pci_types was considered and left: its
//! access trait is unsafe to call, which this layer does without.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod bar;
mod capability;
mod config;
mod function;
mod msi;
mod msix;
mod scan;

#[cfg(test)]
mod fake;

pub use bar::{Bar, BarError, Width, Window};
pub use capability::{Capabilities, Capability};
pub use config::{Address, ConfigSpace};
pub use function::{Function, Identity};
pub use msi::Msi;
pub use msix::{MsixTable, MsixTarget};
pub use scan::scan;
