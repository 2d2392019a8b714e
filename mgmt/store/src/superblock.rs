//! The superblock: what makes a disk a store, and where its slots are.

use crate::{SECTOR_BYTES, crc32c};

const MAGIC: [u8; 8] = *b"BULKSTOR";
const VERSION: u32 = 1;
/// First sector of slot A: what comes before is free for partition tables of later versions.
const FIRST_SLOT: u64 = 2048;
/// Largest slot: 32 MiB, half of what the partition has in memory by default.
const MAX_SLOT: u64 = 65536;
/// What the data area's beginning is aligned to: 1 MiB.
const DATA_ALIGNMENT: u64 = 2048;
/// Smallest slot: 1 MiB.
const MIN_SLOT: u64 = 2048;

/// Where the slots are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Superblock {
    first_slot: u64,
    slot_sectors: u64,
}

/// What sector 0 is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found {
    /// A store's superblock.
    Superblock(Superblock),
    /// Zeros.
    Blank,
    /// A superblock of a version that this image does not know.
    Version(u32),
    /// What may be left of this superblock when the power went while it was written.
    Torn(Superblock),
    /// A superblock whose checksum is wrong.
    Damaged,
    /// Something else.
    Foreign,
}

impl Superblock {
    /// The layout for a new store on a disk of so many sectors; `None` where it is too small.
    pub fn new(sectors: u64) -> Option<Self> {
        let slot_sectors = (sectors.checked_sub(FIRST_SLOT)? / 2).min(MAX_SLOT);
        (slot_sectors >= MIN_SLOT).then_some(Superblock {
            first_slot: FIRST_SLOT,
            slot_sectors,
        })
    }

    /// First sector of slot `index` (0 or 1): its header.
    pub fn slot(&self, index: usize) -> u64 {
        let skipped = match index {
            0 => 0,
            _ => self.slot_sectors,
        };
        self.first_slot.saturating_add(skipped)
    }

    /// The first sector of the data area: behind both slots. Version 1 of the superblock says so by its geometry, so that a
    /// disk that was made without a data area has one as soon as it is larger than its slots.
    pub fn data_start(&self) -> u64 {
        let end = self.slot(1).saturating_add(self.slot_sectors);
        end.div_ceil(DATA_ALIGNMENT).saturating_mul(DATA_ALIGNMENT)
    }

    /// Bytes of content that fit into a slot.
    pub fn capacity(&self) -> usize {
        let sectors = usize::try_from(self.slot_sectors - 1).unwrap_or(0);
        sectors.saturating_mul(SECTOR_BYTES)
    }

    /// Its sector.
    pub fn bytes(&self) -> [u8; SECTOR_BYTES] {
        let mut bytes = [0; SECTOR_BYTES];
        let fields = MAGIC
            .into_iter()
            .chain(VERSION.to_le_bytes())
            .chain([0; 4])
            .chain(self.first_slot.to_le_bytes())
            .chain(self.slot_sectors.to_le_bytes());
        seal(&mut bytes, fields);
        bytes
    }

    /// Whether a sector holds a part of this superblock and zeros, as it was before.
    fn left(&self, bytes: &[u8; SECTOR_BYTES]) -> bool {
        let whole = self.bytes();
        let mut pairs = bytes.iter().zip(&whole);
        *bytes != whole && pairs.all(|(byte, whole)| byte == whole || *byte == 0)
    }

    /// What a sector 0 of a disk with so many sectors is.
    pub fn parse(bytes: &[u8; SECTOR_BYTES], sectors: u64) -> Found {
        if bytes.iter().all(|&byte| byte == 0) {
            return Found::Blank;
        }
        if let Some(torn) = Self::new(sectors).filter(|new| new.left(bytes)) {
            return Found::Torn(torn);
        }
        if bytes.first_chunk() != Some(&MAGIC) {
            return Found::Foreign;
        }
        let version = word(bytes, 8) as u32;
        if !is_sealed(bytes) {
            return Found::Damaged;
        }
        if version != VERSION {
            return Found::Version(version);
        }
        let superblock = Superblock {
            first_slot: word(bytes, 16),
            slot_sectors: word(bytes, 24),
        };
        let end = superblock
            .slot_sectors
            .checked_mul(2)
            .and_then(|both| both.checked_add(superblock.first_slot));
        let fits = end.is_some_and(|end| end <= sectors) && superblock.first_slot > 0;
        match fits && (MIN_SLOT..=MAX_SLOT).contains(&superblock.slot_sectors) {
            true => Found::Superblock(superblock),
            false => Found::Damaged,
        }
    }
}

/// The 64-bit word at `offset`.
pub fn word(bytes: &[u8; SECTOR_BYTES], offset: usize) -> u64 {
    let field = bytes.get(offset..).and_then(|rest| rest.first_chunk());
    u64::from_le_bytes(field.copied().unwrap_or_default())
}

/// Fills a sector with fields and puts the checksum of all but its last 4 bytes there.
pub fn seal(bytes: &mut [u8; SECTOR_BYTES], fields: impl Iterator<Item = u8>) {
    for (byte, field) in bytes.iter_mut().zip(fields) {
        *byte = field;
    }
    if let Some((body, end)) = bytes.split_last_chunk_mut::<4>() {
        *end = crc32c(body).to_le_bytes();
    }
}

/// Whether a sector's checksum is right.
pub fn is_sealed(bytes: &[u8; SECTOR_BYTES]) -> bool {
    bytes
        .split_last_chunk::<4>()
        .is_some_and(|(body, end)| crc32c(body).to_le_bytes() == *end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_superblock_is_read_back() {
        let superblock = Superblock::new(1 << 20).unwrap();
        assert_eq!(superblock.slot_sectors, MAX_SLOT);
        assert_eq!(superblock.slot(1), FIRST_SLOT + MAX_SLOT);
        let bytes = superblock.bytes();
        assert_eq!(
            Superblock::parse(&bytes, 1 << 20),
            Found::Superblock(superblock)
        );
        assert_eq!(superblock.data_start(), 65 << 11);
        // A disk that was full of slots has a data area when it has grown.
        let small = Superblock::new(16_001).unwrap();
        assert_eq!(small.data_start(), 16_384);
        assert_eq!(
            Superblock::parse(&small.bytes(), 1 << 20),
            Found::Superblock(small)
        );
        // The disk has shrunk below the slots' end.
        assert_eq!(Superblock::parse(&bytes, 1 << 17), Found::Damaged);
    }

    #[test]
    fn other_sectors_are_told_apart() {
        assert_eq!(Superblock::new(6143), None);
        assert!(Superblock::new(6144).is_some());
        let mut bytes = [0; SECTOR_BYTES];
        assert_eq!(Superblock::parse(&bytes, 1 << 20), Found::Blank);
        bytes[0] = 0xeb;
        assert_eq!(Superblock::parse(&bytes, 1 << 20), Found::Foreign);
        let mut bytes = Superblock::new(1 << 20).unwrap().bytes();
        bytes[8] = 2;
        assert_eq!(Superblock::parse(&bytes, 1 << 20), Found::Damaged);
        let (body, end) = bytes.split_last_chunk_mut::<4>().unwrap();
        *end = crc32c(body).to_le_bytes();
        assert_eq!(Superblock::parse(&bytes, 1 << 20), Found::Version(2));
    }
}
