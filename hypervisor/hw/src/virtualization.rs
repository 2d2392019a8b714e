//! What both virtualization backends use: guests' extended state, permission maps, zeroed pages, double faults.

pub(crate) mod combine;
pub(crate) mod extended_state;
pub(crate) mod pages;
mod permission_map;

pub use permission_map::{MsrAccess, PermissionMaps};
