//! Images: the files that systems boot from.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// The name of an image: 1 to 255 bytes of printable text without blanks at its ends and without `/`, so that it
/// is also a part of a URL path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageName(String);

impl ImageName {
    /// Checks a name.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        let fits = (1..=255).contains(&name.len())
            && name.trim() == name
            && !matches!(name, "." | "..")
            && !name
                .chars()
                .any(|character| character == '/' || character.is_control());
        fits.then(|| ImageName(name.into()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an image seems to be, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageFormat {
    /// Anything else: an initrd, a module, a flat binary, a disk.
    Unknown,
    /// A Linux bzImage.
    LinuxKernel,
    /// An ELF file, with a PVH or Multiboot header or neither.
    Elf,
}

/// An image of the library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its name.
    pub name: ImageName,
    /// Its length in bytes.
    pub bytes: u64,
    /// SHA-256 of its content, where it is known.
    pub sha256: Option<[u8; 32]>,
    /// When it came, in microseconds since 1970-01-01T00:00:00 UTC, where it is known.
    pub unix_micros: Option<i64>,
    /// What it seems to be.
    pub format: ImageFormat,
    /// Whether it can be removed; boot modules cannot.
    pub removable: bool,
}

/// The image library as the domain sees it. Uploads go beside it.
pub trait Images {
    /// Every image, in the order of the names.
    fn list(&self) -> Vec<Image>;

    /// The image of a name.
    fn find(&self, name: &ImageName) -> Option<Image> {
        self.list().into_iter().find(|image| image.name == *name)
    }

    /// Removes an image that exists, is removable and is not in use; the domain has checked that.
    ///
    /// # Errors
    /// A sentence that says why the library refuses.
    fn remove(&mut self, name: &ImageName) -> Result<(), String>;
}

/// A library without images.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoImages;

impl Images for NoImages {
    fn list(&self) -> Vec<Image> {
        Vec::new()
    }

    fn remove(&mut self, name: &ImageName) -> Result<(), String> {
        Err(alloc::format!("there is no image {name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for good in ["vmlinuz", "debian 12.img", "a", "..."] {
            assert_eq!(ImageName::new(good).unwrap().as_str(), good);
        }
        for bad in ["", " a", "a ", "a/b", "..", "a\nb", &"x".repeat(256)] {
            assert_eq!(ImageName::new(bad), None, "{bad:?}");
        }
    }
}
