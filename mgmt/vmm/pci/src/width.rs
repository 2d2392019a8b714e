//! [`Width`]: the bytes of one access.

/// The bytes of one access.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Width {
    /// 1 byte.
    Byte = 1,
    /// 2 bytes.
    Word = 2,
    /// 4 bytes.
    Dword = 4,
    /// 8 bytes.
    Qword = 8,
}

impl Width {
    /// The width of so many bytes.
    pub const fn from_bytes(bytes: u64) -> Option<Self> {
        match bytes {
            1 => Some(Self::Byte),
            2 => Some(Self::Word),
            4 => Some(Self::Dword),
            8 => Some(Self::Qword),
            _ => None,
        }
    }

    /// Its bytes.
    pub const fn bytes(self) -> u64 {
        self as u64
    }

    /// All bits of it set: what a read of nothing returns.
    pub const fn ones(self) -> u64 {
        u64::MAX >> (64 - 8 * self.bytes())
    }

    /// The low bytes of `value`.
    pub const fn of(self, value: u64) -> u64 {
        value & self.ones()
    }

    /// Little-endian number at `offset` of `bytes`; those beyond their end read as zero.
    pub fn load(self, bytes: &[u8], offset: usize) -> u64 {
        let mut value = [0; 8];
        for (index, byte) in value.iter_mut().take(self as usize).enumerate() {
            let at = offset.checked_add(index).and_then(|at| bytes.get(at));
            *byte = at.copied().unwrap_or(0);
        }
        u64::from_le_bytes(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ones_and_loads_have_the_width() {
        assert_eq!(Width::Byte.ones(), 0xff);
        assert_eq!(Width::Qword.ones(), u64::MAX);
        assert_eq!(Width::Word.of(0x12345), 0x2345);
        assert_eq!(Width::Dword.load(&[1, 2, 3, 4, 5], 1), 0x0504_0302);
        assert_eq!(Width::Dword.load(&[1, 2], 1), 2);
        assert_eq!(Width::Dword.load(&[1, 2], usize::MAX), 0);
        assert_eq!(Width::from_bytes(3), None);
    }
}
