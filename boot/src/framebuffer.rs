//! The linear framebuffer that the boot loader set up.

use bulkhead_core::addr::Hpa;

/// A linear framebuffer of direct RGB pixels, 32 or 24 bits each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Framebuffer {
    /// First byte.
    pub address: Hpa,
    /// Bytes from one line to the next.
    pub pitch: u32,
    /// Pixels in a line.
    pub width: u32,
    /// Lines.
    pub height: u32,
    /// Bytes in a pixel: 3 or 4.
    pub pixel_bytes: u8,
    /// Lowest bits of red, green and blue in a pixel.
    pub shifts: [u8; 3],
}

impl Framebuffer {
    /// The framebuffer's size; `None` where it does not fit 64 bits.
    pub fn bytes(&self) -> Option<u64> {
        u64::from(self.pitch).checked_mul(u64::from(self.height))
    }
}
