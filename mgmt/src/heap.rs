//! The heap: all of the partition's free memory. DMA memory comes from here as well.

use core::alloc::{GlobalAlloc, Layout};
use core::sync::atomic::{AtomicUsize, Ordering};

use mgmt_start::Region;
use talc::TalcCell;
use talc::source::Manual;

struct Heap(TalcCell<Manual>);

/// Bytes that are allocated, without the allocator's own.
static IN_USE: AtomicUsize = AtomicUsize::new(0);

fn count(more: usize, less: usize) {
    // One vCPU, and interrupt handlers do not allocate: nobody comes between.
    let now = IN_USE.load(Ordering::Relaxed);
    IN_USE.store(now.wrapping_add(more).wrapping_sub(less), Ordering::Relaxed);
}

/// Bytes that are allocated, without the allocator's own.
pub fn in_use() -> usize {
    IN_USE.load(Ordering::Relaxed)
}

// SAFETY: the partition runs on one vCPU, and interrupt handlers do not allocate: no two calls overlap.
unsafe impl Sync for Heap {}

// SAFETY: every call is passed on to an allocator that keeps the trait's promises; see `Sync` for exclusion.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is this trait's own.
        let pointer = unsafe { self.0.alloc(layout) };
        if !pointer.is_null() {
            count(layout.size(), 0);
        }
        pointer
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: as above.
        unsafe { self.0.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above.
        let moved = unsafe { self.0.realloc(pointer, layout, size) };
        if !moved.is_null() {
            count(size, layout.size());
        }
        moved
    }
}

#[global_allocator]
static HEAP: Heap = Heap(TalcCell::new(Manual));

/// Gives the heap its memory.
///
/// # Safety
/// Called once; nothing else uses the region, and it stays mapped.
pub unsafe fn init(region: Region) {
    // SAFETY: the caller hands the region over.
    let claimed = unsafe { HEAP.0.claim(region.base as *mut u8, region.length as usize) };
    assert!(claimed.is_some(), "the free memory is too small for a heap");
}
