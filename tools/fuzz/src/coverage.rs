//! [`Coverage`]: which edges of the instrumented crates have run, and how often.
//!
//! LLVM's pass gives every edge an 8-bit counter and calls [`__sanitizer_cov_8bit_counters_init`] before `main` with
//! the place of all of them. Without the pass there are no counters, and nothing is ever new.

use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

static COUNTERS: AtomicPtr<u8> = AtomicPtr::new(ptr::null_mut());
static LENGTH: AtomicUsize = AtomicUsize::new(0);

/// Called by the start-up code that LLVM puts into each instrumented object file; the linker has laid all counters in
/// one piece, and each call names the whole.
// SAFETY: no other symbol has this name: it is reserved for this purpose by LLVM.
#[unsafe(no_mangle)]
extern "C" fn __sanitizer_cov_8bit_counters_init(start: *mut u8, stop: *mut u8) {
    COUNTERS.store(start, Ordering::Relaxed);
    LENGTH.store(stop.addr().saturating_sub(start.addr()), Ordering::Relaxed);
}

/// What all inputs so far have reached.
#[derive(Debug)]
pub struct Coverage {
    /// A bit for each order of magnitude of each counter.
    seen: Vec<u8>,
    /// The counters of the last input.
    last: Vec<u8>,
    edges: usize,
}

/// What the last input has reached that none before it had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// Nothing.
    None,
    /// An edge, or an order of magnitude of one.
    Reached,
}

impl Coverage {
    /// Nothing reached yet.
    pub fn new() -> Self {
        let length = LENGTH.load(Ordering::Relaxed);
        Self {
            seen: vec![0; length],
            last: vec![0; length],
            edges: 0,
        }
    }

    /// Whether this program was built with counters.
    pub fn is_measured(&self) -> bool {
        !self.seen.is_empty()
    }

    /// Edges reached.
    pub const fn edges(&self) -> usize {
        self.edges
    }

    /// Runs `work` and says whether it reached something new.
    pub fn of(&mut self, work: impl FnOnce()) -> News {
        let counters = COUNTERS.load(Ordering::Relaxed);
        if !counters.is_null() {
            // SAFETY: LLVM's start-up code named these bytes, which live as long as the program; they are only ever
            // accessed through raw pointers, here and by the instrumentation, and in this thread at this moment.
            unsafe { ptr::write_bytes(counters, 0, self.last.len()) };
        }
        work();
        if !counters.is_null() {
            // SAFETY: as above; `last` has that very length, and is no part of the counters.
            unsafe { ptr::copy_nonoverlapping(counters, self.last.as_mut_ptr(), self.last.len()) };
        }
        self.add()
    }

    fn add(&mut self) -> News {
        let mut news = News::None;
        let (counts, _) = self.last.as_chunks::<8>();
        let (seen, _) = self.seen.as_chunks_mut::<8>();
        for (counts, seen) in counts.iter().zip(seen) {
            // Most are zero, eight at a time.
            if u64::from_ne_bytes(*counts) == 0 {
                continue;
            }
            for (count, seen) in counts.iter().zip(seen) {
                let bit = magnitude(*count);
                if *seen & bit != bit {
                    self.edges += usize::from(*seen == 0);
                    *seen |= bit;
                    news = News::Reached;
                }
            }
        }
        news
    }
}

/// A loop that runs 9 times instead of 8 is no news; 20 instead of 8 is.
const fn magnitude(count: u8) -> u8 {
    match count {
        0 => 0,
        1 => 1,
        2 => 1 << 1,
        3 => 1 << 2,
        4..=7 => 1 << 3,
        8..=15 => 1 << 4,
        16..=31 => 1 << 5,
        32..=127 => 1 << 6,
        128.. => 1 << 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_and_each_magnitude_are_news_once() {
        let mut coverage = Coverage {
            seen: vec![0; 16],
            last: vec![0; 16],
            edges: 0,
        };
        let mut run = |place: usize, count: u8| {
            coverage.last.fill(0);
            coverage.last[place] = count;
            (coverage.add(), coverage.edges())
        };
        assert_eq!(run(3, 1), (News::Reached, 1));
        assert_eq!(run(3, 1), (News::None, 1));
        assert_eq!(run(3, 9), (News::Reached, 1));
        assert_eq!(run(3, 12), (News::None, 1));
        assert_eq!(run(15, 255), (News::Reached, 2));
        assert_eq!(run(0, 0), (News::None, 2));
    }
}
