//! A device of 16 bytes of memory: what is written can be read back. It lets a guest test the path of its I/O requests.

use crate::PortDevice;

/// The device.
#[derive(Default)]
pub struct Scratch([u8; Self::PORTS as usize]);

impl Scratch {
    /// Ports that it takes.
    pub const PORTS: u16 = 16;

    fn bytes(&mut self, offset: u16, size: u8) -> &mut [u8] {
        let start = usize::from(offset);
        let end = start + usize::from(size);
        self.0.get_mut(start..end).unwrap_or_default()
    }
}

impl PortDevice for Scratch {
    fn read(&mut self, offset: u16, size: u8) -> u64 {
        let bytes = self.bytes(offset, size);
        bytes
            .iter()
            .rev()
            .fold(0, |value, byte| value << 8 | u64::from(*byte))
    }

    fn write(&mut self, offset: u16, size: u8, value: u64) {
        for (byte, new) in self.bytes(offset, size).iter_mut().zip(value.to_le_bytes()) {
            *byte = new;
        }
    }
}
