//! From the firmware's memory map to zones: sorted, disjoint runs of whole blocks, each on one node.

use core::fmt;

use super::{BLOCK_BYTES, CHUNK_BLOCKS};
use crate::addr::{Hpa, HpaRange, PAGE_SIZE, PageSize};

/// A NUMA node (proximity domain), numbered by the boot code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct NodeId(pub u16);

/// Usable memory of one node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NodeRange {
    /// The node.
    pub node: NodeId,
    /// The memory; its borders need no alignment.
    pub range: HpaRange,
}

/// A run of whole blocks on one node. Callers only provide arrays of the default value.
#[derive(Clone, Copy, Debug, Default)]
pub struct Zone {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) node: NodeId,
    /// Index of the first block's record.
    pub(super) first_block: usize,
    /// Index of the first 1 GiB chunk's record.
    pub(super) first_chunk: usize,
    pub(super) free_blocks: u64,
}

impl Zone {
    /// Blocks in the zone.
    pub(super) fn blocks(&self) -> u64 {
        (self.end - self.start) / BLOCK_BYTES
    }

    /// 1 GiB chunks that the zone touches.
    fn chunks(&self) -> u64 {
        let gigabyte = PageSize::Size1G.bytes();
        self.end.div_ceil(gigabyte) - self.start / gigabyte
    }

    /// Which of the zone's chunks holds its block number `block`.
    pub(super) fn chunk_of(&self, block: u64) -> u64 {
        (self.start / BLOCK_BYTES % CHUNK_BLOCKS + block) / CHUNK_BLOCKS
    }

    /// The zone's block numbers in its chunk number `chunk`.
    pub(super) fn chunk_blocks(&self, chunk: u64) -> core::ops::Range<u64> {
        let before = self.start / BLOCK_BYTES % CHUNK_BLOCKS;
        let start = (chunk * CHUNK_BLOCKS).saturating_sub(before);
        let end = ((chunk + 1) * CHUNK_BLOCKS).saturating_sub(before);
        start..end.min(self.blocks())
    }

    /// How many chunks the zone touches, as a range to iterate.
    pub(super) fn chunk_numbers(&self) -> core::ops::Range<u64> {
        0..self.chunks()
    }
}

/// Why a memory map cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LayoutError {
    /// More separate ranges than the caller's array holds.
    TooManyZones,
    /// Two nodes claim this address.
    NodesOverlap(Hpa),
    /// More blocks than can be counted on this machine word.
    TooLarge,
}

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LayoutError::TooManyZones => f.write_str("the memory map has too many separate ranges"),
            LayoutError::NodesOverlap(at) => {
                write!(f, "the firmware gives memory at {at} to two NUMA nodes")
            }
            LayoutError::TooLarge => f.write_str("the memory map describes too much memory"),
        }
    }
}

/// The zones of a machine, and how much storage their allocator needs.
#[derive(Debug)]
pub struct Layout<'s> {
    pub(super) zones: &'s mut [Zone],
    blocks: usize,
    chunks: usize,
    lost: u64,
}

impl<'s> Layout<'s> {
    /// Sorts and joins the usable ranges, takes out the reserved ones, and trims to whole blocks.
    ///
    /// `zones` must hold one more than the usable and reserved ranges together, in the worst case.
    /// Usable ranges of one node may touch and overlap; empty ranges are skipped.
    /// To place the allocator's own storage inside usable memory, plan once for the sizes, and again
    /// with the chosen place reserved: that adds at most one zone and one chunk.
    ///
    /// # Errors
    /// [`LayoutError`].
    pub fn plan(
        zones: &'s mut [Zone],
        usable: &[NodeRange],
        reserved: &[HpaRange],
    ) -> Result<Self, LayoutError> {
        let mut list = ZoneList { zones, len: 0 };
        for NodeRange { node, range } in usable {
            // Page 0 stays out: its address means "none" in chains of frames.
            let mut start = range.start.as_u64().max(PAGE_SIZE);
            let end = range.end.as_u64();
            while start < end {
                let hole = next_hole(start, end, reserved);
                if start < hole.start {
                    list.insert(start, hole.start, *node)?;
                }
                start = hole.end.max(start + 1);
            }
        }
        list.join()?;
        let mut lost = 0;
        list.trim(&mut lost);
        let ZoneList { zones, len } = list;
        let zones = zones.get_mut(..len).ok_or(LayoutError::TooManyZones)?;
        let (mut blocks, mut chunks) = (0_usize, 0_usize);
        for zone in zones.iter_mut() {
            zone.first_block = blocks;
            zone.first_chunk = chunks;
            zone.free_blocks = zone.blocks();
            let add = |sum: usize, more: u64| sum.checked_add(usize::try_from(more).ok()?);
            blocks = add(blocks, zone.blocks()).ok_or(LayoutError::TooLarge)?;
            chunks = add(chunks, zone.chunks()).ok_or(LayoutError::TooLarge)?;
        }
        Ok(Self {
            zones,
            blocks,
            chunks,
            lost,
        })
    }

