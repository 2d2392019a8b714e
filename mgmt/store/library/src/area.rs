//! The data area and its free space.

use alloc::rc::{Rc, Weak};
use alloc::vec::Vec;
use core::cell::RefCell;

use store::SECTOR_BYTES;

use crate::BLOCK_BYTES;

/// Most extents of one image: a catalog entry stays below 2 KiB.
pub(crate) const MAX_EXTENTS: usize = 200;
const SECTORS_PER_BLOCK: u64 = BLOCK_BYTES / SECTOR_BYTES as u64;

/// Blocks in a row; block 0 begins at the disk's sector 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Extent {
    /// The first block.
    pub(crate) first: u64,
    /// How many.
    pub(crate) blocks: u64,
}

impl Extent {
    /// One after the last block.
    pub(crate) fn end(self) -> u64 {
        self.first.saturating_add(self.blocks)
    }

    /// Bytes in it.
    pub(crate) fn bytes(self) -> u64 {
        self.blocks.saturating_mul(BLOCK_BYTES)
    }

    /// The sector that holds the byte `offset` of the extent.
    pub(crate) fn sector(self, offset: u64) -> u64 {
        let start = self.first.saturating_mul(SECTORS_PER_BLOCK);
        start.saturating_add(offset / SECTOR_BYTES as u64)
    }
}

/// How many blocks hold so many bytes.
pub(crate) fn blocks_for(bytes: u64) -> u64 {
    bytes.div_ceil(BLOCK_BYTES)
}

/// Blocks that somebody names, for as long as it lives.
#[derive(Debug)]
pub(crate) struct Space(RefCell<Vec<Extent>>);

impl Space {
    /// The extents, in the order of the contents.
    pub(crate) fn extents(&self) -> Vec<Extent> {
        self.0.borrow().clone()
    }

    /// Gives back what is behind the first `bytes` bytes.
    pub(crate) fn trim(&self, bytes: u64) {
        let mut left = blocks_for(bytes);
        self.0.borrow_mut().retain_mut(|extent| {
            extent.blocks = extent.blocks.min(left);
            left -= extent.blocks;
            extent.blocks > 0
        });
    }

    /// The runs of bytes on the disk that hold `length` bytes from `offset` on: extent, offset in it, length.
    pub(crate) fn runs(&self, offset: u64, length: u64) -> Vec<(Extent, u64, u64)> {
        let mut runs = Vec::new();
        let (mut skip, mut left) = (offset, length);
        for extent in &*self.0.borrow() {
            let bytes = extent.bytes();
            if skip >= bytes {
                skip -= bytes;
                continue;
            }
            let taken = left.min(bytes - skip);
            if taken == 0 {
                break;
            }
            runs.push((*extent, skip, taken));
            left -= taken;
            skip = 0;
        }
        runs
    }
}

/// Why there is no space.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NoSpace {
    /// So many blocks are free.
    Full(u64),
    /// They are in too many pieces.
    Scattered,
}

/// The data area: which blocks are whose is what the living [`Space`]s say.
#[derive(Debug)]
pub(crate) struct Area {
    first: u64,
    end: u64,
    spaces: RefCell<Vec<Weak<Space>>>,
}

impl Area {
    /// The area from a sector to the disk's end, as far as it has whole blocks.
    pub(crate) fn new(first_sector: u64, sectors: u64) -> Self {
        let first = first_sector.div_ceil(SECTORS_PER_BLOCK);
        Area {
            first,
            end: (sectors / SECTORS_PER_BLOCK).max(first),
            spaces: RefCell::default(),
        }
    }

    /// Blocks in all.
    pub(crate) fn blocks(&self) -> u64 {
        self.end - self.first
    }

    /// Takes exactly these extents; `None` where one is out of the area, empty or in use.
    pub(crate) fn claim(&self, extents: Vec<Extent>) -> Option<Rc<Space>> {
        let gaps = self.gaps();
        let mut sorted = extents.clone();
        sorted.sort();
        let apart = sorted
            .windows(2)
            .all(|pair| matches!(pair, [one, next] if one.end() <= next.first));
        let free = |extent: &Extent| {
            let inside = |gap: &Extent| gap.first <= extent.first && extent.end() <= gap.end();
            extent.blocks > 0 && gaps.iter().any(inside)
        };
        (apart && sorted.iter().all(free)).then(|| self.space(extents))
    }

    /// Takes so many blocks, in as few pieces as can be.
    pub(crate) fn take(&self, blocks: u64) -> Result<Rc<Space>, NoSpace> {
        let space = self.space(Vec::new());
        self.grow(&space, blocks)?;
        Ok(space)
    }

