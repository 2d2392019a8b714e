//! [`Features`]: what device and driver agree on (2.2, 6).

use core::ops::BitOr;

/// A set of feature bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Features(pub u64);

impl Features {
    /// Console: the terminal's size is in the configuration (5.3.3).
    pub const CONSOLE_SIZE: Self = Self(1 << 0);
    /// Descriptors may name tables of descriptors.
    pub const INDIRECT: Self = Self(1 << 28);
    /// Both sides tell at which index they want to be notified.
    pub const EVENT_INDEX: Self = Self(1 << 29);
    /// Virtio 1.0 or later.
    pub const VERSION_1: Self = Self(1 << 32);

    /// What every device here offers: the transport and the queues do it.
    pub const OF_TRANSPORT: Self = Self(Self::INDIRECT.0 | Self::EVENT_INDEX.0 | Self::VERSION_1.0);

    /// Whether all of `others` are in it.
    pub const fn has(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// Its low or high 32 bits, as the registers show them; beyond these there is nothing.
    pub const fn word(self, select: u32) -> u32 {
        match select {
            0 => self.0 as u32,
            1 => (self.0 >> 32) as u32,
            _ => 0,
        }
    }

    /// With its low or high 32 bits replaced.
    pub const fn with_word(self, select: u32, word: u32) -> Self {
        match select {
            0 => Self(self.0 & !0xffff_ffff | word as u64),
            1 => Self(self.0 & 0xffff_ffff | (word as u64) << 32),
            _ => self,
        }
    }
}

impl BitOr for Features {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}
