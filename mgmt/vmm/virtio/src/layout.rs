//! Numbers and layouts of the specification, and where the registers of a device lie in its BAR.

/// Vendor id of all virtio devices (4.1.2).
pub const VENDOR: u16 = 0x1af4;
/// Device ids of non-transitional devices: this and the type (4.1.2.1).
pub const FIRST_DEVICE: u16 = 0x1040;
/// Non-transitional devices have at least this revision (4.1.2.1).
pub const REVISION: u8 = 1;

/// "No MSI-X vector" (4.1.4.3.1).
pub const NO_VECTOR: u16 = 0xffff;

/// Bits of the device status (2.1).
pub mod status {
    /// The guest has seen the device.
    pub const ACKNOWLEDGE: u8 = 1;
    /// It has a driver for it.
    pub const DRIVER: u8 = 2;
    /// The driver is ready.
    pub const DRIVER_OK: u8 = 4;
    /// The features are agreed.
    pub const FEATURES_OK: u8 = 8;
    /// The driver did something wrong; nothing goes on until it resets the device.
    pub const NEEDS_RESET: u8 = 64;
    /// The driver gave up.
    pub const FAILED: u8 = 128;
    /// What a driver can set.
    pub(crate) const DRIVERS: u8 = ACKNOWLEDGE | DRIVER | DRIVER_OK | FEATURES_OK | FAILED;
}

/// Bits of the ISR status (4.1.4.5).
pub mod isr {
    pub const QUEUE: u8 = 1;
    pub const CONFIG: u8 = 2;
}

/// Where registers lie in BAR 0 of every device: a page for each kind, so that each can be mapped or watched by itself.
pub mod place {
    /// Bytes of the BAR.
    pub const BAR_BYTES: u32 = 0x8000;
    /// Bytes of each region.
    pub(crate) const REGION_BYTES: u32 = 0x1000;
    /// The common configuration (4.1.4.3).
    pub const COMMON: u32 = 0;
    /// ISR status.
    pub const ISR: u32 = 0x1000;
    /// Device-specific configuration.
    pub const DEVICE: u32 = 0x2000;
    /// Notifications: that of queue n at n times [`NOTIFY_STRIDE`].
    pub const NOTIFY: u32 = 0x3000;
    /// Bytes from one queue's notification to the next.
    pub const NOTIFY_STRIDE: u32 = 4;
    /// The MSI-X table.
    pub const MSIX_TABLE: u32 = 0x4000;
    /// The MSI-X pending bits.
    pub const MSIX_PENDING: u32 = 0x5000;
}

/// Offsets in the common configuration (4.1.4.3).
pub mod common {
    pub const DEVICE_FEATURE_SELECT: u64 = 0x00;
    pub const DEVICE_FEATURE: usize = 0x04;
    pub const DRIVER_FEATURE_SELECT: u64 = 0x08;
    pub const DRIVER_FEATURE: u64 = 0x0c;
    pub const CONFIG_VECTOR: u64 = 0x10;
    pub const QUEUE_COUNT: usize = 0x12;
    pub const STATUS: u64 = 0x14;
    pub const GENERATION: usize = 0x15;
    pub const QUEUE_SELECT: u64 = 0x16;
    pub const QUEUE_SIZE: u64 = 0x18;
    pub const QUEUE_VECTOR: u64 = 0x1a;
    pub const QUEUE_ENABLE: u64 = 0x1c;
    pub const QUEUE_NOTIFY_OFFSET: usize = 0x1e;
    pub const QUEUE_DESCRIPTORS: u64 = 0x20;
    pub const QUEUE_AVAILABLE: u64 = 0x28;
    pub const QUEUE_USED: u64 = 0x30;
    pub const BYTES: usize = 0x38;
}

/// `cfg_type` of the vendor-specific capabilities (4.1.4).
pub mod capability {
    pub const COMMON: u8 = 1;
    pub const NOTIFY: u8 = 2;
    pub const ISR: u8 = 3;
    pub const DEVICE: u8 = 4;
    pub const PCI_ACCESS: u8 = 5;
}

/// Split queues (2.7).
pub mod split {
    /// Bytes of a descriptor.
    pub const DESCRIPTOR_BYTES: u64 = 16;
    /// Flags of a descriptor (2.7.5).
    pub const NEXT: u16 = 1;
    pub const WRITE: u16 = 2;
    pub const INDIRECT: u16 = 4;
    /// Flag of the available ring: no interrupts, please (2.7.7).
    pub const NO_INTERRUPT: u16 = 1;
    /// Offsets in both rings: flags, index, first entry.
    pub const FLAGS: u64 = 0;
    pub const INDEX: u64 = 2;
    pub const ENTRIES: u64 = 4;
    pub const AVAILABLE_ENTRY_BYTES: u64 = 2;
    pub const USED_ENTRY_BYTES: u64 = 8;
    /// Alignments (2.7).
    pub const DESCRIPTORS_ALIGN: u64 = 16;
    pub const AVAILABLE_ALIGN: u64 = 2;
    pub const USED_ALIGN: u64 = 4;
}
