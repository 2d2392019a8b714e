//! [`Queue`]: the device's side of a split queue (2.7).

use core::sync::atomic::{Ordering, fence};

use vmm_ram::{Gpa, GuestRam};

use crate::chain::Chain;
use crate::layout::NO_VECTOR;
use crate::layout::split::{
    AVAILABLE_ALIGN, AVAILABLE_ENTRY_BYTES, DESCRIPTORS_ALIGN, ENTRIES, FLAGS, INDEX, NO_INTERRUPT,
    USED_ALIGN, USED_ENTRY_BYTES,
};
use crate::{Features, QueueFault};

/// The agreed features that change how rings are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct RingFeatures {
    /// [`Features::INDIRECT`].
    pub indirect: bool,
    /// [`Features::EVENT_INDEX`].
    pub event_index: bool,
}

impl From<Features> for RingFeatures {
    fn from(features: Features) -> Self {
        Self {
            indirect: features.has(Features::INDIRECT),
            event_index: features.has(Features::EVENT_INDEX),
        }
    }
}

/// Where the driver has put a queue's three parts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct RingPlaces {
    pub descriptors: Gpa,
    pub available: Gpa,
    pub used: Gpa,
}

/// A queue of a device. Cursors are the device's own: what the guest writes into the rings never moves them.
#[derive(Debug)]
pub(crate) struct Queue {
    largest: u16,
    pub(crate) size: u16,
    pub(crate) places: RingPlaces,
    pub(crate) vector: u16,
    enabled: bool,
    features: RingFeatures,
    /// The next available entry to take.
    next_available: u16,
    /// The next used entry to fill.
    next_used: u16,
    /// Where `next_used` was when the driver's wish for an interrupt was last looked at.
    looked_at: u16,
    pub(crate) chain: Chain,
}

impl Queue {
    /// A queue of at most `largest` entries, a power of two.
    pub fn new(largest: u16) -> Self {
        Self::with_chain(largest, Chain::with_capacity(largest))
    }

    fn with_chain(largest: u16, chain: Chain) -> Self {
        Self {
            largest,
            size: largest,
            places: RingPlaces::default(),
            vector: NO_VECTOR,
            enabled: false,
            features: RingFeatures::default(),
            next_available: 0,
            next_used: 0,
            looked_at: 0,
            chain,
        }
    }

    /// As it was made.
    pub(crate) fn reset(&mut self) {
        *self = Self::with_chain(self.largest, core::mem::take(&mut self.chain));
    }

    /// Goes on where the guest's memory says that this device had come to, before whoever models it started again.
    ///
    /// # Errors
    /// The used ring is not in RAM.
    pub(crate) fn find_place<R: GuestRam>(&mut self, ram: &R) -> Result<(), QueueFault> {
        let used = ram.load_u16(place(self.places.used, INDEX)?)?;
        self.next_used = used;
        self.next_available = used;
        self.looked_at = used;
        Ok(())
    }

    /// Sets the size; one that the queue cannot have changes nothing (4.1.4.3.1).
    pub(crate) fn set_size(&mut self, size: u16) {
        if size.is_power_of_two() && size <= self.largest {
            self.size = size;
        }
    }

    /// Whether the driver uses it.
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Lets the driver use it from here on.
    ///
    /// # Errors
    /// [`QueueFault::Misaligned`].
    pub(crate) fn enable(&mut self) -> Result<(), QueueFault> {
        let RingPlaces {
            descriptors,
            available,
            used,
        } = self.places;
        let aligned = descriptors.0.is_multiple_of(DESCRIPTORS_ALIGN)
            && available.0.is_multiple_of(AVAILABLE_ALIGN)
            && used.0.is_multiple_of(USED_ALIGN);
        if !aligned {
            return Err(QueueFault::Misaligned);
        }
        self.enabled = true;
        Ok(())
    }

