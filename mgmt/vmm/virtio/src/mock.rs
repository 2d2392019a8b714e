//! [`DriverQueue`]: the driver's side of a split queue, for tests; honest, and hostile where a test wants it.

use vmm_ram::{Gpa, GuestRam, NotRam};

use crate::layout::split::{
    AVAILABLE_ENTRY_BYTES, DESCRIPTOR_BYTES, ENTRIES, FLAGS, INDEX, INDIRECT, NEXT, NO_INTERRUPT,
    USED_ENTRY_BYTES, WRITE,
};

/// What a buffer is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Use {
    /// The device reads it.
    Read,
    /// The device writes it.
    Write,
}

/// A buffer of a driver.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Buffer {
    /// Where it lies.
    pub at: Gpa,
    /// Its bytes.
    pub bytes: u32,
    /// What for.
    pub usage: Use,
}

impl Buffer {
    /// One that the device reads.
    pub const fn read(at: u64, bytes: u32) -> Self {
        Self {
            at: Gpa(at),
            bytes,
            usage: Use::Read,
        }
    }

    /// One that the device writes.
    pub const fn write(at: u64, bytes: u32) -> Self {
        Self {
            at: Gpa(at),
            bytes,
            usage: Use::Write,
        }
    }
}

/// A descriptor as it is in memory, whatever it says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RawDescriptor {
    /// Address of the buffer or of an indirect table.
    pub at: Gpa,
    /// Its bytes.
    pub bytes: u32,
    /// Flags (2.7.5).
    pub flags: u16,
    /// The next one's index.
    pub next: u16,
}

/// Flags of a [`RawDescriptor`].
pub mod flags {
    /// Another follows.
    pub const NEXT: u16 = super::NEXT;
    /// The device writes the buffer.
    pub const WRITE: u16 = super::WRITE;
    /// The buffer is a table of descriptors.
    pub const INDIRECT: u16 = super::INDIRECT;
}

/// A queue as its driver has it. Nothing of it touches a device: tests ring the doorbell themselves.
#[derive(Clone, Debug)]
pub struct DriverQueue {
    /// Its entries.
    pub size: u16,
    /// The descriptor table.
    pub descriptors: Gpa,
    /// The available ring.
    pub available: Gpa,
    /// The used ring.
    pub used: Gpa,
    next_descriptor: u16,
    next_available: u16,
    next_used: u16,
}

impl DriverQueue {
    /// A queue whose three parts lie behind each other from `base` on, each on a page of its own.
    pub fn new(base: Gpa, size: u16) -> Self {
        Self {
            size,
            descriptors: base,
            available: Gpa(base.0.wrapping_add(0x1000)),
            used: Gpa(base.0.wrapping_add(0x2000)),
            next_descriptor: 0,
            next_available: 0,
            next_used: 0,
        }
    }

    /// Writes a descriptor into a table.
    ///
    /// # Errors
    /// [`NotRam`].
    pub fn put(
        ram: &impl GuestRam,
        table: Gpa,
        index: u16,
        descriptor: RawDescriptor,
    ) -> Result<(), NotRam> {
        let raw = u128::from(descriptor.at.0)
            | u128::from(descriptor.bytes) << 64
            | u128::from(descriptor.flags) << 96
            | u128::from(descriptor.next) << 112;
        let at = table.0.wrapping_add(u64::from(index) * DESCRIPTOR_BYTES);
        ram.write(Gpa(at), &raw.to_le_bytes())
    }

    /// Makes a chain of buffers available; returns its head. Descriptors are taken round robin.
    ///
    /// # Errors
    /// [`NotRam`].
    pub fn offer(&mut self, ram: &impl GuestRam, buffers: &[Buffer]) -> Result<u16, NotRam> {
        let head = self.next_descriptor;
        for (index, buffer) in buffers.iter().enumerate() {
            let here = self.next_descriptor;
            let next = (here + 1) % self.size;
            let more = if index + 1 < buffers.len() { NEXT } else { 0 };
            Self::put(
                ram,
                self.descriptors,
                here,
                RawDescriptor {
                    at: buffer.at,
                    bytes: buffer.bytes,
                    flags: more | write_flag(buffer),
                    next,
                },
            )?;
            self.next_descriptor = next;
        }
        self.offer_head(ram, head)?;
        Ok(head)
    }