    /// Elements of [`Storage::blocks`](super::Storage::blocks).
    pub fn blocks(&self) -> usize {
        self.blocks
    }

    /// Elements of [`Storage::chunks`](super::Storage::chunks).
    pub fn chunks(&self) -> usize {
        self.chunks
    }

    /// Usable bytes that are lost because they do not fill a block.
    pub fn lost_bytes(&self) -> u64 {
        self.lost
    }

    /// The zones as ranges with their nodes.
    pub fn ranges(&self) -> impl Iterator<Item = NodeRange> + '_ {
        self.zones.iter().map(|zone| NodeRange {
            node: zone.node,
            range: HpaRange {
                start: Hpa::new(zone.start),
                end: Hpa::new(zone.end),
            },
        })
    }
}

/// A hole that starts at or after some address.
struct Hole {
    start: u64,
    end: u64,
}

/// The first reserved stretch in `start..end`; an empty one at `end` where there is none.
fn next_hole(start: u64, end: u64, reserved: &[HpaRange]) -> Hole {
    reserved
        .iter()
        .map(|range| (range.start.as_u64(), range.end.as_u64()))
        .filter(|(from, to)| from < to && *from < end && *to > start)
        .min()
        .map_or(Hole { start: end, end }, |(from, to)| Hole {
            start: from.max(start),
            end: to,
        })
}

/// Zones in the making, with borders in bytes.
struct ZoneList<'s> {
    zones: &'s mut [Zone],
    len: usize,
}

impl ZoneList<'_> {
    /// Inserts a piece in the order of start addresses.
    fn insert(&mut self, start: u64, end: u64, node: NodeId) -> Result<(), LayoutError> {
        let at = self
            .zones
            .iter()
            .take(self.len)
            .position(|zone| zone.start > start)
            .unwrap_or(self.len);
        let tail = self
            .zones
            .get_mut(at..=self.len)
            .ok_or(LayoutError::TooManyZones)?;
        tail.rotate_right(1);
        if let Some(zone) = tail.first_mut() {
            *zone = Zone {
                start,
                end,
                node,
                ..Zone::default()
            };
        }
        self.len += 1;
        Ok(())
    }

    /// Keeps the zones for which `keep` says so; it may change them, and sees the one kept before.
    fn retain<E>(
        &mut self,
        mut keep: impl FnMut(Option<&mut Zone>, &mut Zone) -> Result<bool, E>,
    ) -> Result<(), E> {
        let mut kept = 0_usize;
        for index in 0..self.len {
            let Some(mut zone) = self.zones.get(index).copied() else {
                break;
            };
            let last = kept.checked_sub(1);
            let previous = last.and_then(|last| self.zones.get_mut(last));
            if keep(previous, &mut zone)? {
                if let Some(slot) = self.zones.get_mut(kept) {
                    *slot = zone;
                }
                kept += 1;
            }
        }
        self.len = kept;
        Ok(())
    }

    /// Joins pieces of one node that touch or overlap.
    fn join(&mut self) -> Result<(), LayoutError> {
        self.retain(|previous, zone| match previous {
            Some(previous) if previous.node == zone.node && zone.start <= previous.end => {
                previous.end = previous.end.max(zone.end);
                Ok(false)
            }
            Some(previous) if zone.start < previous.end => {
                Err(LayoutError::NodesOverlap(Hpa::new(zone.start)))
            }
            _ => Ok(true),
        })
    }

    /// Moves borders inwards to whole blocks and drops what is left empty.
    fn trim(&mut self, lost: &mut u64) {
        let trimmed: Result<(), core::convert::Infallible> = self.retain(|_, zone| {
            let bytes = zone.end - zone.start;
            let start = Hpa::new(zone.start).align_up(PageSize::Size2M);
            let end = Hpa::new(zone.end).align_down(PageSize::Size2M).as_u64();
            match start.map(Hpa::as_u64) {
                Some(start) if start < end => {
                    *lost += bytes - (end - start);
                    (zone.start, zone.end) = (start, end);
                    Ok(true)
                }
                _ => {
                    *lost += bytes;
                    Ok(false)
                }
            }
        });
        match trimmed {
            Ok(()) => {}
        }
    }
}
