//! The store in memory.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::commit::{Commit, Disk};
use crate::content::{self, Entries};
use crate::superblock::Superblock;

/// The change is refused; nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StoreError {
    /// The store has no room for it.
    Full,
    /// The name is longer than 65,535 bytes.
    Name,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StoreError::Full => "the store has no room for the entry",
            StoreError::Name => "the entry's name is too long",
        })
    }
}

/// Named blobs. Changes are in memory at once, and on the disk when a [`Commit`] that was begun after them is done.
#[derive(Debug)]
pub struct Store {
    superblock: Superblock,
    disk: Disk,
    entries: Entries,
    /// Bytes that the entries take on the disk.
    bytes: usize,
    generation: u64,
    current: usize,
    /// Changes made, and how many of them are durable.
    changes: u64,
    durable: u64,
}

impl Store {
    pub(crate) fn new(
        superblock: Superblock,
        disk: Disk,
        entries: Entries,
        generation: u64,
        current: usize,
    ) -> Self {
        let sizes = entries.iter().map(|(n, v)| content::entry_bytes(n, v));
        Store {
            superblock,
            disk,
            bytes: sizes.map(|size| size.unwrap_or(0)).sum(),
            entries,
            generation,
            current,
            changes: 0,
            durable: 0,
        }
    }

    /// The value of an entry.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.entries.get(name).map(Vec::as_slice)
    }

    /// The entries whose names begin with `prefix`, in order.
    pub fn entries<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.entries
            .range(String::from(prefix)..)
            .take_while(move |(name, _)| name.starts_with(prefix))
            .map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    /// Sets an entry.
    ///
    /// # Errors
    /// There is no room for it, or its name is too long.
    pub fn put(&mut self, name: &str, value: Vec<u8>) -> Result<(), StoreError> {
        let size = content::entry_bytes(name, &value).ok_or(StoreError::Name)?;
        let bytes = self.bytes - self.size(name) + size;
        if bytes > self.superblock.capacity() {
            return Err(StoreError::Full);
        }
        self.entries.insert(name.into(), value);
        self.bytes = bytes;
        self.changes += 1;
        Ok(())
    }

    /// Removes an entry, if it is there.
    pub fn remove(&mut self, name: &str) {
        let size = self.size(name);
        if self.entries.remove(name).is_some() {
            self.bytes -= size;
            self.changes += 1;
        }
    }

    /// Bytes that an entry takes; 0 where there is none.
    fn size(&self, name: &str) -> usize {
        let value = self.entries.get(name);
        value
            .and_then(|value| content::entry_bytes(name, value))
            .unwrap_or(0)
    }

    /// The commit of all changes so far; `None` where all are durable. One at a time: a second one that is begun before
    /// the first was [finished](Store::finish) would use the same slot.
    pub fn begin(&self) -> Option<Commit> {
        (self.durable != self.changes).then(|| {
            Commit::new(
                &self.superblock,
                self.disk,
                self.generation.saturating_add(1),
                1 - self.current.min(1),
                self.changes,
                content::encode(&self.entries),
            )
        })
    }

    /// A commit's steps are done: what it contains is durable. A commit that failed is dropped instead; the next one
    /// contains its changes.
    pub fn finish(&mut self, commit: Commit) {
        self.disk = Disk::Formatted;
        self.generation = commit.generation;
        self.current = commit.slot;
        self.durable = commit.changes;
    }

    /// The first sector behind the store's slots: the data area, which belongs to others, reaches from there to the disk's
    /// end. It begins at a whole mebibyte.
    pub fn data_start(&self) -> u64 {
        self.superblock.data_start()
    }

    /// How many commits the store has seen.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}