    /// What driver and device agreed on.
    pub(crate) fn set_features(&mut self, features: RingFeatures) {
        self.features = features;
    }

    /// How many buffers wait for the device.
    pub(crate) fn waiting<R: GuestRam>(&self, ram: &R) -> Result<u16, QueueFault> {
        // Acquire: entries and descriptors are read only behind the index that publishes them.
        let available = ram.load_u16(place(self.places.available, INDEX)?)?;
        let waiting = available.wrapping_sub(self.next_available);
        if waiting > self.size {
            return Err(QueueFault::AvailableIndex {
                available,
                taken: self.next_available,
            });
        }
        Ok(waiting)
    }

    /// Reads the oldest buffer that waits into `chain`, without taking it. There must be one ([`Queue::waiting`]).
    pub(crate) fn peek<R: GuestRam>(&self, ram: &R, chain: &mut Chain) -> Result<(), QueueFault> {
        let entry = u64::from(self.next_available % self.size) * AVAILABLE_ENTRY_BYTES;
        let head = ram.load_u16(place(self.places.available, ENTRIES + entry)?)?;
        chain.collect(ram, self.places.descriptors, self.size, head, self.features)
    }

    /// Gives the buffer that [`Queue::peek`] has read back to the driver, with `written` bytes in it.
    pub(crate) fn finish<R: GuestRam>(
        &mut self,
        ram: &R,
        head: u16,
        written: u32,
    ) -> Result<(), QueueFault> {
        let entry = u64::from(self.next_used % self.size) * USED_ENTRY_BYTES;
        let element = u64::from(written) << 32 | u64::from(head);
        ram.write(
            place(self.places.used, ENTRIES + entry)?,
            &element.to_le_bytes(),
        )?;
        self.next_used = self.next_used.wrapping_add(1);
        self.next_available = self.next_available.wrapping_add(1);
        // Release: the driver sees buffer and entry before the index.
        ram.store_u16(place(self.places.used, INDEX)?, self.next_used)?;
        Ok(())
    }

    /// Asks for a notification at the next buffer; what came before must be looked for once more after this.
    pub(crate) fn ask_for_notification<R: GuestRam>(&self, ram: &R) -> Result<(), QueueFault> {
        if self.features.event_index {
            let event = ENTRIES + u64::from(self.size) * USED_ENTRY_BYTES;
            ram.store_u16(place(self.places.used, event)?, self.next_available)?;
            // The driver writes its index, then reads this event; we the other way round. Without a full fence on both
            // sides each could miss the other's store.
            fence(Ordering::SeqCst);
        }
        Ok(())
    }

    /// Whether the driver wants an interrupt for what was finished since the last time (2.7.7.2). With
    /// [`Features::EVENT_INDEX`] it tells for which entry.
    pub(crate) fn interrupt_is_due<R: GuestRam>(&mut self, ram: &R) -> Result<bool, QueueFault> {
        let before = core::mem::replace(&mut self.looked_at, self.next_used);
        let finished = self.next_used.wrapping_sub(before);
        if finished == 0 {
            return Ok(false);
        }
        // As in `ask_for_notification`, with the sides exchanged.
        fence(Ordering::SeqCst);
        if self.features.event_index {
            let event = ENTRIES + u64::from(self.size) * AVAILABLE_ENTRY_BYTES;
            let event = ram.load_u16(place(self.places.available, event)?)?;
            return Ok(self.next_used.wrapping_sub(event).wrapping_sub(1) < finished);
        }
        let flags = ram.load_u16(place(self.places.available, FLAGS)?)?;
        Ok(flags & NO_INTERRUPT == 0)
    }
}

/// The address `offset` bytes into a ring or a buffer.
pub(crate) fn place(base: Gpa, offset: u64) -> Result<Gpa, QueueFault> {
    base.checked_add(offset).ok_or(QueueFault::BeyondMemory)
}

#[cfg(test)]
mod tests;