    /// Makes the same available by one indirect table at `table`.
    ///
    /// # Errors
    /// [`NotRam`].
    pub fn offer_indirect(
        &mut self,
        ram: &impl GuestRam,
        table: Gpa,
        buffers: &[Buffer],
    ) -> Result<u16, NotRam> {
        for (buffer, index) in buffers.iter().zip(0_u16..) {
            let more = if usize::from(index) + 1 < buffers.len() {
                NEXT
            } else {
                0
            };
            Self::put(
                ram,
                table,
                index,
                RawDescriptor {
                    at: buffer.at,
                    bytes: buffer.bytes,
                    flags: more | write_flag(buffer),
                    next: index + 1,
                },
            )?;
        }
        let bytes = buffers.len() as u32 * DESCRIPTOR_BYTES as u32;
        self.offer_raw(
            ram,
            RawDescriptor {
                at: table,
                bytes,
                flags: INDIRECT,
                next: 0,
            },
        )
    }

    /// Makes one descriptor available, whatever it says; returns its index.
    ///
    /// # Errors
    /// [`NotRam`].
    pub fn offer_raw(
        &mut self,
        ram: &impl GuestRam,
        descriptor: RawDescriptor,
    ) -> Result<u16, NotRam> {
        let head = self.next_descriptor;
        Self::put(ram, self.descriptors, head, descriptor)?;
        self.next_descriptor = (head + 1) % self.size;
        self.offer_head(ram, head)?;
        Ok(head)
    }

    /// Makes the chain at this head available.
    ///
    /// # Errors
    /// [`NotRam`].
    pub fn offer_head(&mut self, ram: &impl GuestRam, head: u16) -> Result<(), NotRam> {
        let entry = u64::from(self.next_available % self.size) * AVAILABLE_ENTRY_BYTES;
        ram.store_u16(self.in_available(ENTRIES + entry), head)?;
        self.set_available_index(ram, self.next_available.wrapping_add(1))
    }

    /// Sets the index of the available ring.
    ///
    /// # Errors
    /// [`NotRam`].
    pub fn set_available_index(&mut self, ram: &impl GuestRam, index: u16) -> Result<(), NotRam> {
        self.next_available = index;
        ram.store_u16(self.in_available(INDEX), index)
    }

    /// Takes the next used buffer: its head and the bytes written.
    ///
    /// # Errors
    /// [`NotRam`].
    pub fn take_used(&mut self, ram: &impl GuestRam) -> Result<Option<(u32, u32)>, NotRam> {
        let index = ram.load_u16(Gpa(self.used.0.wrapping_add(INDEX)))?;
        if index == self.next_used {
            return Ok(None);
        }
        let entry = u64::from(self.next_used % self.size) * USED_ENTRY_BYTES;
        let mut raw = [0; 8];
        ram.read(Gpa(self.used.0.wrapping_add(ENTRIES + entry)), &mut raw)?;
        self.next_used = self.next_used.wrapping_add(1);
        let raw = u64::from_le_bytes(raw);
        Ok(Some((raw as u32, (raw >> 32) as u32)))
    }

    /// Asks for no interrupts, without event indices.
    ///
    /// # Errors
    /// [`NotRam`].
    pub fn refuse_interrupts(&self, ram: &impl GuestRam) -> Result<(), NotRam> {
        ram.store_u16(self.in_available(FLAGS), NO_INTERRUPT)
    }

    /// Asks for an interrupt at this used index, with event indices.
    ///
    /// # Errors
    /// [`NotRam`].
    pub fn set_used_event(&self, ram: &impl GuestRam, index: u16) -> Result<(), NotRam> {
        let at = ENTRIES + u64::from(self.size) * AVAILABLE_ENTRY_BYTES;
        ram.store_u16(self.in_available(at), index)
    }

    /// At which available index the device wants a notification, with event indices.
    ///
    /// # Errors
    /// [`NotRam`].
    pub fn available_event(&self, ram: &impl GuestRam) -> Result<u16, NotRam> {
        let at = ENTRIES + u64::from(self.size) * USED_ENTRY_BYTES;
        ram.load_u16(Gpa(self.used.0.wrapping_add(at)))
    }

    fn in_available(&self, offset: u64) -> Gpa {
        Gpa(self.available.0.wrapping_add(offset))
    }
}

fn write_flag(buffer: &Buffer) -> u16 {
    match buffer.usage {
        Use::Read => 0,
        Use::Write => WRITE,
    }
}
