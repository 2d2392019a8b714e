//! [`Image`]: an image's contents, to be read.

use alloc::rc::Rc;
use alloc::string::ToString;
use alloc::vec;

use store::SECTOR_BYTES;

use crate::area::{Extent, Space};
use crate::library::Shared;
use crate::{ImageFacts, LibraryError, Medium};

/// Most bytes that are read through a buffer at a time, where the wish is not for whole sectors.
const BOUNCE_BYTES: u64 = 16 * 1024;
const SECTOR: u64 = SECTOR_BYTES as u64;

/// Where the contents are.
pub(crate) enum Content {
    Disk(Rc<Space>),
    Module(&'static [u8]),
}

/// An image of the catalog.
pub(crate) struct Stored {
    pub(crate) facts: ImageFacts,
    pub(crate) content: Content,
}

impl Stored {
    /// Its blocks, where it is on the disk.
    pub(crate) fn space(&self) -> Option<Rc<Space>> {
        match &self.content {
            Content::Disk(space) => Some(space.clone()),
            Content::Module(_) => None,
        }
    }
}

/// An open image. While it is held, the image cannot be removed, and one that takes its name does not change what is
/// read here.
pub struct Image<M, C> {
    pub(crate) shared: Rc<Shared<M, C>>,
    pub(crate) stored: Rc<Stored>,
}

impl<M, C> Clone for Image<M, C> {
    fn clone(&self) -> Self {
        Image {
            shared: self.shared.clone(),
            stored: self.stored.clone(),
        }
    }
}

impl<M: Medium, C> Image<M, C> {
    /// What is known about it.
    pub fn facts(&self) -> &ImageFacts {
        &self.stored.facts
    }

    /// Fills `into` with the contents from `offset` on.
    ///
    /// # Errors
    /// The image ends before, or the disk failed; `into` may be partly written then.
    pub async fn read(&self, offset: u64, into: &mut [u8]) -> Result<(), LibraryError> {
        let length = into.len() as u64;
        let end = offset.checked_add(length).ok_or(LibraryError::Range)?;
        if end > self.stored.facts.bytes {
            return Err(LibraryError::Range);
        }
        let space = match &self.stored.content {
            Content::Module(bytes) => {
                let start = usize::try_from(offset).map_err(|_| LibraryError::Range)?;
                let part = bytes.get(start..).and_then(|rest| rest.get(..into.len()));
                into.copy_from_slice(part.ok_or(LibraryError::Range)?);
                return Ok(());
            }
            Content::Disk(space) => space,
        };
        let mut rest = into;
        for (extent, skip, length) in space.runs(offset, length) {
            let length = usize::try_from(length).map_err(|_| LibraryError::Range)?;
            let (part, after) = rest
                .split_at_mut_checked(length)
                .ok_or(LibraryError::Range)?;
            self.read_run(extent, skip, part).await?;
            rest = after;
        }
        Ok(())
    }

    /// Reads a part of one extent: whole sectors straight into the caller's buffer, the edges through one of our own.
    async fn read_run(
        &self,
        extent: Extent,
        mut at: u64,
        mut into: &mut [u8],
    ) -> Result<(), LibraryError> {
        while !into.is_empty() {
            let within = at % SECTOR;
            let whole = into.len() / SECTOR_BYTES * SECTOR_BYTES;
            let taken = if within == 0 && whole > 0 {
                let (part, _) = into
                    .split_at_mut_checked(whole)
                    .ok_or(LibraryError::Range)?;
                self.read_sectors(extent, at, part).await?;
                whole
            } else {
                let wanted = within + into.len() as u64;
                let bytes = match within {
                    0 => wanted,
                    // Only up to the sector's end: what follows can go straight.
                    _ => wanted.min(SECTOR),
                }
                .min(BOUNCE_BYTES);
                let mut bounce = vec![0; bytes.next_multiple_of(SECTOR) as usize];
                self.read_sectors(extent, at - within, &mut bounce).await?;
                let source = bounce.get(within as usize..bytes as usize);
                let source = source.ok_or(LibraryError::Range)?;
                let target = into.get_mut(..source.len()).ok_or(LibraryError::Range)?;
                target.copy_from_slice(source);
                source.len()
            };
            at += taken as u64;
            into = into.get_mut(taken..).unwrap_or_default();
        }
        Ok(())
    }

    async fn read_sectors(
        &self,
        extent: Extent,
        at: u64,
        into: &mut [u8],
    ) -> Result<(), LibraryError> {
        let read = self.shared.medium.read(extent.sector(at), into).await;
        read.map_err(|error| LibraryError::Disk(error.to_string()))
    }
}
