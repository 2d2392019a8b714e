//! [`ImageFile`]: a file of the image library as the loader reads it.

use core::fmt;

/// A kernel, initrd or module, wherever it is kept.
pub trait ImageFile {
    /// What a read that fails says.
    type Error;

    /// Its bytes.
    fn bytes(&self) -> u64;

    /// Reads all of `into` from `offset` on; never called beyond [`ImageFile::bytes`].
    ///
    /// # Errors
    /// Where the store does not deliver.
    fn read(&self, offset: u64, into: &mut [u8]) -> impl Future<Output = Result<(), Self::Error>>;
}

/// Which file of a [`crate::LoadOrder`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileIndex {
    /// The kernel or program itself.
    Image,
    /// A module, counted from 0; the first is Linux's initrd.
    Module(usize),
}

impl fmt::Display for FileIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image => f.write_str("the image"),
            // People count from 1.
            Self::Module(index) => write!(f, "module {}", index.saturating_add(1)),
        }
    }
}
