//! Block device (virtio 1.2, 5.2): requests in slots, several at once.

use alloc::vec::Vec;

use crate::{
    Access, Features, Memory, MsixEntry, Platform, Queue, Registers, Segment, Transport,
    VirtioError,
};

/// Unit of addresses and sizes on the disk.
pub const SECTOR_BYTES: usize = 512;
/// Most bytes of one request.
pub const SLOT_BYTES: usize = 64 * 1024;
/// Requests that can be under way at once.
const SLOTS: u16 = 8;
const SEGMENTS: u16 = 3;

const TYPE_READ: u32 = 0;
const TYPE_WRITE: u32 = 1;
const TYPE_FLUSH: u32 = 4;
const STATUS_OK: u8 = 0;
const STATUS_UNSUPPORTED: u8 = 2;
/// What the status byte holds until the device writes it.
const STATUS_NONE: u8 = 0xff;

/// Of a slot: the data, then the header, then the status byte.
const HEADER_OFFSET: usize = SLOT_BYTES;
const STATUS_OFFSET: usize = HEADER_OFFSET + 16;
const STRIDE: usize = SLOT_BYTES + 4096;

/// A request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation<'a> {
    /// Read this many bytes.
    Read {
        /// First sector.
        sector: u64,
        /// Bytes: whole sectors.
        bytes: usize,
    },
    /// Write these bytes.
    Write {
        /// First sector.
        sector: u64,
        /// Whole sectors.
        data: &'a [u8],
    },
    /// Make all completed writes durable.
    Flush,
}

/// A slot with a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SlotId(u16);

impl SlotId {
    pub(crate) fn number(self) -> u16 {
        self.0
    }
}

/// A block device. Requests are started with [`Block::submit`]; after an interrupt, [`Block::complete`] tells which
/// have ended.
pub struct Block<P: Platform> {
    transport: Transport<P::Registers>,
    queue: Queue<P::Memory>,
    slots: P::Memory,
    free: Vec<u16>,
    features: Features,
    sectors: u64,
}

impl<P: Platform> Block<P> {
    /// Starts the device.
    ///
    /// # Errors
    /// The device is not usable; it is left reset or half set up and does nothing.
    pub fn start(
        transport: Transport<P::Registers>,
        platform: &P,
        entry: MsixEntry,
    ) -> Result<Self, VirtioError> {
        let features = transport.negotiate(Features::BLOCK_FLUSH | Features::BLOCK_READ_ONLY)?;
        transport.require_config(8)?;
        let sectors = transport
            .config(|config| u64::from(config.read32(0)) | u64::from(config.read32(4)) << 32);
        let queue = transport.queue(platform, 0, 64, entry, features)?;
        let count = SLOTS.min(queue.size() / SEGMENTS);
        let slots = platform
            .memory(usize::from(count) * STRIDE)
            .ok_or(VirtioError::NoMemory)?;
        let mut block = Block {
            transport,
            queue,
            slots,
            free: (0..count).collect(),
            features,
            sectors,
        };
        block.transport.run();
        block.queue.arm();
        Ok(block)
    }

    /// Size in sectors.
    pub fn sectors(&self) -> u64 {
        self.sectors
    }

    /// Whether writes are refused.
    pub fn is_read_only(&self) -> bool {
        self.features.has(Features::BLOCK_READ_ONLY)
    }

    /// Whether the device has a write cache that flush empties; without, a completed write is durable.
    pub fn needs_flush(&self) -> bool {
        self.features.has(Features::BLOCK_FLUSH)
    }

    /// Starts a request.
    ///
    /// # Errors
    /// [`VirtioError::Full`] when every slot is taken; [`VirtioError::BadRange`], [`VirtioError::ReadOnly`] or
    /// [`VirtioError::Unsupported`] for what cannot work.
    pub fn submit(&mut self, operation: Operation<'_>) -> Result<SlotId, VirtioError> {
        let (kind, sector, bytes, access) = match operation {
            Operation::Read { sector, bytes } => (TYPE_READ, sector, bytes, Access::Write),
            Operation::Write { sector, data } => (TYPE_WRITE, sector, data.len(), Access::Read),
            Operation::Flush => (TYPE_FLUSH, 0, 0, Access::Read),
        };
        match kind {
            TYPE_FLUSH if !self.needs_flush() => return Err(VirtioError::Unsupported),
            TYPE_WRITE if self.is_read_only() => return Err(VirtioError::ReadOnly),
            TYPE_FLUSH => {}
            _ => self.check_range(sector, bytes)?,
        }
        let slot = self.free.pop().ok_or(VirtioError::Full)?;
        let at = usize::from(slot) * STRIDE;
        if let Operation::Write { data, .. } = operation {
            self.slots.write(at, data);
        }
        self.slots.write(at + HEADER_OFFSET, &kind.to_le_bytes());
        self.slots.write(at + HEADER_OFFSET + 4, &[0; 4]);
        self.slots
            .write(at + HEADER_OFFSET + 8, &sector.to_le_bytes());
        self.slots.write(at + STATUS_OFFSET, &[STATUS_NONE]);

        let segment = |offset: usize, length: usize, access| Segment {
            address: self.slots.address() + (at + offset) as u64,
            length: length as u32,
            access,
        };
        let header = segment(HEADER_OFFSET, 16, Access::Read);
        let data = segment(0, bytes, access);
        let status = segment(STATUS_OFFSET, 1, Access::Write);
        let added = match bytes {
            0 => self.queue.add(&[header, status], slot),
            _ => self.queue.add(&[header, data, status], slot),
        };
        if let Err(error) = added {
            self.free.push(slot);
            return Err(error);
        }
        self.transport.publish(&mut self.queue);
        Ok(SlotId(slot))
    }

    fn check_range(&self, sector: u64, bytes: usize) -> Result<(), VirtioError> {
        let count = (bytes / SECTOR_BYTES) as u64;
        let inside = sector
            .checked_add(count)
            .is_some_and(|end| end <= self.sectors);
        match inside && count > 0 && bytes.is_multiple_of(SECTOR_BYTES) && bytes <= SLOT_BYTES {
            true => Ok(()),
            false => Err(VirtioError::BadRange),
        }
    }

    /// The next request that has ended. After `None` an interrupt comes when one ends. The slot stays taken until
    /// [`Block::release`].
    ///
    /// # Errors
    /// The device breaks its rules and must not be used any more.
    pub fn complete(&mut self) -> Result<Option<SlotId>, VirtioError> {
        if let Some(used) = self.queue.take()? {
            return Ok(Some(SlotId(used.cookie)));
        }
        match self.queue.arm() {
            true => Ok(self.queue.take()?.map(|used| SlotId(used.cookie))),
            false => Ok(None),
        }
    }

    /// How a completed request ended; for a read, `into` receives the first bytes of its data.
    ///
    /// # Errors
    /// The device's report.
    pub fn result(&self, slot: SlotId, into: &mut [u8]) -> Result<(), VirtioError> {
        let at = usize::from(slot.0) * STRIDE;
        let mut status = [STATUS_NONE];
        self.slots.read(at + STATUS_OFFSET, &mut status);
        match status {
            [STATUS_OK] => {
                let bytes = into.len().min(SLOT_BYTES);
                if let Some(into) = into.get_mut(..bytes) {
                    self.slots.read(at, into);
                }
                Ok(())
            }
            [STATUS_UNSUPPORTED] => Err(VirtioError::Unsupported),
            _ => Err(VirtioError::DeviceFailed),
        }
    }

    /// Gives a completed request's slot back.
    pub fn release(&mut self, slot: SlotId) {
        self.free.push(slot.0);
    }
}
