//! Opening the store on a disk.

use alloc::vec;
use core::fmt;
use core::future::Future;

use crate::commit::Disk;
use crate::content::{self, Entries};
use crate::header::Header;
use crate::superblock::{Found, Superblock};
use crate::{SECTOR_BYTES, Store};

/// A disk that can be read.
pub trait Sectors {
    /// What can go wrong.
    type Error;

    /// Number of sectors.
    fn sectors(&self) -> u64;

    /// Reads whole sectors from `sector` on.
    fn read(&self, sector: u64, into: &mut [u8]) -> impl Future<Output = Result<(), Self::Error>>;
}

/// What was opened.
#[derive(Debug)]
pub enum Opened {
    /// A store with its content.
    Existing(Store),
    /// An empty store on a blank disk; the first commit makes the disk a store.
    Blank(Store),
}

/// Why there is no store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OpenError<E> {
    /// The disk cannot be read.
    Disk(E),
    /// The disk holds something else, which must not be overwritten.
    Foreign,
    /// A store of a later version.
    Version(u32),
    /// The superblock is damaged.
    Damaged,
    /// The store has content, but neither slot is whole.
    NoSlot,
    /// The disk is too small.
    TooSmall,
}

impl<E: fmt::Display> fmt::Display for OpenError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Disk(error) => error.fmt(f),
            OpenError::Foreign => f.write_str("the disk holds something that is no store"),
            OpenError::Version(version) => {
                write!(
                    f,
                    "the store has version {version}, which this image does not know"
                )
            }
            OpenError::Damaged => f.write_str("the store's superblock is damaged"),
            OpenError::NoSlot => f.write_str("neither slot of the store is whole"),
            OpenError::TooSmall => f.write_str("the disk is too small for a store: it needs 3 MiB"),
        }
    }
}

/// Opens the store on a disk. Nothing is written.
///
/// # Errors
/// There is no store and none can be made.
pub async fn open<D: Sectors>(disk: &D) -> Result<Opened, OpenError<D::Error>> {
    let sectors = disk.sectors();
    if sectors == 0 {
        return Err(OpenError::TooSmall);
    }
    let mut first = [0; SECTOR_BYTES];
    disk.read(0, &mut first).await.map_err(OpenError::Disk)?;
    let superblock = match Superblock::parse(&first, sectors) {
        Found::Superblock(superblock) => superblock,
        Found::Blank => {
            let superblock = Superblock::new(sectors).ok_or(OpenError::TooSmall)?;
            let store = Store::new(superblock, Disk::Blank, Entries::new(), 0, 1);
            return Ok(Opened::Blank(store));
        }
        Found::Torn(superblock) => {
            // No commit was ever done, or the slots would not be zeroed as its first step has left them.
            for index in 0..2 {
                let mut sector = [0; SECTOR_BYTES];
                let at = superblock.slot(index);
                disk.read(at, &mut sector).await.map_err(OpenError::Disk)?;
                if sector != [0; SECTOR_BYTES] {
                    return Err(OpenError::Damaged);
                }
            }
            let store = Store::new(superblock, Disk::Blank, Entries::new(), 0, 1);
            return Ok(Opened::Blank(store));
        }
        Found::Foreign => return Err(OpenError::Foreign),
        Found::Version(version) => return Err(OpenError::Version(version)),
        Found::Damaged => return Err(OpenError::Damaged),
    };
    let mut headers = [None; 2];
    for (index, header) in headers.iter_mut().enumerate() {
        let mut sector = [0; SECTOR_BYTES];
        let at = superblock.slot(index);
        disk.read(at, &mut sector).await.map_err(OpenError::Disk)?;
        let parsed = Header::parse(&sector, superblock.capacity());
        *header = parsed.map(|header| (index, header));
    }
    let any = headers.iter().any(Option::is_some);
    // The later slot first.
    headers.sort_by_key(|header| header.map(|(_, header)| core::cmp::Reverse(header.generation)));
    for (index, header) in headers.into_iter().flatten() {
        let mut content = vec![0; header.length.next_multiple_of(SECTOR_BYTES)];
        let at = superblock.slot(index).saturating_add(1);
        if !content.is_empty() {
            disk.read(at, &mut content).await.map_err(OpenError::Disk)?;
        }
        content.truncate(header.length);
        if let Some(entries) = content::decode(&content).filter(|_| header.matches(&content)) {
            let generation = header.generation;
            let store = Store::new(superblock, Disk::Formatted, entries, generation, index);
            return Ok(Opened::Existing(store));
        }
    }
    match any {
        // The power went before the first commit was done.
        false => {
            let store = Store::new(superblock, Disk::Formatted, Entries::new(), 0, 1);
            Ok(Opened::Existing(store))
        }
        true => Err(OpenError::NoSlot),
    }
}

#[cfg(test)]
mod tests;
