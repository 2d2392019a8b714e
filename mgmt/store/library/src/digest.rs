//! Checksums.

use alloc::string::String;
use core::fmt;

use sha2::{Digest, Sha256};

/// A SHA-256 checksum (FIPS 180-4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sha256Sum(pub [u8; 32]);

impl Sha256Sum {
    /// The checksum of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Sha256Sum(Sha256::digest(bytes).into())
    }

    /// As 64 hexadecimal digits.
    pub fn hex(&self) -> String {
        alloc::format!("{self}")
    }
}

impl fmt::Display for Sha256Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_standard() {
        assert_eq!(
            Sha256Sum::of(b"abc").hex(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
