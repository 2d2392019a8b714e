//! An image's entry in the catalog.
//!
//! Version (1 byte), format (1), length in bytes (8), when it came (8), SHA-256 (32), then for each extent its first
//! block (8) and how many (8); numbers little-endian. The entry's name is [`PREFIX`] and the image's.

use alloc::vec::Vec;

use crate::area::{Extent, MAX_EXTENTS, blocks_for};
use crate::{Format, Sha256Sum};

/// What the names of entries begin with.
pub(crate) const PREFIX: &str = "image/";
const VERSION: u8 = 1;

/// An entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    pub(crate) bytes: u64,
    pub(crate) added: i64,
    pub(crate) format: Format,
    pub(crate) sha256: Sha256Sum,
    pub(crate) extents: Vec<Extent>,
}

impl Entry {
    /// As it is kept.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = alloc::vec![VERSION, self.format.number()];
        bytes.extend(self.bytes.to_le_bytes());
        bytes.extend(self.added.to_le_bytes());
        bytes.extend(self.sha256.0);
        for extent in &self.extents {
            bytes.extend(extent.first.to_le_bytes());
            bytes.extend(extent.blocks.to_le_bytes());
        }
        bytes
    }

    /// Reads an entry; `None` where the bytes are none, or its extents do not fit its length.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let ([version, format], rest) = bytes.split_first_chunk()?;
        if *version != VERSION {
            return None;
        }
        let (length, rest) = rest.split_first_chunk()?;
        let (added, rest) = rest.split_first_chunk()?;
        let (sha256, mut rest) = rest.split_first_chunk()?;
        let length = u64::from_le_bytes(*length);
        let mut extents = Vec::new();
        let mut blocks = 0u64;
        while !rest.is_empty() {
            let (first, after) = rest.split_first_chunk()?;
            let (count, after) = after.split_first_chunk()?;
            let extent = Extent {
                first: u64::from_le_bytes(*first),
                blocks: u64::from_le_bytes(*count),
            };
            blocks = blocks.checked_add(extent.blocks)?;
            extents.push(extent);
            rest = after;
        }
        let fits = blocks == blocks_for(length) && extents.len() <= MAX_EXTENTS;
        fits.then_some(Entry {
            bytes: length,
            added: i64::from_le_bytes(*added),
            format: Format::numbered(*format),
            sha256: Sha256Sum(*sha256),
            extents,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_back_and_nothing_else_is() {
        let entry = Entry {
            bytes: 200_000,
            added: -5,
            format: Format::Elf,
            sha256: Sha256Sum::of(b"x"),
            extents: vec![
                Extent {
                    first: 7,
                    blocks: 3,
                },
                Extent {
                    first: 99,
                    blocks: 1,
                },
            ],
        };
        let bytes = entry.encode();
        assert_eq!(Entry::decode(&bytes), Some(entry.clone()));
        for cut in 0..bytes.len() {
            assert_eq!(Entry::decode(&bytes[..cut]), None);
        }
        let longer = Entry {
            bytes: 300_000,
            ..entry
        };
        assert_eq!(Entry::decode(&longer.encode()), None);
        let mut later = bytes;
        later[0] = 2;
        assert_eq!(Entry::decode(&later), None);
    }
}
