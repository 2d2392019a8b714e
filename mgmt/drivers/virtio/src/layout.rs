//! Where a virtio function keeps its structures (virtio 1.2, 4.1.4).

use mgmt_pci::{ConfigSpace, Function, Window};

use crate::VirtioError;

/// PCI vendor id of virtio devices.
pub const VENDOR: u16 = 0x1af4;

const VENDOR_CAPABILITY: u8 = 0x09;
const COMMON_BYTES: u64 = 0x38;

/// What a virtio function is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DeviceKind {
    /// Network card.
    Net,
    /// Block device.
    Block,
    /// Console, which is also the serial channel.
    Console,
}

impl DeviceKind {
    /// The kind of this vendor and device id, for kinds that have a driver here; transitional ids included.
    pub fn from_ids(vendor: u16, device: u16) -> Option<Self> {
        if vendor != VENDOR {
            return None;
        }
        Some(match device {
            0x1041 | 0x1000 => DeviceKind::Net,
            0x1042 | 0x1001 => DeviceKind::Block,
            0x1043 | 0x1003 => DeviceKind::Console,
            _ => return None,
        })
    }
}

/// The structures of one function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    /// Common configuration.
    pub common: Window,
    /// Notification addresses.
    pub notify: Window,
    /// Bytes between two queues' notification addresses, times queue_notify_off.
    pub notify_multiplier: u32,
    /// The device's own configuration.
    pub device: Option<Window>,
}

impl Layout {
    /// Finds the structures. Of several of a kind the first counts, as the specification asks.
    ///
    /// # Errors
    /// [`VirtioError::NoStructure`] where a needed one is missing or lies outside its BAR.
    pub fn find<C: ConfigSpace>(
        config: &C,
        function: &Function<'_, C>,
    ) -> Result<Self, VirtioError> {
        let (mut common, mut notify, mut device) = (None, None, None);
        for capability in function.capabilities() {
            if capability.id != VENDOR_CAPABILITY {
                continue;
            }
            let word = |offset: u8| {
                let at = capability.offset.checked_add(offset)?;
                Some(config.read(function.address(), at))
            };
            let window = || {
                let bar = function.bar(word(4)? as u8).ok()?;
                bar.window.part(word(8)?.into(), word(12)?.into())
            };
            let kind = word(0).unwrap_or(0) >> 24;
            match kind {
                1 if common.is_none() => common = window(),
                2 if notify.is_none() => notify = window().zip(word(16)),
                4 if device.is_none() => device = window(),
                _ => {}
            }
        }
        let common = common
            .filter(|window| window.length >= COMMON_BYTES)
            .ok_or(VirtioError::NoStructure("common configuration"))?;
        let (notify, notify_multiplier) = notify.ok_or(VirtioError::NoStructure("notification"))?;
        Ok(Layout {
            common,
            notify,
            notify_multiplier,
            device,
        })
    }
}
