//! What the engine needs from its surroundings: memory for table entries, and frames for tables.

use crate::addr::Hpa;
use crate::fault::ResourceError;

/// Access to page-table entries in host-physical memory.
pub trait TableMemory {
    /// The 8-byte entry at `entry`. A concurrent hardware update is seen whole or not at all.
    fn load(&self, entry: Hpa) -> u64;

    /// Replaces the 8-byte entry at `entry` by one store that walkers see whole, and not before
    /// the stores that preceded it (on x86: one aligned 64-bit store).
    fn store(&mut self, entry: Hpa, value: u64);
}

/// Where 4 KiB frames for tables come from.
pub trait TableFrames {
    /// A frame that is all zero.
    ///
    /// # Errors
    /// [`ResourceError`] where none is left.
    fn allocate(&mut self) -> Result<Hpa, ResourceError>;

    /// Takes back a frame of [`TableFrames::allocate`]; its contents are arbitrary.
    fn free(&mut self, frame: Hpa);
}
