//! The driver's side of a split virtqueue (virtio 1.2, 2.7), with event indexes where the device has them.
//!
//! Each buffer carries a cookie: the driver's own name for it, returned when the device is done. What the driver
//! relies on (which descriptors are in use, and how they are chained) is kept outside the shared memory; the device
//! can only return a buffer that it really has.

use alloc::vec;
use alloc::vec::Vec;

use crate::transport::Doorbell;
use crate::{Features, Memory, VirtioError};

const DESCRIPTOR_NEXT: u16 = 1;
const DESCRIPTOR_WRITE: u16 = 2;
const USED_NO_NOTIFY: u16 = 1;

/// What the device does with a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Reads it.
    Read,
    /// Writes it.
    Write,
}

/// A piece of a buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    /// Device address of the first byte.
    pub address: u64,
    /// Bytes.
    pub length: u32,
    /// What the device does with it; segments that it reads come first.
    pub access: Access,
}

/// A buffer that the device is done with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Used {
    /// The cookie given with it.
    pub cookie: u16,
    /// Bytes that the device says it wrote: not to be trusted beyond the buffer's size.
    pub written: u32,
}

/// Whether the device must be notified.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kick {
    /// It waits for a notification.
    Needed,
    /// It looks by itself.
    NotNeeded,
}

/// Device addresses of a queue's three parts.
pub(crate) struct QueueAddresses {
    pub descriptors: u64,
    pub driver: u64,
    pub device: u64,
}

/// What the driver knows of a descriptor.
#[derive(Clone, Copy, Default)]
struct Link {
    /// The next descriptor of its chain.
    next: Option<u16>,
    /// The cookie, where a chain in flight starts here.
    cookie: Option<u16>,
}

/// One queue.
pub struct Queue<M> {
    memory: M,
    size: u16,
    doorbell: Doorbell,
    event_index: bool,
    free: Vec<u16>,
    links: Vec<Link>,
    /// Index of the next entry of the available ring.
    next_available: u16,
    /// What the device was last shown of it.
    published: u16,
    /// Index of the next entry of the used ring to look at.
    next_used: u16,
}

impl<M: Memory> Queue<M> {
    /// Bytes of memory that a queue of `size` descriptors needs.
    pub const fn bytes(size: u16) -> usize {
        Self::used_offset(size) + 6 + 8 * size as usize
    }

    const fn available_offset(size: u16) -> usize {
        16 * size as usize
    }

    const fn used_offset(size: u16) -> usize {
        (Self::available_offset(size) + 6 + 2 * size as usize).next_multiple_of(64)
    }

    pub(crate) fn new(memory: M, size: u16, doorbell: Doorbell, features: Features) -> Self {
        Queue {
            memory,
            size,
            doorbell,
            event_index: features.has(Features::EVENT_INDEX),
            free: (0..size).rev().collect(),
            links: vec![Link::default(); usize::from(size)],
            next_available: 0,
            published: 0,
            next_used: 0,
        }
    }

    pub(crate) fn addresses(&self) -> QueueAddresses {
        let base = self.memory.address();
        QueueAddresses {
            descriptors: base,
            driver: base + Self::available_offset(self.size) as u64,
            device: base + Self::used_offset(self.size) as u64,
        }
    }

    pub(crate) fn doorbell(&self) -> Doorbell {
        self.doorbell
    }

    /// Descriptors in the queue.
    pub fn size(&self) -> u16 {
        self.size
    }

    /// Adds a buffer; the device sees it at the next publish.
    ///
    /// # Errors
    /// [`VirtioError::Full`] when there are not enough free descriptors; nothing has changed then.
    pub fn add(&mut self, segments: &[Segment], cookie: u16) -> Result<(), VirtioError> {
        if segments.is_empty() {
            return Err(VirtioError::BadRange);
        }
        if self.free.len() < segments.len() {
            return Err(VirtioError::Full);
        }
        // From the last segment to the first, so that each descriptor knows the next.
        let mut next = None;
        for segment in segments.iter().rev() {
            let index = self.free.pop().ok_or(VirtioError::Full)?;
            self.write_descriptor(index, next, segment);
            if let Some(link) = self.links.get_mut(usize::from(index)) {
                *link = Link { next, cookie: None };
            }
            next = Some(index);
        }
        let head = next.unwrap_or(0);
        if let Some(link) = self.links.get_mut(usize::from(head)) {
            link.cookie = Some(cookie);
        }
        let slot = usize::from(self.next_available % self.size);
        let ring = Self::available_offset(self.size) + 4;
        self.memory.store16(ring + 2 * slot, head);
        self.next_available = self.next_available.wrapping_add(1);
        Ok(())
    }

