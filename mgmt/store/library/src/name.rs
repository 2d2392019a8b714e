//! Names of images.

use alloc::string::String;
use core::borrow::Borrow;
use core::fmt;

use crate::LibraryError;

/// Longest name in bytes.
const MAX_NAME: usize = 128;

/// A name that an image can have: letters, digits and `. _ - + ~ @`, not beginning with a dot or a hyphen. It can be a
/// file's name and a URL's segment without any quoting.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ImageName(String);

impl ImageName {
    /// The name, checked.
    ///
    /// # Errors
    /// [`LibraryError::Name`].
    pub fn new(name: &str) -> Result<Self, LibraryError> {
        let fits = (1..=MAX_NAME).contains(&name.len());
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+~@".contains(&byte);
        if fits && name.bytes().all(plain) && !name.starts_with(['.', '-']) {
            return Ok(ImageName(name.into()));
        }
        Err(LibraryError::Name)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for ImageName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        for good in [
            "vmlinuz-6.1.0-18-amd64",
            "a",
            "x_1+~@.img",
            &"n".repeat(128),
        ] {
            assert_eq!(ImageName::new(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            ".",
            "..",
            ".x",
            "-x",
            "a/b",
            "a b",
            "ä",
            "a\0",
            "a%2f",
            &"n".repeat(129),
        ] {
            assert_eq!(ImageName::new(bad), Err(LibraryError::Name), "{bad}");
        }
    }
}
