//! [`CountingHeap`]: the heap, counted.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// The program's heap.
#[derive(Debug)]
pub struct CountingHeap;

/// What a piece of work did to the heap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Use {
    /// The most bytes at a time, beyond what there was before.
    pub peak: usize,
    /// Blocks taken.
    pub allocations: usize,
}

/// Runs `work` and says what it used; meaningful while no other thread works.
pub fn used(work: impl FnOnce()) -> Use {
    let (live, count) = (LIVE.load(Ordering::Relaxed), COUNT.load(Ordering::Relaxed));
    PEAK.store(live, Ordering::Relaxed);
    work();
    Use {
        peak: PEAK.load(Ordering::Relaxed).saturating_sub(live),
        allocations: COUNT.load(Ordering::Relaxed).saturating_sub(count),
    }
}

// SAFETY: all is passed on to the system's heap, which keeps the contract.
unsafe impl GlobalAlloc for CountingHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(live, Ordering::Relaxed);
        COUNT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract for `layout`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the pointer came from `alloc` above, hence from the system, with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hint::black_box;

    #[test]
    fn the_peak_is_what_there_was_at_a_time() {
        // Other tests may use the heap meanwhile, but not as much.
        let used = used(|| {
            drop(black_box(vec![1_u8; 50 << 20]));
            drop(black_box(vec![1_u8; 80 << 20]));
        });
        assert!((80 << 20..120 << 20).contains(&used.peak), "{used:?}");
        assert!(used.allocations >= 2);
    }
}