    /// Adds so many blocks to a space; nothing has changed where they are not there.
    pub(crate) fn grow(&self, space: &Space, blocks: u64) -> Result<(), NoSpace> {
        let mut gaps = self.gaps();
        let free = gaps.iter().map(|gap| gap.blocks).sum();
        if free < blocks {
            return Err(NoSpace::Full(free));
        }
        let mut extents = space.extents();
        let end = extents.last().map(|last| last.end());
        // What goes on where the space ends comes first, then the smallest gap that is large enough, then large ones.
        gaps.sort_by_key(|gap| {
            let adjoins = Some(gap.first) == end;
            let waste = gap.blocks.checked_sub(blocks);
            (!adjoins, waste.unwrap_or(u64::MAX), u64::MAX - gap.blocks)
        });
        let mut left = blocks;
        for gap in gaps {
            let taken = gap.blocks.min(left);
            left -= taken;
            match extents.last_mut().filter(|last| last.end() == gap.first) {
                _ if taken == 0 => break,
                Some(last) => last.blocks += taken,
                None => extents.push(Extent {
                    first: gap.first,
                    blocks: taken,
                }),
            }
        }
        if extents.len() > MAX_EXTENTS {
            return Err(NoSpace::Scattered);
        }
        *space.0.borrow_mut() = extents;
        Ok(())
    }

    /// Blocks that nobody names.
    pub(crate) fn free(&self) -> u64 {
        self.gaps().iter().map(|gap| gap.blocks).sum()
    }

    fn space(&self, extents: Vec<Extent>) -> Rc<Space> {
        let space = Rc::new(Space(RefCell::new(extents)));
        let mut spaces = self.spaces.borrow_mut();
        spaces.retain(|space| space.strong_count() > 0);
        spaces.push(Rc::downgrade(&space));
        space
    }

    /// The runs of free blocks, in order.
    fn gaps(&self) -> Vec<Extent> {
        let spaces = self.spaces.borrow();
        let living = spaces.iter().filter_map(Weak::upgrade);
        let mut used: Vec<Extent> = living.flat_map(|space| space.extents()).collect();
        used.sort();
        let mut gaps = Vec::new();
        let mut at = self.first;
        for extent in used {
            if extent.first > at {
                gaps.push(Extent {
                    first: at,
                    blocks: extent.first - at,
                });
            }
            at = at.max(extent.end());
        }
        if at < self.end {
            gaps.push(Extent {
                first: at,
                blocks: self.end - at,
            });
        }
        gaps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(first: u64, blocks: u64) -> Extent {
        Extent { first, blocks }
    }

    #[test]
    fn what_is_dropped_is_free_again() {
        // Blocks 2 to 9.
        let area = Area::new(129, 1300);
        assert_eq!((area.blocks(), area.free()), (8, 8));
        let one = area.take(3).unwrap();
        let two = area.take(2).unwrap();
        assert_eq!(one.extents(), [extent(2, 3)]);
        assert_eq!(two.extents(), [extent(5, 2)]);
        drop(one);
        assert_eq!(area.take(7).unwrap_err(), NoSpace::Full(6));
        // The smallest gap that is large enough: both have 3.
        let three = area.take(5).unwrap();
        assert_eq!(three.extents(), [extent(2, 3), extent(7, 2)]);
        assert_eq!(area.free(), 1);
        three.trim(1);
        assert_eq!(area.free(), 5);
    }

    #[test]
    fn a_space_grows_where_it_ends_if_it_can() {
        let area = Area::new(0, 128 * 100);
        let one = area.take(10).unwrap();
        area.grow(&one, 10).unwrap();
        assert_eq!(one.extents(), [extent(0, 20)]);
        let two = area.take(1).unwrap();
        area.grow(&one, 5).unwrap();
        assert_eq!(one.extents(), [extent(0, 20), extent(21, 5)]);
        assert_eq!(area.grow(&two, 1000), Err(NoSpace::Full(74)));
        assert_eq!(two.extents(), [extent(20, 1)]);
    }

    #[test]
    fn only_free_blocks_of_the_area_can_be_claimed() {
        let area = Area::new(128 * 10, 128 * 20);
        let claimed = area.claim(vec![extent(12, 2), extent(10, 1)]).unwrap();
        assert_eq!(claimed.extents(), [extent(12, 2), extent(10, 1)]);
        for bad in [
            vec![extent(9, 2)],
            vec![extent(13, 1)],
            vec![extent(19, 2)],
            vec![extent(15, 0)],
            vec![extent(15, 2), extent(16, 1)],
            vec![extent(u64::MAX, 2)],
        ] {
            assert!(area.claim(bad.clone()).is_none(), "{bad:?}");
        }
        assert_eq!(area.free(), 7);
    }

    #[test]
    fn runs_follow_the_extents() {
        let area = Area::new(0, 128 * 20);
        let space = area.claim(vec![extent(4, 1), extent(1, 2)]).unwrap();
        let block = BLOCK_BYTES;
        assert_eq!(
            space.runs(block - 10, 30),
            [(extent(4, 1), block - 10, 10), (extent(1, 2), 0, 20)]
        );
        assert_eq!(space.runs(block, 5), [(extent(1, 2), 0, 5)]);
        assert_eq!(extent(1, 2).sector(block), 256);
    }

    #[test]
    fn an_area_in_too_many_pieces_is_scattered() {
        let area = Area::new(0, 128 * 1000);
        let mut spaces: Vec<_> = (0..1000).map(|_| area.take(1).unwrap()).collect();
        let mut index = 0;
        spaces.retain(|_| {
            index += 1;
            index % 2 == 0
        });
        assert_eq!(area.take(300).unwrap_err(), NoSpace::Scattered);
        assert_eq!(area.free(), 500);
        assert!(area.take(200).is_ok());
    }
}
