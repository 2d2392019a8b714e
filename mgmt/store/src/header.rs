//! A slot's header.

use crate::superblock::{is_sealed, seal, word};
use crate::{SECTOR_BYTES, crc32c};

const MAGIC: [u8; 8] = *b"BULKSLOT";

/// What a slot holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Counts the commits; 0 is none.
    pub generation: u64,
    /// Bytes of content.
    pub length: usize,
    /// Their checksum.
    checksum: u32,
}

impl Header {
    /// The header for this content.
    pub fn new(generation: u64, content: &[u8]) -> Self {
        Header {
            generation,
            length: content.len(),
            checksum: crc32c(content),
        }
    }

    /// Its sector.
    pub fn bytes(&self) -> [u8; SECTOR_BYTES] {
        let mut bytes = [0; SECTOR_BYTES];
        let fields = MAGIC
            .into_iter()
            .chain(self.generation.to_le_bytes())
            .chain((self.length as u64).to_le_bytes())
            .chain(u64::from(self.checksum).to_le_bytes());
        seal(&mut bytes, fields);
        bytes
    }

    /// The header in a sector; `None` where there is no whole one, or its content would not fit into `capacity`.
    pub fn parse(bytes: &[u8; SECTOR_BYTES], capacity: usize) -> Option<Self> {
        if bytes.first_chunk() != Some(&MAGIC) || !is_sealed(bytes) {
            return None;
        }
        let header = Header {
            generation: word(bytes, 8),
            length: usize::try_from(word(bytes, 16)).ok()?,
            checksum: u32::try_from(word(bytes, 24)).ok()?,
        };
        (header.generation > 0 && header.length <= capacity).then_some(header)
    }

    /// Whether this is the header's content.
    pub fn matches(&self, content: &[u8]) -> bool {
        content.len() == self.length && crc32c(content) == self.checksum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_back_and_no_flipped_bit_survives() {
        let header = Header::new(7, b"content");
        let bytes = header.bytes();
        assert_eq!(Header::parse(&bytes, 100), Some(header));
        assert_eq!(Header::parse(&bytes, 6), None);
        assert!(header.matches(b"content") && !header.matches(b"Content"));
        for bit in 0..SECTOR_BYTES * 8 {
            let mut bytes = bytes;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::parse(&bytes, 100), None);
        }
    }
}
