//! The state of a device over a restart of whoever models it.
//!
//! Where a queue has come to is not kept, for it changes with every buffer: buffers come back in the order in which they were
//! offered, so that the used index in the guest's memory says it. A guest that has changed that index harms its own queue only.

use vmm_pci::{BadState, Outbox, StateReader, StateWriter};
use vmm_ram::{Gpa, GuestRam};

use super::{Cause, Registers, VirtioPci, bit};
use crate::Features;
use crate::device::{QueueIndex, VirtioDevice};
use crate::layout::status;
use crate::queue::RingFeatures;

impl<D: VirtioDevice> VirtioPci<D> {
    /// Adds what the driver has set up.
    pub fn save(&self, to: &mut StateWriter) {
        self.function.save(to);
        let registers = &self.registers;
        to.put8(registers.status);
        to.put32(registers.device_feature_select);
        to.put32(registers.driver_feature_select);
        to.put64(registers.driver_features.0);
        to.put16(registers.config_vector);
        to.put16(registers.queue_select);
        to.put8(registers.isr);
        to.put8(registers.generation);
        for queue in &self.queues {
            queue.save(to);
        }
        self.device.save(to);
    }

    /// Goes on as a device that was saved, of a guest with this memory. Interrupts may have got lost on the way, so each
    /// queue in use gives one, and is served.
    ///
    /// # Errors
    /// [`BadState`]; the device is of no use then.
    pub fn restore<R: GuestRam>(
        &mut self,
        from: &mut StateReader<'_>,
        ram: &R,
        out: &mut Outbox,
    ) -> Result<(), BadState> {
        self.function.restore(from)?;
        self.registers = Registers {
            status: from.take8()?,
            device_feature_select: from.take32()?,
            driver_feature_select: from.take32()?,
            driver_features: Features(from.take64()?),
            config_vector: self.function.check_vector(from.take16()?)?,
            queue_select: from.take16()?,
            isr: from.take8()?,
            generation: from.take8()?,
        };
        let wanted = self.registers.driver_features;
        let known = status::DRIVERS | status::NEEDS_RESET;
        let agreed = self.registers.status & status::FEATURES_OK != 0;
        let offered = self.device.features() | Features::OF_TRANSPORT;
        if self.registers.status & !known != 0 || agreed && !offered.has(wanted) {
            return Err(BadState::Value);
        }
        if self.registers.isr == 0 {
            self.function.release();
        } else {
            self.function.assert();
        }
        let ready = self.registers.status & status::DRIVER_OK != 0;
        for queue in &mut self.queues {
            queue.restore(from)?;
            self.function.check_vector(queue.vector)?;
            if ready {
                queue.set_features(RingFeatures::from(wanted));
            }
        }
        self.device.restore(from)?;
        for index in 0..self.queue_count() {
            self.go_on(QueueIndex(index), ram, out);
        }
        Ok(())
    }

    fn go_on<R: GuestRam>(&mut self, index: QueueIndex, ram: &R, out: &mut Outbox) {
        let ready = self.registers.status & status::DRIVER_OK != 0;
        let Some(queue) = self.queues.get_mut(usize::from(index.0)) else {
            return;
        };
        if !ready || !queue.is_enabled() {
            return;
        }
        let (found, vector) = (queue.find_place(ram), queue.vector);
        match found {
            Ok(()) if self.is_live() => {
                self.left |= bit(index);
                self.interrupt(Cause::Queue, vector, out);
            }
            Ok(()) => {}
            Err(cause) => self.fail(index, cause, out),
        }
    }
}

impl crate::queue::Queue {
    fn save(&self, to: &mut StateWriter) {
        to.put16(self.size);
        to.put16(self.vector);
        to.put8(u8::from(self.is_enabled()));
        for place in [
            self.places.descriptors,
            self.places.available,
            self.places.used,
        ] {
            to.put64(place.0);
        }
    }

    fn restore(&mut self, from: &mut StateReader<'_>) -> Result<(), BadState> {
        self.reset();
        let size = from.take16()?;
        self.set_size(size);
        if self.size != size {
            return Err(BadState::Value);
        }
        self.vector = from.take16()?;
        let enabled = from.take8()?;
        let places = &mut self.places;
        for place in [
            &mut places.descriptors,
            &mut places.available,
            &mut places.used,
        ] {
            *place = Gpa(from.take64()?);
        }
        match enabled {
            0 => Ok(()),
            1 => self.enable().map_err(|_| BadState::Value),
            _ => Err(BadState::Value),
        }
    }
}
