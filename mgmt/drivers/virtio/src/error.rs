//! What can go wrong with a virtio device.

use core::fmt;

/// Why a device cannot be used, or an operation failed. Except for [`VirtioError::Full`] and the block request
/// errors, the device is of no use afterwards.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VirtioError {
    /// A structure that every device must have is missing or lies outside its BAR.
    NoStructure(&'static str),
    /// The device did not finish its reset.
    ResetHangs,
    /// The device does not offer VERSION_1: it is a legacy device.
    Legacy,
    /// The device did not accept the chosen features.
    FeaturesRefused,
    /// The device has no queue of this number.
    NoQueue(u16),
    /// The device did not take the MSI-X entry for this queue.
    VectorRefused(u16),
    /// There is no DMA memory left.
    NoMemory,
    /// Every descriptor or slot is in use.
    Full,
    /// The device returned a buffer that it was not given.
    BadUsed(u32),
    /// The device says it needs a reset.
    NeedsReset,
    /// The request lies outside the disk, is empty, too long or not whole sectors.
    BadRange,
    /// The device reports an I/O error.
    DeviceFailed,
    /// The device does not support the request.
    Unsupported,
    /// The disk is read-only.
    ReadOnly,
}

impl fmt::Display for VirtioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use VirtioError::*;
        match self {
            NoStructure(name) => write!(f, "the device has no usable {name} structure"),
            ResetHangs => f.write_str("the device does not finish its reset"),
            Legacy => f.write_str("the device is a legacy one; give it disable-legacy=on"),
            FeaturesRefused => f.write_str("the device refuses the features it offered"),
            NoQueue(index) => write!(f, "the device has no queue {index}"),
            VectorRefused(index) => write!(f, "the device takes no MSI-X entry for queue {index}"),
            NoMemory => f.write_str("no DMA memory is left"),
            Full => f.write_str("every buffer of the device is in use"),
            BadUsed(id) => write!(f, "the device returned buffer {id}, which it does not have"),
            NeedsReset => f.write_str("the device has failed and needs a reset"),
            BadRange => f.write_str("the request does not lie on the disk or is not whole sectors"),
            DeviceFailed => f.write_str("the device reports an I/O error"),
            Unsupported => f.write_str("the device does not support the request"),
            ReadOnly => f.write_str("the disk is read-only"),
        }
    }
}
