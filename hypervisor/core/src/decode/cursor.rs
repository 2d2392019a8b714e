//! Reading an instruction's bytes one after the other.

use super::{DecodeError, MAX_LENGTH, Width};

/// A position in the bytes of an instruction.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// Bytes read so far.
    pub(super) const fn length(&self) -> u8 {
        // At most MAX_LENGTH.
        self.position as u8
    }

    /// The next byte without reading it.
    pub(super) fn peek(&self) -> Result<u8, DecodeError> {
        if self.position >= MAX_LENGTH {
            return Err(DecodeError::TooLong);
        }
        self.bytes
            .get(self.position)
            .copied()
            .ok_or(DecodeError::TooShort)
    }

    /// The next byte.
    pub(super) fn byte(&mut self) -> Result<u8, DecodeError> {
        let byte = self.peek()?;
        self.position = self.position.saturating_add(1);
        Ok(byte)
    }

    /// The next little-endian number of this width.
    pub(super) fn number(&mut self, width: Width) -> Result<u64, DecodeError> {
        let mut value = 0;
        for index in 0..u32::from(width.bytes()) {
            value |= u64::from(self.byte()?).wrapping_shl(index.wrapping_mul(8));
        }
        Ok(value)
    }

    /// The next number, sign-extended.
    pub(super) fn signed(&mut self, width: Width) -> Result<u64, DecodeError> {
        Ok(width.sign_extend(self.number(width)?))
    }
}
