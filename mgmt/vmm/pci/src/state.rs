//! [`StateWriter`] and [`StateReader`]: what devices are, as bytes: to be kept while whoever models them starts again.
//!
//! Little-endian numbers in a fixed order, without names; whoever composes the devices writes a version in front. Each part
//! checks what it reads as it would check what a guest writes.

use alloc::vec::Vec;
use core::fmt;

/// Bytes that grow.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct StateWriter {
    bytes: Vec<u8>,
}

impl StateWriter {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    /// Adds bytes.
    pub fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Adds a byte.
    pub fn put8(&mut self, value: u8) {
        self.put(&[value]);
    }

    /// Adds 16 bits.
    pub fn put16(&mut self, value: u16) {
        self.put(&value.to_le_bytes());
    }

    /// Adds 32 bits.
    pub fn put32(&mut self, value: u32) {
        self.put(&value.to_le_bytes());
    }

    /// Adds 64 bits.
    pub fn put64(&mut self, value: u64) {
        self.put(&value.to_le_bytes());
    }

    /// What was added.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Takes numbers out again.
#[derive(Clone, Copy, Debug)]
pub struct StateReader<'a> {
    rest: &'a [u8],
}

impl<'a> StateReader<'a> {
    /// At the first byte.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next bytes.
    ///
    /// # Errors
    /// [`BadState::Short`].
    pub fn take<const COUNT: usize>(&mut self) -> Result<[u8; COUNT], BadState> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(BadState::Short)?;
        self.rest = rest;
        Ok(*bytes)
    }

    /// The next byte.
    ///
    /// # Errors
    /// [`BadState::Short`].
    pub fn take8(&mut self) -> Result<u8, BadState> {
        let [byte] = self.take()?;
        Ok(byte)
    }

    /// The next 16 bits.
    ///
    /// # Errors
    /// [`BadState::Short`].
    pub fn take16(&mut self) -> Result<u16, BadState> {
        Ok(u16::from_le_bytes(self.take()?))
    }

    /// The next 32 bits.
    ///
    /// # Errors
    /// [`BadState::Short`].
    pub fn take32(&mut self) -> Result<u32, BadState> {
        Ok(u32::from_le_bytes(self.take()?))
    }

    /// The next 64 bits.
    ///
    /// # Errors
    /// [`BadState::Short`].
    pub fn take64(&mut self) -> Result<u64, BadState> {
        Ok(u64::from_le_bytes(self.take()?))
    }

    /// Makes sure that nothing is left.
    ///
    /// # Errors
    /// [`BadState::Long`].
    pub const fn end(self) -> Result<(), BadState> {
        match self.rest {
            [] => Ok(()),
            _ => Err(BadState::Long),
        }
    }
}

/// Bytes that are not the state of these devices.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BadState {
    /// They end too early.
    Short,
    /// They go on behind the end.
    Long,
    /// They are of another version, or of something else.
    Version,
    /// They are of other devices, or in other slots.
    Devices,
    /// A value that no device can have.
    Value,
}

impl fmt::Display for BadState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Short => "the state of the devices is cut off",
            Self::Long => "the state of the devices goes on behind its end",
            Self::Version => "the state of the devices is of another version",
            Self::Devices => "the state is that of other devices",
            Self::Value => "the state has a value that no device can have",
        })
    }
}

impl core::error::Error for BadState {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_in_their_order_and_nothing_behind_them() {
        let mut writer = StateWriter::new();
        writer.put8(1);
        writer.put16(0x203);
        writer.put32(0x405_0607);
        writer.put64(u64::MAX - 1);
        let bytes = writer.into_bytes();
        let mut reader = StateReader::new(&bytes);
        assert_eq!(reader.take8(), Ok(1));
        assert_eq!(reader.take16(), Ok(0x203));
        assert_eq!(reader.end(), Err(BadState::Long));
        assert_eq!(reader.take32(), Ok(0x405_0607));
        assert_eq!(reader.take64(), Ok(u64::MAX - 1));
        assert_eq!(reader.end(), Ok(()));
        assert_eq!(reader.take8(), Err(BadState::Short));
    }
}
