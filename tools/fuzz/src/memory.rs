//! [`LimitedHeap`]: the heap, which refuses more than a case may use.
//!
//! A refusal ends the worker with the standard library's message, which the campaign understands.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

static LIVE: AtomicUsize = AtomicUsize::new(0);
static LIMIT: AtomicUsize = AtomicUsize::new(usize::MAX);

/// The program's heap.
#[derive(Debug)]
pub struct LimitedHeap;

/// Runs `work`, which may not have more than `bytes` at a time beyond what there is.
pub fn limited(bytes: usize, work: impl FnOnce()) {
    let limit = LIVE.load(Ordering::Relaxed).saturating_add(bytes);
    LIMIT.store(limit, Ordering::Relaxed);
    work();
    LIMIT.store(usize::MAX, Ordering::Relaxed);
}

// SAFETY: all is passed on to the system's heap, which keeps the contract; a refusal is part of it.
unsafe impl GlobalAlloc for LimitedHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Ordering::Relaxed);
        if live.saturating_add(layout.size()) > LIMIT.load(Ordering::Relaxed) {
            LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
            // The way to the end of the process needs a little memory.
            LIMIT.store(usize::MAX, Ordering::Relaxed);
            return ptr::null_mut();
        }
        // SAFETY: the caller keeps the contract for `layout`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the pointer came from `alloc` above, hence from the system, with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}
