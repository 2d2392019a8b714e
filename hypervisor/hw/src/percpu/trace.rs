//! Notes left by code that must not format or wait: the exit path and interrupt handlers.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU32, Ordering};

use bulkhead_core::time::Instant;

/// Notes that wait to be read.
const NOTES: u32 = 64;

/// A fact and two numbers.
#[derive(Clone, Copy, Debug)]
pub struct Note {
    /// When.
    pub time: Instant,
    /// What happened.
    pub what: &'static str,
    /// Numbers that go with it.
    pub values: [u64; 2],
}

/// A queue of notes, written by the owning CPU and read by whichever CPU drains the log.
///
/// Single producer (the owning CPU, interrupts off), single consumer (the holder of the console).
pub struct Trace {
    notes: [UnsafeCell<Note>; NOTES as usize],
    head: AtomicU32,
    tail: AtomicU32,
    lost: AtomicU32,
}

impl Default for Trace {
    fn default() -> Self {
        Self::new()
    }
}

impl Trace {
    /// The empty queue.
    pub const fn new() -> Self {
        Trace {
            notes: [const {
                UnsafeCell::new(Note {
                    time: Instant(0),
                    what: "",
                    values: [0; 2],
                })
            }; NOTES as usize],
            head: AtomicU32::new(0),
            tail: AtomicU32::new(0),
            lost: AtomicU32::new(0),
        }
    }

    /// Leaves a note; counts it as lost where the queue is full. Call on the owning CPU only.
    #[inline]
    pub fn leave(&self, time: Instant, what: &'static str, values: [u64; 2]) {
        let head = self.head.load(Ordering::Relaxed);
        // Pairs with the release in `take`: the slot was read before it is written again.
        if head.wrapping_sub(self.tail.load(Ordering::Acquire)) >= NOTES {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if let Some(slot) = self.notes.get((head % NOTES) as usize) {
            // SAFETY: slots from tail + NOTES on belong to the producer, which is this CPU.
            unsafe { *slot.get() = Note { time, what, values } };
        }
        self.head.store(head.wrapping_add(1), Ordering::Release);
    }

    /// Whether there is a note to take.
    #[inline]
    pub fn has_notes(&self) -> bool {
        self.head.load(Ordering::Relaxed) != self.tail.load(Ordering::Relaxed)
    }

    /// Takes the oldest note. One caller at a time.
    pub fn take(&self) -> Option<Note> {
        let tail = self.tail.load(Ordering::Relaxed);
        // Pairs with the release in `leave`: the note is complete.
        if tail == self.head.load(Ordering::Acquire) {
            return None;
        }
        let slot = self.notes.get((tail % NOTES) as usize)?;
        // SAFETY: slots from tail to head belong to the consumer, of which there is one.
        let note = unsafe { *slot.get() };
        self.tail.store(tail.wrapping_add(1), Ordering::Release);
        Some(note)
    }

    /// How many notes found the queue full since the last call.
    pub fn take_lost(&self) -> u32 {
        self.lost.swap(0, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_come_in_order_and_overflow_is_counted() {
        let trace = Trace::new();
        for number in 0..u64::from(NOTES) + 2 {
            trace.leave(Instant(number), "note", [number, 0]);
        }
        for number in 0..u64::from(NOTES) {
            assert_eq!(trace.take().unwrap().values[0], number);
        }
        assert!(trace.take().is_none());
        assert_eq!(trace.take_lost(), 2);
        trace.leave(Instant(0), "again", [7, 0]);
        assert_eq!(trace.take().unwrap().values[0], 7);
    }
}
