//! The heap: all of the partition's free memory. DMA memory comes from here as well.

use core::alloc::{GlobalAlloc, Layout};

use mgmt_start::Region;
use talc::TalcCell;
use talc::source::Manual;

struct Heap(TalcCell<Manual>);

// SAFETY: the partition runs on one vCPU, and interrupt handlers do not allocate: no two calls overlap.
unsafe impl Sync for Heap {}

// SAFETY: every call is passed on to an allocator that keeps the trait's promises; see `Sync` for exclusion.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is this trait's own.
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { self.0.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above.
        unsafe { self.0.realloc(pointer, layout, size) }
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
