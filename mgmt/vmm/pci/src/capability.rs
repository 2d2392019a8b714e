//! The list of capabilities (6.7).

use core::fmt;

/// What a capability is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CapabilityId(pub u8);

impl CapabilityId {
    /// A vendor's own (6.8.1 of the list in appendix H).
    pub const VENDOR: Self = Self(0x09);
    /// MSI-X.
    pub const MSIX: Self = Self(0x11);
}

/// Where a capability begins in its function's configuration space.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CapabilityOffset(pub u16);

/// A function's configuration space has no room for a capability. Only the composition of a device makes this error, never a
/// guest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConfigFull;

impl fmt::Display for ConfigFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the capabilities of a PCI function do not fit in its configuration space")
    }
}

impl core::error::Error for ConfigFull {}