    fn write_descriptor(&self, index: u16, next: Option<u16>, segment: &Segment) {
        let chained = next.map_or(0, |_| DESCRIPTOR_NEXT);
        let flags = match segment.access {
            Access::Read => chained,
            Access::Write => chained | DESCRIPTOR_WRITE,
        };
        let (address, length) = (segment.address.to_le_bytes(), segment.length.to_le_bytes());
        let (flags, next) = (flags.to_le_bytes(), next.unwrap_or(0).to_le_bytes());
        let at = 16 * usize::from(index);
        self.memory.write(at, &address);
        self.memory.write(at + 8, &length);
        self.memory.write(at + 12, &flags);
        self.memory.write(at + 14, &next);
    }

    /// Shows the device what was added. Tells whether it must be notified.
    pub(crate) fn publish(&mut self) -> Kick {
        let old = core::mem::replace(&mut self.published, self.next_available);
        if old == self.next_available {
            return Kick::NotNeeded;
        }
        let available = Self::available_offset(self.size);
        self.memory.store16(available + 2, self.next_available);
        // The device reads the index after it writes its wish to be notified; here it is the other way round. Without
        // the fence both could miss the other's write.
        self.memory.fence();
        let used = Self::used_offset(self.size);
        let needed = if self.event_index {
            let event = self.memory.load16(used + 4 + 8 * usize::from(self.size));
            let new = self.next_available;
            new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old)
        } else {
            self.memory.load16(used) & USED_NO_NOTIFY == 0
        };
        match needed {
            true => Kick::Needed,
            false => Kick::NotNeeded,
        }
    }

    /// The next buffer that the device is done with. `None` does not arm the interrupt: see [`Queue::arm`].
    ///
    /// # Errors
    /// [`VirtioError::BadUsed`] where the device returns what it does not have; the queue is of no use then.
    pub fn take(&mut self) -> Result<Option<Used>, VirtioError> {
        if !self.has_used() {
            return Ok(None);
        }
        let used = Self::used_offset(self.size);
        let slot = usize::from(self.next_used % self.size);
        let (mut id, mut written) = ([0; 4], [0; 4]);
        self.memory.read(used + 4 + 8 * slot, &mut id);
        self.memory.read(used + 8 + 8 * slot, &mut written);
        let id = u32::from_le_bytes(id);
        let head = u16::try_from(id).map_err(|_| VirtioError::BadUsed(id))?;
        let cookie = self
            .links
            .get_mut(usize::from(head))
            .and_then(|link| link.cookie.take())
            .ok_or(VirtioError::BadUsed(id))?;
        self.next_used = self.next_used.wrapping_add(1);
        self.release(head);
        Ok(Some(Used {
            cookie,
            written: u32::from_le_bytes(written),
        }))
    }

    /// Whether the device is done with a buffer that was not taken yet.
    pub fn has_used(&self) -> bool {
        self.memory.load16(Self::used_offset(self.size) + 2) != self.next_used
    }

    /// Takes a buffer back that the device has lost and will never return, so that its descriptors can be used again.
    pub fn abandon(&mut self, cookie: u16) {
        let has_it = |link: &Link| link.cookie == Some(cookie);
        let Some(head) = self.links.iter().position(has_it) else {
            return;
        };
        if let Some(link) = self.links.get_mut(head) {
            link.cookie = None;
        }
        self.release(head as u16);
    }

    /// Frees the descriptors of a chain.
    fn release(&mut self, head: u16) {
        let mut next = Some(head);
        while let Some(index) = next {
            self.free.push(index);
            let link = self.links.get_mut(usize::from(index));
            next = link.and_then(|link| link.next.take());
        }
    }

    /// Asks for an interrupt at the next used buffer. Returns whether one is there already, which then raises no
    /// interrupt: the caller takes it first. Devices without event indexes always interrupt.
    pub fn arm(&mut self) -> bool {
        if self.event_index {
            let event = Self::available_offset(self.size) + 4 + 2 * usize::from(self.size);
            self.memory.store16(event, self.next_used);
            // Partner of the device's fence between its used index and its read of this event.
            self.memory.fence();
        }
        self.has_used()
    }
}

#[cfg(test)]
mod tests;
