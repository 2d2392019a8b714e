//! [`Chain`]: a buffer of a driver, as its descriptors had it when they were read.

use alloc::vec::Vec;

use vmm_ram::{Gpa, GuestRam};

use crate::layout::split::{DESCRIPTOR_BYTES, INDIRECT, NEXT, WRITE};
use crate::queue::RingFeatures;
use crate::{QueueFault, queue};

/// One descriptor's buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Segment {
    at: Gpa,
    bytes: u32,
}

struct Descriptor {
    at: Gpa,
    bytes: u32,
    flags: u16,
    next: u16,
}

impl Descriptor {
    /// One copy: a descriptor that the driver changes meanwhile is read before or after, never twice.
    fn read<R: GuestRam>(ram: &R, table: Gpa, index: u16) -> Result<Self, QueueFault> {
        let mut raw = [0; DESCRIPTOR_BYTES as usize];
        ram.read(
            queue::place(table, u64::from(index) * DESCRIPTOR_BYTES)?,
            &mut raw,
        )?;
        let raw = u128::from_le_bytes(raw);
        Ok(Self {
            at: Gpa(raw as u64),
            bytes: (raw >> 64) as u32,
            flags: (raw >> 96) as u16,
            next: (raw >> 112) as u16,
        })
    }
}

/// A chain of descriptors, first those to read, then those to write. Its memory is used again for the next.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    head: u16,
    segments: Vec<Segment>,
    /// How many of them are to read.
    readable: usize,
    readable_bytes: u64,
    writable_bytes: u64,
}

impl Chain {
    /// One with memory for chains of so many descriptors.
    pub fn with_capacity(descriptors: u16) -> Self {
        Self {
            segments: Vec::with_capacity(usize::from(descriptors)),
            ..Self::default()
        }
    }

    /// The descriptor it begins with: its name in the used ring.
    pub fn head(&self) -> u16 {
        self.head
    }

    /// How many buffers it has.
    pub(crate) fn segments(&self) -> usize {
        self.segments.len()
    }

    /// Reads the chain that begins at `head` of a table of `entries` descriptors, which is as long as chains may be.
    ///
    /// # Errors
    /// Every way in which it breaks 2.7.4 and 2.7.5.
    pub(crate) fn collect<R: GuestRam>(
        &mut self,
        ram: &R,
        table: Gpa,
        entries: u16,
        head: u16,
        features: RingFeatures,
    ) -> Result<(), QueueFault> {
        self.head = head;
        self.segments.clear();
        self.readable = 0;
        self.readable_bytes = 0;
        self.writable_bytes = 0;
        let limit = usize::from(entries);
        let (mut table, mut entries, mut index) = (table, u32::from(entries), head);
        let mut indirect_allowed = features.indirect;
        loop {
            if u32::from(index) >= entries {
                return Err(QueueFault::NoSuchDescriptor(index));
            }
            let descriptor = Descriptor::read(ram, table, index)?;
            if descriptor.flags & INDIRECT != 0 {
                if !indirect_allowed || descriptor.flags & NEXT != 0 {
                    return Err(QueueFault::Indirect);
                }
                indirect_allowed = false;
                let bytes = descriptor.bytes;
                if bytes == 0 || !u64::from(bytes).is_multiple_of(DESCRIPTOR_BYTES) {
                    return Err(QueueFault::IndirectBytes(bytes));
                }
                (table, entries, index) = (descriptor.at, bytes / DESCRIPTOR_BYTES as u32, 0);
                continue;
            }
            // Every turn but the one above adds a segment, so this bounds the walk.
            if self.segments.len() >= limit {
                return Err(QueueFault::TooLong);
            }
            self.add(&descriptor)?;
            if descriptor.flags & NEXT == 0 {
                return Ok(());
            }
            index = descriptor.next;
        }
    }

    fn add(&mut self, descriptor: &Descriptor) -> Result<(), QueueFault> {
        let bytes = u64::from(descriptor.bytes);
        if descriptor.flags & WRITE != 0 {
            self.writable_bytes += bytes;
        } else if self.readable < self.segments.len() {
            return Err(QueueFault::ReadableAfterWritable);
        } else {
            self.readable += 1;
            self.readable_bytes += bytes;
        }
        if self.readable_bytes + self.writable_bytes > 1 << 32 {
            return Err(QueueFault::TooManyBytes);
        }
        self.segments.push(Segment {
            at: descriptor.at,
            bytes: descriptor.bytes,
        });
        Ok(())
    }
}

/// A chain and the memory it is in.
#[derive(Debug)]
pub struct ChainAccess<'a, R> {
    pub(crate) chain: &'a Chain,
    pub(crate) ram: &'a R,
}

impl<R: GuestRam> ChainAccess<'_, R> {
    /// How many bytes can be read.
    pub fn readable_bytes(&self) -> u64 {
        self.chain.readable_bytes
    }

    /// How many bytes can be written.
    pub fn writable_bytes(&self) -> u64 {
        self.chain.writable_bytes
    }

    /// Copies what can be read from `offset` on; returns how many bytes that were.
    ///
    /// # Errors
    /// [`QueueFault::NotRam`].
    pub fn read(&self, offset: u64, into: &mut [u8]) -> Result<usize, QueueFault> {
        let segments = self.chain.segments.get(..self.chain.readable);
        each_piece(segments, offset, into.len(), |at, from, to| {
            into.get_mut(from..to)
                .map_or(Ok(()), |piece| self.ram.read(at, piece))
        })
    }

    /// Copies `from` to what can be written from `offset` on; returns how many bytes there was room for.
    ///
    /// # Errors
    /// [`QueueFault::NotRam`].
    pub fn write(&self, offset: u64, from: &[u8]) -> Result<usize, QueueFault> {
        let segments = self.chain.segments.get(self.chain.readable..);
        each_piece(segments, offset, from.len(), |at, start, end| {
            from.get(start..end)
                .map_or(Ok(()), |piece| self.ram.write(at, piece))
        })
    }
}

/// Calls `copy` with an address and a range of the caller's bytes for each segment's part of `bytes` bytes from `offset` on.
fn each_piece(
    segments: Option<&[Segment]>,
    offset: u64,
    bytes: usize,
    mut copy: impl FnMut(Gpa, usize, usize) -> Result<(), vmm_ram::NotRam>,
) -> Result<usize, QueueFault> {
    let mut skip = offset;
    let mut done = 0;
    for segment in segments.into_iter().flatten() {
        let length = u64::from(segment.bytes);
        if skip >= length {
            skip -= length;
            continue;
        }
        let here = (length - skip).min((bytes - done) as u64) as usize;
        if here == 0 {
            break;
        }
        copy(queue::place(segment.at, skip)?, done, done + here)?;
        done += here;
        skip = 0;
    }
    Ok(done)
}
