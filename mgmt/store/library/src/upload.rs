//! [`Upload`]: an image on its way to the disk.

use alloc::rc::Rc;
use alloc::string::ToString;
use alloc::vec::Vec;

use sha2::{Digest, Sha256};
use store::SECTOR_BYTES;

use crate::area::{NoSpace, Space, blocks_for};
use crate::format::HEAD_BYTES;
use crate::library::{Outcome, Shared};
use crate::{
    BLOCK_BYTES, Catalog, Format, ImageFacts, ImageName, LibraryError, Medium, Origin, Sha256Sum,
};

/// Bytes that are collected before they are written.
const BUFFER_BYTES: usize = 2 * BLOCK_BYTES as usize;
/// Blocks that an upload of unknown length takes at a time: 4 MiB, given back at its end.
const STEP: u64 = 64;

/// How much space an upload takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reserve {
    /// For so many bytes, at once.
    Whole(u64),
    /// As it goes.
    Growing,
}

/// An upload. Dropped before [`Upload::finish`] has ended, it leaves nothing behind.
pub struct Upload<M, C> {
    shared: Rc<Shared<M, C>>,
    name: ImageName,
    reserve: Reserve,
    now: i64,
    space: Rc<Space>,
    /// Bytes that are not written yet.
    buffer: Vec<u8>,
    /// Bytes on the disk.
    written: u64,
    head: Vec<u8>,
    hash: Sha256,
}

impl<M: Medium, C: Catalog> Upload<M, C> {
    pub(crate) fn begin(
        shared: Rc<Shared<M, C>>,
        name: ImageName,
        reserve: Reserve,
        now: i64,
    ) -> Result<Self, LibraryError> {
        let blocks = match reserve {
            Reserve::Whole(length) => blocks_for(length),
            Reserve::Growing => 0,
        };
        let space = shared.area.take(blocks);
        let space = space.map_err(|error| refuse(error, blocks, &shared))?;
        Ok(Upload {
            shared,
            name,
            reserve,
            now,
            space,
            buffer: Vec::new(),
            written: 0,
            head: Vec::new(),
            hash: Sha256::new(),
        })
    }

    /// Bytes taken so far.
    pub fn bytes(&self) -> u64 {
        self.written.saturating_add(self.buffer.len() as u64)
    }

    /// Takes more of the contents.
    ///
    /// # Errors
    /// They are longer than promised, there is no room, or the disk failed. The upload is to be dropped then.
    pub async fn write(&mut self, mut bytes: &[u8]) -> Result<(), LibraryError> {
        if let Reserve::Whole(promised) = self.reserve {
            let came = self.bytes().saturating_add(bytes.len() as u64);
            if came > promised {
                return Err(LibraryError::Length { promised, came });
            }
        }
        self.hash.update(bytes);
        let missing = HEAD_BYTES.saturating_sub(self.head.len());
        let head = bytes.get(..missing).unwrap_or(bytes);
        self.head.extend_from_slice(head);
        while !bytes.is_empty() {
            let room = BUFFER_BYTES.saturating_sub(self.buffer.len());
            let (taken, rest) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
            self.buffer.extend_from_slice(taken);
            bytes = rest;
            if self.buffer.len() >= BUFFER_BYTES {
                self.write_buffer().await?;
            }
        }
        Ok(())
    }

    /// All of the contents have come: puts the image into the catalog. When this returns, it is there for good.
    ///
    /// # Errors
    /// The length or the checksum is not what was promised, the image was put in use meanwhile, or disk or store
    /// failed.
    pub async fn finish(
        mut self,
        promised: Option<Sha256Sum>,
    ) -> Result<(ImageFacts, Outcome), LibraryError> {
        let bytes = self.bytes();
        if let Reserve::Whole(length) = self.reserve
            && length != bytes
        {
            return Err(LibraryError::Length {
                promised: length,
                came: bytes,
            });
        }
        let sha256 = Sha256Sum(core::mem::take(&mut self.hash).finalize().into());
        if promised.is_some_and(|promised| promised != sha256) {
            return Err(LibraryError::Checksum);
        }
        let whole = self.buffer.len().next_multiple_of(SECTOR_BYTES);
        self.buffer.resize(whole, 0);
        self.write_buffer().await?;
        self.space.trim(bytes);
        let flushed = self.shared.medium.flush().await;
        flushed.map_err(|error| LibraryError::Disk(error.to_string()))?;
        let facts = ImageFacts {
            name: self.name,
            bytes,
            sha256: Some(sha256),
            added: self.now,
            format: Format::guess(&self.head),
            origin: Origin::Disk,
        };
        let outcome = self.shared.keep(facts.clone(), sha256, self.space).await?;
        Ok((facts, outcome))
    }

    /// Writes the buffer, which holds whole sectors.
    async fn write_buffer(&mut self) -> Result<(), LibraryError> {
        let length = self.buffer.len() as u64;
        let needed = blocks_for(self.written.saturating_add(length));
        let has: u64 = self.space.extents().iter().map(|e| e.blocks).sum();
        if needed > has {
            let step = match self.reserve {
                Reserve::Growing => (needed - has).max(STEP.min(self.shared.area.free())),
                Reserve::Whole(_) => needed - has,
            };
            let grown = self.shared.area.grow(&self.space, step);
            grown.map_err(|error| refuse(error, needed, &self.shared))?;
        }
        let mut rest = self.buffer.as_slice();
        for (extent, skip, length) in self.space.runs(self.written, length) {
            let length = usize::try_from(length).map_err(|_| LibraryError::Range)?;
            let (part, after) = rest.split_at_checked(length).ok_or(LibraryError::Range)?;
            let written = self.shared.medium.write(extent.sector(skip), part).await;
            written.map_err(|error| LibraryError::Disk(error.to_string()))?;
            rest = after;
        }
        self.written = self.written.saturating_add(length);
        self.buffer.clear();
        Ok(())
    }
}

fn refuse<M: Medium, C: Catalog>(
    error: NoSpace,
    needed: u64,
    shared: &Shared<M, C>,
) -> LibraryError {
    match error {
        NoSpace::Full(_) => LibraryError::Full {
            needed: needed.saturating_mul(BLOCK_BYTES),
            free: shared.free(),
        },
        NoSpace::Scattered => LibraryError::Scattered,
    }
}
