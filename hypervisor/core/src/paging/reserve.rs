//! Frames taken before an operation starts to write, so that it cannot run out of them half-way.

use super::ports::{TableFrames, TableMemory};
use crate::addr::Hpa;
use crate::fault::ResourceError;

/// A stack of frames, chained through their own first entry (no walker knows them yet).
pub(super) struct Reserve {
    head: Option<Hpa>,
}

impl Reserve {
    /// Takes `count` frames.
    ///
    /// # Errors
    /// The allocator's error, after all frames taken so far went back.
    pub(super) fn fill(
        count: u64,
        memory: &mut impl TableMemory,
        frames: &mut impl TableFrames,
    ) -> Result<Self, ResourceError> {
        let mut reserve = Reserve { head: None };
        for _ in 0..count {
            match frames.allocate() {
                Ok(frame) => {
                    memory.store(frame, chain(reserve.head));
                    reserve.head = Some(frame);
                }
                Err(error) => {
                    reserve.release(memory, frames);
                    return Err(error);
                }
            }
        }
        Ok(reserve)
    }

    /// The next frame, all zero; `None` past the count that was reserved.
    pub(super) fn take(&mut self, memory: &mut impl TableMemory) -> Option<Hpa> {
        let frame = self.head?;
        self.head = unchain(memory.load(frame));
        memory.store(frame, 0);
        Some(frame)
    }

    /// Gives back what was not taken.
    pub(super) fn release(mut self, memory: &mut impl TableMemory, frames: &mut impl TableFrames) {
        while let Some(frame) = self.take(memory) {
            frames.free(frame);
        }
    }
}

/// The link to the next frame as an entry that no format takes for present. Frame 0 is never a
/// table, so 0 ends the chain.
pub(super) fn chain(next: Option<Hpa>) -> u64 {
    next.map_or(0, Hpa::as_u64)
}

/// The reverse of [`chain`].
pub(super) fn unchain(link: u64) -> Option<Hpa> {
    (link != 0).then_some(Hpa::new(link))
}
