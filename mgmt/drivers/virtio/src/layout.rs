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

#[cfg(test)]
mod tests {
    use super::*;
    use mgmt_pci::Address;
    use std::collections::HashMap;

    const AT: Address = Address::new(0, 2, 0);

    /// Configuration space of one function, whose 64-bit BAR 4 of 16 KiB lies at 0xfebf0000.
    struct Space(std::cell::RefCell<HashMap<u8, u32>>);

    impl Space {
        /// A function with these capabilities: kind, BAR, offset and length, in configuration space from 0x40 on.
        fn new(capabilities: &[(u32, u32, u32, u32)]) -> Self {
            let mut words = HashMap::from([(0, 0x1041_1af4), (4, 1 << 20), (0x34, 0x40)]);
            words.extend([(0x20, 0xfebf_0004), (0x24, 0)]);
            for (index, &(kind, bar, offset, length)) in capabilities.iter().enumerate() {
                let at = 0x40 + index as u8 * 20;
                let next = match index + 1 < capabilities.len() {
                    true => u32::from(at) + 20,
                    false => 0,
                };
                words.insert(at, kind << 24 | 20 << 16 | next << 8 | 0x09);
                words.extend([
                    (at + 4, bar),
                    (at + 8, offset),
                    (at + 12, length),
                    (at + 16, 4),
                ]);
            }
            Space(words.into())
        }

        fn find(&self) -> Result<Layout, VirtioError> {
            Layout::find(self, &Function::probe(self, AT).unwrap())
        }
    }

    impl ConfigSpace for Space {
        fn read(&self, address: Address, offset: u8) -> u32 {
            assert_eq!(address, AT);
            self.0.borrow().get(&offset).copied().unwrap_or(0)
        }

        fn write(&self, _: Address, offset: u8, value: u32) {
            let value = match offset {
                0x20 => value & 0xffff_c000 | 4,
                0x10..0x24 => 0,
                _ => value,
            };
            self.0.borrow_mut().insert(offset, value);
        }
    }

    #[test]
    fn the_first_structure_of_each_kind_counts() {
        let space = Space::new(&[
            (5, 0, 0, 4),
            (1, 4, 0, 0x38),
            (1, 4, 0x3000, 0x38),
            (2, 4, 0x1000, 0x100),
            (4, 4, 0x2000, 0x40),
        ]);
        let layout = space.find().unwrap();
        assert_eq!(layout.common.base, 0xfebf_0000);
        assert_eq!(layout.notify.base, 0xfebf_1000);
        assert_eq!(layout.notify_multiplier, 4);
        assert_eq!(layout.device.unwrap().length, 0x40);
    }

    #[test]
    fn structures_that_are_missing_short_or_outside_their_bar_are_refused() {
        let common = Err(VirtioError::NoStructure("common configuration"));
        let notify = Err(VirtioError::NoStructure("notification"));
        let find = |capabilities: &[_]| Space::new(capabilities).find();
        assert_eq!(find(&[(2, 4, 0, 0x100)]), common);
        assert_eq!(find(&[(1, 4, 0, 0x37), (2, 4, 0, 0x100)]), common);
        assert_eq!(find(&[(1, 4, 0x3fff, 0x38), (2, 4, 0, 0x100)]), common);
        assert_eq!(find(&[(1, 7, 0, 0x38), (2, 4, 0, 0x100)]), common);
        assert_eq!(find(&[(1, 4, 0, 0x38)]), notify);
        assert_eq!(find(&[(1, 4, 0, 0x38), (2, 4, u32::MAX, 2)]), notify);
    }

    #[test]
    fn kinds_are_known_by_modern_and_transitional_ids() {
        assert_eq!(DeviceKind::from_ids(VENDOR, 0x1041), Some(DeviceKind::Net));
        assert_eq!(
            DeviceKind::from_ids(VENDOR, 0x1001),
            Some(DeviceKind::Block)
        );
        assert_eq!(DeviceKind::from_ids(VENDOR, 0x1044), None);
        assert_eq!(DeviceKind::from_ids(0x8086, 0x1041), None);
    }
}
