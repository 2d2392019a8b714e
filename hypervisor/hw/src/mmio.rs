//! Memory-mapped registers: the one door to volatile accesses.

use core::marker::PhantomData;
use core::ptr;

use bulkhead_core::addr::Hva;

/// A register width.
pub trait RegisterValue: Copy {}

impl RegisterValue for u8 {}
impl RegisterValue for u16 {}
impl RegisterValue for u32 {}
impl RegisterValue for u64 {}

/// A block of registers of `T` at a mapped address.
#[derive(Debug)]
pub struct Mmio<T> {
    base: usize,
    bytes: usize,
    value: PhantomData<T>,
}

impl<T: RegisterValue> Mmio<T> {
    /// The registers in the `bytes` bytes at `base`.
    ///
    /// # Safety
    /// The range must be mapped, uncached, for as long as the value lives, and belong to a device
    /// whose registers may be accessed with width `T` without breaking memory safety.
    pub const unsafe fn new(base: Hva, bytes: usize) -> Self {
        Mmio {
            base: base.as_u64() as usize,
            bytes,
            value: PhantomData,
        }
    }

    /// Reads the register at byte `offset`; `None` outside the block or unaligned.
    pub fn read(&self, offset: usize) -> Option<T> {
        let address = self.address(offset)?;
        // SAFETY: in the block and aligned; the creator promised that the block is mapped.
        Some(unsafe { ptr::read_volatile(ptr::with_exposed_provenance(address)) })
    }

    /// Writes the register at byte `offset`; does nothing outside the block or unaligned.
    pub fn write(&mut self, offset: usize, value: T) {
        if let Some(address) = self.address(offset) {
            // SAFETY: in the block and aligned; the creator promised that the block is mapped.
            unsafe { ptr::write_volatile(ptr::with_exposed_provenance_mut(address), value) }
        }
    }

    fn address(&self, offset: usize) -> Option<usize> {
        let end = offset.checked_add(size_of::<T>())?;
        (end <= self.bytes && offset.is_multiple_of(size_of::<T>())).then(|| self.base + offset)
    }
}
