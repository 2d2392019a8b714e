//! 4 KiB frames for the hypervisor's own tables, carved out of 2 MiB blocks.

use super::BLOCK_BYTES;
use super::allocator::{FrameAllocator, Placement};
use super::ledger::{FreeError, Owner};
use crate::addr::{Hpa, HpaRange, PAGE_SIZE, PageSize};
use crate::fault::ResourceError;

/// Frames in a block.
const FRAMES: u16 = (BLOCK_BYTES / PAGE_SIZE) as u16;

/// The record of one block. Callers only provide arrays of [`PoolBlock::EMPTY`].
#[derive(Clone, Copy, Debug)]
pub struct PoolBlock {
    base: u64,
    free: u16,
    /// A bit for each frame in use.
    used: [u64; 8],
}

impl PoolBlock {
    /// A record that is not in use, for static arrays.
    pub const EMPTY: PoolBlock = PoolBlock {
        base: 0,
        free: 0,
        used: [0; 8],
    };
}

impl Default for PoolBlock {
    fn default() -> Self {
        Self::EMPTY
    }
}

/// A pool of 4 KiB frames.
///
/// The blocks' records are sorted by address in the first `len` elements. Frames come back with
/// arbitrary contents; the caller clears what must be zero.
#[derive(Debug)]
pub struct FramePool<'s> {
    blocks: &'s mut [PoolBlock],
    len: usize,
    /// No block before this one has a free frame.
    hint: usize,
    free: u64,
}

impl<'s> FramePool<'s> {
    /// An empty pool that can hold as many blocks as `blocks` has elements.
    pub fn new(blocks: &'s mut [PoolBlock]) -> Self {
        Self {
            blocks,
            len: 0,
            hint: 0,
            free: 0,
        }
    }

    /// Adds the 2 MiB block at `base`, which the hypervisor must own.
    ///
    /// # Errors
    /// [`ResourceError::TableFull`] where the pool holds as many blocks as it can, or holds this one.
    pub fn add_block(&mut self, base: Hpa) -> Result<(), ResourceError> {
        const FULL: ResourceError = ResourceError::TableFull("frame-pool blocks");
        let base = base.align_down(PageSize::Size2M).as_u64();
        let at = match self.search(base) {
            Ok(_) => return Err(FULL),
            Err(at) => at,
        };
        let tail = self.blocks.get_mut(at..=self.len).ok_or(FULL)?;
        tail.rotate_right(1);
        if let Some(block) = tail.first_mut() {
            *block = PoolBlock {
                base,
                free: FRAMES,
                used: [0; 8],
            };
        }
        self.len += 1;
        self.free += u64::from(FRAMES);
        self.hint = self.hint.min(at);
        Ok(())
    }

    /// A frame.
    ///
    /// # Errors
    /// [`ResourceError::HypervisorMemory`] where all are in use.
    pub fn allocate(&mut self) -> Result<Hpa, ResourceError> {
        let blocks = self.blocks.get_mut(self.hint..self.len).unwrap_or_default();
        for block in blocks {
            for (index, word) in block.used.iter_mut().enumerate() {
                let bit = word.trailing_ones();
                if bit < 64 {
                    *word |= 1 << bit;
                    block.free -= 1;
                    self.free -= 1;
                    let frame = index as u64 * 64 + u64::from(bit);
                    return Ok(Hpa::new(block.base + frame * PAGE_SIZE));
                }
            }
            self.hint += 1;
        }
        Err(ResourceError::HypervisorMemory)
    }

    /// Makes sure that at least `count` frames are free, with blocks from `memory` where needed.
    ///
    /// # Errors
    /// [`ResourceError`] where memory or records run out; blocks added until then stay.
    pub fn grow_to(
        &mut self,
        count: u64,
        memory: &mut FrameAllocator<'_>,
        placement: Placement,
    ) -> Result<(), ResourceError> {
        while self.free < count {
            let block = memory
                .allocate_contiguous(
                    Owner::Hypervisor,
                    BLOCK_BYTES,
                    PageSize::Size2M,
                    None,
                    placement,
                )
                .map_err(|_| ResourceError::HypervisorMemory)?;
            if let Err(error) = self.add_block(block.start) {
                // A block just taken from the allocator is the hypervisor's: this cannot fail.
                let _taken_back = memory.free(Owner::Hypervisor, block);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Takes a block without any frame in use out of the pool, for the allocator; `None` where
    /// every block is needed.
    pub fn take_empty_block(&mut self) -> Option<HpaRange> {
        let blocks = self.blocks.get_mut(..self.len)?;
        let at = blocks.iter().rposition(|block| block.free == FRAMES)?;
        let base = blocks.get(at)?.base;
        blocks.get_mut(at..)?.rotate_left(1);
        self.len -= 1;
        self.free -= u64::from(FRAMES);
        self.hint = self.hint.min(at);
        HpaRange::new(Hpa::new(base), BLOCK_BYTES)
    }

    /// Takes back a frame.
    ///
    /// # Errors
    /// [`FreeError`]; then nothing has changed.
    pub fn free(&mut self, frame: Hpa) -> Result<(), FreeError> {
        if !frame.is_aligned(PageSize::Size4K) {
            return Err(FreeError::Unaligned(frame));
        }
        let base = frame.align_down(PageSize::Size2M).as_u64();
        let at = self
            .search(base)
            .map_err(|_| FreeError::NotManaged(frame))?;
        let index = (frame.as_u64() - base) / PAGE_SIZE;
        let block = self
            .blocks
            .get_mut(at)
            .ok_or(FreeError::NotManaged(frame))?;
        let word = block
            .used
            .get_mut((index / 64) as usize)
            .ok_or(FreeError::NotManaged(frame))?;
        let bit = 1 << (index % 64);
        if *word & bit == 0 {
            return Err(FreeError::AlreadyFree(frame));
        }
        *word &= !bit;
        block.free += 1;
        self.free += 1;
        self.hint = self.hint.min(at);
        Ok(())
    }

    /// Frames that are free.
    pub fn free_frames(&self) -> u64 {
        self.free
    }

    /// Frames in use.
    pub fn used_frames(&self) -> u64 {
        self.len as u64 * u64::from(FRAMES) - self.free
    }

    /// Where the block at `base` is, or where it would go.
    fn search(&self, base: u64) -> Result<usize, usize> {
        let blocks = self.blocks.get(..self.len).unwrap_or_default();
        blocks.binary_search_by_key(&base, |block| block.base)
    }
}
