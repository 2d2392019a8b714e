//! [`Uuid`]: the identity of a system towards its guest and the outside.

use core::fmt;

/// A UUID, its bytes in the order of the text form (RFC 9562, section 4).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// A random UUID (version 4) from sixteen random bytes.
    #[must_use]
    pub const fn from_random(mut bytes: [u8; 16]) -> Self {
        let [_, _, _, _, _, _, version, _, variant, ..] = &mut bytes;
        *version = *version & 0x0f | 0x40;
        *variant = *variant & 0x3f | 0x80;
        Uuid(bytes)
    }

    /// Reads the form `8-4-4-4-12`, digits of either case; `None` for anything else, and for the UUID of zeroes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0u8; 16];
        let mut digits = 0usize;
        for (place, character) in text.chars().enumerate() {
            if matches!(place, 8 | 13 | 18 | 23) {
                if character != '-' {
                    return None;
                }
                continue;
            }
            let digit = u8::try_from(character.to_digit(16)?).ok()?;
            let byte = bytes.get_mut(digits / 2)?;
            *byte = *byte << 4 | digit;
            digits += 1;
        }
        (digits == 32 && text.len() == 36 && bytes != [0; 16]).then_some(Uuid(bytes))
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, byte) in self.0.iter().enumerate() {
            if matches!(place, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_and_written() {
        let text = "0b5f2f6e-3a4c-4d1e-9f00-0123456789ab";
        let uuid = Uuid::parse(text).unwrap();
        assert_eq!(uuid.to_string(), text);
        assert_eq!(Uuid::parse(&text.to_uppercase()), Some(uuid));
        for bad in [
            "",
            "0b5f2f6e3a4c4d1e9f000123456789ab",
            "0b5f2f6e-3a4c-4d1e-9f00-0123456789a",
            "0b5f2f6e-3a4c-4d1e-9f00-0123456789abc",
            "0b5f2f6e-3a4c-4d1e-9f00-0123456789ag",
            "00000000-0000-0000-0000-000000000000",
        ] {
            assert_eq!(Uuid::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn random_ones_say_their_version() {
        let text = Uuid::from_random([0xff; 16]).to_string();
        assert_eq!(text, "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }
}
