//! The ports through which drivers reach device registers and DMA memory.
//!
//! The management partition implements them over the machine, the drivers' tests over a device model.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

/// A range of device registers. Offsets lie inside the range that the object was made for and are naturally aligned;
/// an offset outside is a bug of the driver, and an implementation stops the program on it.
pub trait Registers {
    /// Bytes in the range.
    fn length(&self) -> usize;
    /// Reads 8 bits.
    fn read8(&self, offset: usize) -> u8;
    /// Reads 16 bits.
    fn read16(&self, offset: usize) -> u16;
    /// Reads 32 bits.
    fn read32(&self, offset: usize) -> u32;
    /// Writes 8 bits.
    fn write8(&self, offset: usize, value: u8);
    /// Writes 16 bits.
    fn write16(&self, offset: usize, value: u16);
    /// Writes 32 bits.
    fn write32(&self, offset: usize, value: u32);
}

/// Memory that the device may access at any time. The rules on offsets are those of [`Registers`].
pub trait Memory {
    /// Where the device sees the first byte.
    fn address(&self) -> u64;
    /// Copies bytes out.
    fn read(&self, offset: usize, into: &mut [u8]);
    /// Copies bytes in.
    fn write(&self, offset: usize, from: &[u8]);
    /// Reads an index field: no later access to this memory happens before it (acquire).
    fn load16(&self, offset: usize) -> u16;
    /// Writes an index field: all earlier accesses have happened before it (release).
    fn store16(&self, offset: usize, value: u16);
    /// Orders every earlier store before every later load.
    fn fence(&self);
}

/// Where drivers get registers and memory from.
pub trait Platform {
    /// Device registers.
    type Registers: Registers;
    /// DMA memory.
    type Memory: Memory;

    /// Zeroed memory, aligned to 4 KiB and contiguous for the device; `None` when there is none.
    fn memory(&self, bytes: usize) -> Option<Self::Memory>;
}
