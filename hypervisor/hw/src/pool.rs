//! The hypervisor's own frames: 4 KiB frames for page tables and other hardware structures.
//!
//! All of them are in the direct map. [`Tables`] is the port that the page-table engine uses, for
//! the host's own tables and for nested ones.
//!
//! Lock order: the pool's lock is a leaf.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bulkhead_core::addr::{Hpa, HpaRange, Hva, PAGE_SIZE};
use bulkhead_core::fault::ResourceError;
use bulkhead_core::frames::{BLOCK_BYTES, FrameAllocator, FramePool, Owner, Placement, PoolBlock};
use bulkhead_core::paging::{TableFrames, TableMemory};
use spin::Mutex;

use crate::layout::DIRECT_MAP;
use crate::{space, warn};

/// Blocks of 2 MiB that the pool can hold: 2 GiB.
const BLOCKS: usize = 1024;

struct Records(UnsafeCell<[PoolBlock; BLOCKS]>);

// SAFETY: handed out as a unique reference once, by `found`.
unsafe impl Sync for Records {}

static RECORDS: Records = Records(UnsafeCell::new([PoolBlock::EMPTY; BLOCKS]));
static FOUNDED: AtomicBool = AtomicBool::new(false);
static POOL: Mutex<Option<FramePool<'static>>> = Mutex::new(None);

/// What is added to a physical address to reach it: 0 on the early identity map.
static OFFSET: AtomicU64 = AtomicU64::new(0);

/// Starts the pool with its first memory, reached through the early identity map.
///
/// # Errors
/// [`ResourceError`] where the pool exists already or `range` has too many blocks.
///
/// # Safety
/// The whole blocks of `range` must be RAM of no other use, in reach of the identity map.
pub unsafe fn found(range: HpaRange) -> Result<(), ResourceError> {
    if FOUNDED.swap(true, Ordering::Relaxed) {
        return Err(ResourceError::TableFull("frame pools"));
    }
    // SAFETY: the flag lets only the first caller come here.
    let records = unsafe { &mut *RECORDS.0.get() };
    let mut pool = FramePool::new(records);
    add(&mut pool, range)?;
    *POOL.lock() = Some(pool);
    Ok(())
}

fn add(pool: &mut FramePool<'static>, range: HpaRange) -> Result<(), ResourceError> {
    let mut block = range.start;
    while block
        .checked_add(BLOCK_BYTES)
        .is_some_and(|end| end <= range.end)
    {
        pool.add_block(block)?;
        block = block.wrapping_add(BLOCK_BYTES);
    }
    Ok(())
}

/// From now on frames are reached through the direct map.
///
/// # Safety
/// The direct map of all frames of the pool must be active.
pub unsafe fn use_direct_map() {
    OFFSET.store(DIRECT_MAP, Ordering::Relaxed);
}

/// Where a frame of the pool is mapped now.
#[inline]
pub fn address_of(frame: Hpa) -> Hva {
    Hva::new(frame.as_u64() + OFFSET.load(Ordering::Relaxed))
}

/// A frame, all zero.
///
/// # Errors
/// [`ResourceError::HypervisorMemory`] where none is left; [`grow`] helps.
pub fn allocate() -> Result<Hpa, ResourceError> {
    let frame = match POOL.lock().as_mut() {
        Some(pool) => pool.allocate()?,
        None => return Err(ResourceError::HypervisorMemory),
    };
    let pointer = pointer_to(frame);
    // SAFETY: the frame belongs to the pool, so it is mapped, and nobody else has it.
    unsafe { core::ptr::write_bytes(pointer.cast::<u8>(), 0, PAGE_SIZE as usize) };
    Ok(frame)
}

/// Gives a frame of [`allocate`] back. A wrong one is reported and not taken.
pub fn free(frame: Hpa) {
    let result = POOL.lock().as_mut().map(|pool| pool.free(frame));
    if let Some(Err(error)) = result {
        warn!("frame pool: {error}");
    }
}

/// Frames that are free.
pub fn free_frames() -> u64 {
    POOL.lock().as_ref().map_or(0, FramePool::free_frames)
}

/// Makes sure that at least `count` frames are free, with memory from `frames` where needed.
///
/// # Errors
/// [`ResourceError`] where memory runs out; what was added until then stays.
pub fn grow(count: u64, frames: &mut FrameAllocator<'_>) -> Result<(), ResourceError> {
    while free_frames() < count {
        let block = frames.allocate_contiguous(
            Owner::Hypervisor,
            BLOCK_BYTES,
            bulkhead_core::addr::PageSize::Size2M,
            None,
            Placement::Anywhere,
        )?;
        // SAFETY: the allocator gave the block to the hypervisor, so nothing else uses it.
        let mapped = unsafe { space::map_direct(block) };
        let added = mapped
            .map_err(|_| ResourceError::HypervisorMemory)
            .and_then(|()| match POOL.lock().as_mut() {
                Some(pool) => pool.add_block(block.start),
                None => Err(ResourceError::HypervisorMemory),
            });
        // A block that is mapped but not in the pool stays the hypervisor's: it is not lost to the
        // ledger, and giving a mapped block to a guest would be worse.
        added?;
    }
    Ok(())
}

fn pointer_to(frame: Hpa) -> *mut u64 {
    core::ptr::with_exposed_provenance_mut(address_of(frame).as_u64() as usize)
}

/// The pool as the page-table engine's frames and memory.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tables;

impl TableFrames for Tables {
    fn allocate(&mut self) -> Result<Hpa, ResourceError> {
        allocate()
    }

    fn free(&mut self, frame: Hpa) {
        free(frame);
    }
}

impl TableMemory for Tables {
    fn load(&self, entry: Hpa) -> u64 {
        // SAFETY: the engine passes aligned entries of tables that came from `allocate`.
        unsafe { AtomicU64::from_ptr(pointer_to(entry)) }.load(Ordering::Relaxed)
    }

    fn store(&mut self, entry: Hpa, value: u64) {
        // SAFETY: as for loads. Release: walkers see a table's contents before its link.
        unsafe { AtomicU64::from_ptr(pointer_to(entry)) }.store(value, Ordering::Release);
    }
}
