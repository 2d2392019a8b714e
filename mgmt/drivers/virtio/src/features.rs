//! Feature bits (virtio 1.2, 6 and the device chapters).

use core::ops::BitOr;

/// A set of feature bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Features(pub u64);

impl Features {
    /// Block: the disk cannot be written.
    pub const BLOCK_READ_ONLY: Self = Features(1 << 5);
    /// Block: the flush request exists.
    pub const BLOCK_FLUSH: Self = Features(1 << 9);
    /// Console: several ports, with control queues.
    pub const CONSOLE_MULTIPORT: Self = Features(1 << 1);
    /// Net: the device has a MAC address.
    pub const NET_MAC: Self = Features(1 << 5);
    /// Ring: notifications by event index.
    pub const EVENT_INDEX: Self = Features(1 << 29);
    /// The device follows virtio 1.0 or later.
    pub const VERSION_1: Self = Features(1 << 32);
    /// The device's memory accesses go through an IOMMU, where the platform has one. Addresses are the same either
    /// way: the hypervisor maps the partition's memory one to one.
    pub const ACCESS_PLATFORM: Self = Features(1 << 33);

    /// The bits that both sets have.
    pub const fn and(self, other: Self) -> Self {
        Features(self.0 & other.0)
    }

    /// Whether all bits of `other` are set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Features {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Features(self.0 | other.0)
    }
}
