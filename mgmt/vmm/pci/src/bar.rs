//! BARs: where a function's registers lie in memory (6.2.5).

use core::fmt;

/// One of the six BARs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct BarIndex(u8);

impl BarIndex {
    /// How many there are.
    pub const COUNT: u8 = 6;

    /// The first.
    pub const ZERO: Self = Self(0);

    /// The BAR of this number.
    pub const fn new(number: u8) -> Option<Self> {
        if number < Self::COUNT {
            Some(Self(number))
        } else {
            None
        }
    }

    /// Its number.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..Self::COUNT).map(Self)
    }
}

/// A BAR cannot have this size or this place. Only the composition of a board makes this error, never a guest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BarError {
    /// Which one.
    pub bar: BarIndex,
    /// Its bytes.
    pub bytes: u32,
}

impl fmt::Display for BarError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "BAR {} of {:#x} bytes: the size must be a power of two of at least 4 KiB, and the base a multiple of it",
            self.bar.0, self.bytes
        )
    }
}

impl core::error::Error for BarError {}
