//! What both virtualization backends use: guests' registers and extended state, permission maps, zeroed pages, double faults.

pub(crate) mod combine;
pub(crate) mod extended_state;
pub(crate) mod pages;
mod permission_map;
pub(crate) mod register_file;

pub use permission_map::{MsrAccess, PermissionMaps};
