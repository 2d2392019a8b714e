//! The hypervisor's heap: first fit over one stretch of its own memory.
//!
//! For set-up and management operations. The exit path never allocates.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::NonNull;

use bulkhead_core::addr::Hva;
use spin::Mutex;

/// The heap; empty, and so without memory to give, until [`Heap::fill`].
pub struct Heap {
    heap: Mutex<linked_list_allocator::Heap>,
}

impl Default for Heap {
    fn default() -> Self {
        Self::new()
    }
}

impl Heap {
    /// The empty heap.
    pub const fn new() -> Self {
        Heap {
            heap: Mutex::new(linked_list_allocator::Heap::empty()),
        }
    }

    /// Gives the heap its memory.
    ///
    /// # Safety
    /// The `bytes` bytes at `start` must be mapped for good and of no other use. Once only.
    pub unsafe fn fill(&self, start: Hva, bytes: usize) {
        let start = core::ptr::with_exposed_provenance_mut(start.as_u64() as usize);
        // SAFETY: passed on from the caller.
        unsafe { self.heap.lock().init(start, bytes) }
    }

    /// Bytes in use and bytes free.
    pub fn usage(&self) -> (usize, usize) {
        let heap = self.heap.lock();
        (heap.used(), heap.free())
    }
}

// SAFETY: the allocator under the lock keeps the contract; interrupt handlers do not allocate, so
// the lock is never taken by the CPU that holds it.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.heap
            .lock()
            .allocate_first_fit(layout)
            .map_or(core::ptr::null_mut(), NonNull::as_ptr)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if let Some(pointer) = NonNull::new(pointer) {
            // SAFETY: the caller gives back what `alloc` gave, with the same layout.
            unsafe { self.heap.lock().deallocate(pointer, layout) }
        }
    }
}
