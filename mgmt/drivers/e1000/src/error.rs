//! What can go wrong with a card.

use core::fmt;

/// Why a card cannot be used, or an operation failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum E1000Error {
    /// Its register range is too short to be one.
    FewRegisters,
    /// It did not finish its reset.
    ResetHangs,
    /// Its EEPROM gave it no address.
    NoAddress,
    /// There is no DMA memory left.
    NoMemory,
    /// It does not answer any more.
    Gone,
    /// Every descriptor is in use.
    Full,
    /// The frame is too long.
    TooLong,
}

impl fmt::Display for E1000Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            E1000Error::FewRegisters => "the card's register range is too short",
            E1000Error::ResetHangs => "the card does not finish its reset",
            E1000Error::NoAddress => "the card has no Ethernet address in its EEPROM",
            E1000Error::NoMemory => "there is no memory left for the card's buffers",
            E1000Error::Gone => "the card does not answer any more",
            E1000Error::Full => "the card has no room for a frame",
            E1000Error::TooLong => "the frame is longer than Ethernet allows",
        })
    }
}
