//! One direction's ring of descriptors with a buffer for each.

use mgmt_platform::{Memory, Platform, Registers};

use crate::E1000Error;
use crate::registers::{
    DESCRIPTOR, DESCRIPTOR_LENGTH, DESCRIPTOR_STATUS, QUEUE_BASE_HIGH, QUEUE_BASE_LOW, QUEUE_BYTES,
    QUEUE_HEAD, QUEUE_TAIL,
};

/// Descriptors; a multiple of 8, as the length register wants it.
pub const ENTRIES: u16 = 128;
/// Bytes of a buffer.
pub const BUFFER: usize = 2048;

/// The ring. Indices are those of descriptors and below [`ENTRIES`].
pub struct Ring<P: Platform> {
    descriptors: P::Memory,
    buffers: P::Memory,
    /// Offset of the queue's registers.
    queue: usize,
}

impl<P: Platform> Ring<P> {
    /// A ring of zeroed descriptors at the queue's registers from `queue` on; the card is told of it.
    pub fn new(registers: &P::Registers, platform: &P, queue: usize) -> Result<Self, E1000Error> {
        let entries = usize::from(ENTRIES);
        let memory = |bytes| platform.memory(bytes).ok_or(E1000Error::NoMemory);
        let (descriptors, buffers) = (memory(entries * DESCRIPTOR)?, memory(entries * BUFFER)?);
        let base = descriptors.address();
        registers.write32(queue + QUEUE_BASE_LOW, base as u32);
        registers.write32(queue + QUEUE_BASE_HIGH, (base >> 32) as u32);
        registers.write32(queue + QUEUE_BYTES, (entries * DESCRIPTOR) as u32);
        registers.write32(queue + QUEUE_HEAD, 0);
        registers.write32(queue + QUEUE_TAIL, 0);
        Ok(Ring {
            descriptors,
            buffers,
            queue,
        })
    }

    /// The index behind `index`.
    pub fn after(index: u16) -> u16 {
        (index + 1) % ENTRIES
    }

    /// Writes a descriptor of `index`'s buffer; `bytes` of it and `command` are for the card to read.
    pub fn fill(&self, index: u16, bytes: u16, command: u8) {
        let address = self.buffers.address() + buffer(index) as u64;
        let mut words = [0; DESCRIPTOR];
        let (low, high) = words.split_at_mut(DESCRIPTOR_LENGTH);
        low.copy_from_slice(&address.to_le_bytes());
        let [length_low, length_high] = bytes.to_le_bytes();
        // Length, checksum offset, command, status, checksum start, tag.
        high.copy_from_slice(&[length_low, length_high, 0, command, 0, 0, 0, 0]);
        self.descriptors.write(descriptor(index), &words);
    }

    /// Gives the card all descriptors before `index`.
    pub fn give_until(&self, registers: &P::Registers, index: u16) {
        self.descriptors.fence();
        registers.write32(self.queue + QUEUE_TAIL, index.into());
    }

    /// The half-word with the status; what the card has written before it is there to be read.
    pub fn status(&self, index: u16) -> u16 {
        self.descriptors
            .load16(descriptor(index) + DESCRIPTOR_STATUS)
    }

    /// The length that the card says, cut to the buffer's.
    pub fn length(&self, index: u16) -> usize {
        let length = self
            .descriptors
            .load16(descriptor(index) + DESCRIPTOR_LENGTH);
        usize::from(length).min(BUFFER)
    }

    /// Copies from the start of a buffer.
    pub fn read(&self, index: u16, into: &mut [u8]) {
        self.buffers.read(buffer(index), into);
    }

    /// Copies to the start of a buffer.
    pub fn write(&self, index: u16, from: &[u8]) {
        self.buffers.write(buffer(index), from);
    }
}

fn descriptor(index: u16) -> usize {
    usize::from(index) * DESCRIPTOR
}

fn buffer(index: u16) -> usize {
    usize::from(index) * BUFFER
}
