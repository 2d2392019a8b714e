//! What can go wrong.

use alloc::string::String;
use core::fmt;

use crate::CatalogError;

/// The request is refused or has failed; nothing has changed, unless the variant says otherwise.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LibraryError {
    /// The name is none that an image can have.
    Name,
    /// There is no such image.
    Missing,
    /// A boot module has this name and cannot be changed.
    ReadOnly,
    /// The image is being used, by whom the text says.
    InUse(String),
    /// The disk has not so much room.
    Full {
        /// Bytes that are needed, as far as is known.
        needed: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// The free space is in more pieces than a catalog entry can name.
    Scattered,
    /// There are as many images as there can be.
    TooMany,
    /// The contents do not have the checksum that was promised.
    Checksum,
    /// More or fewer bytes came than were promised.
    Length {
        /// Bytes that were promised.
        promised: u64,
        /// Bytes that came, or more than that.
        came: u64,
    },
    /// A part of the image was asked for that it does not have.
    Range,
    /// The disk failed; this is what it said.
    Disk(String),
    /// The configuration store could not take the catalog's change. Where a commit failed, the change may still become
    /// durable with the next one.
    Catalog(CatalogError),
}

impl fmt::Display for LibraryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LibraryError::Name => f.write_str(
                "an image's name has 1 to 128 letters, digits and characters of . _ - + ~ @, and does not begin with a \
                 dot or a hyphen",
            ),
            LibraryError::Missing => f.write_str("there is no image of this name"),
            LibraryError::ReadOnly => f.write_str(
                "the image is a boot module, which cannot be changed while the machine runs; choose another name",
            ),
            LibraryError::InUse(by) => write!(f, "the image is in use by {by}"),
            LibraryError::Full { needed, free } => write!(
                f,
                "the image needs {needed} bytes, and the library has {free} free; delete an image first"
            ),
            LibraryError::Scattered => f.write_str(
                "the library's free space is in too many small pieces for the image; delete an image first",
            ),
            LibraryError::TooMany => {
                f.write_str("the library has as many images as it can have; delete one first")
            }
            LibraryError::Checksum => f.write_str(
                "the contents do not have the SHA-256 checksum that was promised; send the file again",
            ),
            LibraryError::Length { promised, came } => {
                write!(f, "{promised} bytes were promised and {came} came")
            }
            LibraryError::Range => f.write_str("the image does not reach so far"),
            LibraryError::Disk(reason) => write!(f, "the disk failed: {reason}"),
            LibraryError::Catalog(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for LibraryError {}
