//! The common configuration (4.1.4.3): features, status, and the set-up of queues.

use vmm_pci::{Outbox, Width};
use vmm_ram::{Gpa, GuestRam};

use super::{Registers, VirtioPci};
use crate::Features;
use crate::device::{QueueIndex, VirtioDevice};
use crate::layout::{NO_VECTOR, common, status};
use crate::queue::{Queue, RingFeatures};

impl<D: VirtioDevice> VirtioPci<D> {
    /// Any width and place, also across registers: the driver sees one image.
    pub(super) fn read_common(&self, offset: u64, width: Width) -> u64 {
        let Registers {
            status,
            device_feature_select,
            driver_feature_select,
            driver_features,
            config_vector,
            queue_select,
            generation,
            ..
        } = self.registers;
        let mut image = Image([0; common::BYTES]);
        image.put(
            common::DEVICE_FEATURE_SELECT as usize,
            device_feature_select,
        );
        let offered = self.offered().word(device_feature_select);
        image.put(common::DEVICE_FEATURE, offered);
        image.put(
            common::DRIVER_FEATURE_SELECT as usize,
            driver_feature_select,
        );
        let wanted = driver_features.word(driver_feature_select);
        image.put(common::DRIVER_FEATURE as usize, wanted);
        image.put16(common::CONFIG_VECTOR as usize, config_vector);
        image.put16(common::QUEUE_COUNT, self.queue_count());
        image.put_bytes(common::STATUS as usize, &[status]);
        image.put_bytes(common::GENERATION, &[generation]);
        image.put16(common::QUEUE_SELECT as usize, queue_select);
        // Of a queue that there is not, all is zero: its size says so.
        if let Some(queue) = self.queues.get(usize::from(queue_select)) {
            image.put16(common::QUEUE_SIZE as usize, queue.size);
            image.put16(common::QUEUE_VECTOR as usize, queue.vector);
            image.put16(common::QUEUE_ENABLE as usize, u16::from(queue.is_enabled()));
            image.put16(common::QUEUE_NOTIFY_OFFSET, queue_select);
            image.put64(common::QUEUE_DESCRIPTORS as usize, queue.places.descriptors);
            image.put64(common::QUEUE_AVAILABLE as usize, queue.places.available);
            image.put64(common::QUEUE_USED as usize, queue.places.used);
        }
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        width.load(&image.0, offset)
    }

    /// Only whole registers can be written, and each half of a 64-bit one (4.1.3.1); anything else has no effect.
    pub(super) fn write_common<R: GuestRam>(
        &mut self,
        offset: u64,
        width: Width,
        value: u64,
        ram: &R,
        out: &mut Outbox,
    ) {
        let value = width.of(value);
        let registers = &mut self.registers;
        match (offset, width) {
            (common::DEVICE_FEATURE_SELECT, Width::Dword) => {
                registers.device_feature_select = value as u32;
            }
            (common::DRIVER_FEATURE_SELECT, Width::Dword) => {
                registers.driver_feature_select = value as u32;
            }
            (common::DRIVER_FEATURE, Width::Dword) => {
                // What was agreed stays (3.1.1).
                if registers.status & status::FEATURES_OK == 0 {
                    let select = registers.driver_feature_select;
                    registers.driver_features =
                        registers.driver_features.with_word(select, value as u32);
                }
            }
            (common::CONFIG_VECTOR, Width::Word) => {
                self.registers.config_vector = self.vector_or_none(value);
            }
            (common::STATUS, Width::Byte) => self.set_status(value as u8, ram, out),
            (common::QUEUE_SELECT, Width::Word) => registers.queue_select = value as u16,
            (common::QUEUE_VECTOR, Width::Word) => {
                let vector = self.vector_or_none(value);
                if let Some(queue) = self.selected() {
                    queue.vector = vector;
                }
            }
            _ => self.set_up_queue(offset, width, value, out),
        }
    }

    /// Registers of a queue that the driver writes before it enables the queue, and not behind that (4.1.4.3.2).
    fn set_up_queue(&mut self, offset: u64, width: Width, value: u64, out: &mut Outbox) {
        let Some(queue) = self.selected().filter(|queue| !queue.is_enabled()) else {
            return;
        };
        let places = &mut queue.places;
        let (register, place) = match offset & !7 {
            common::QUEUE_DESCRIPTORS => (common::QUEUE_DESCRIPTORS, &mut places.descriptors),
            common::QUEUE_AVAILABLE => (common::QUEUE_AVAILABLE, &mut places.available),
            common::QUEUE_USED => (common::QUEUE_USED, &mut places.used),
            _ => {
                match (offset, width) {
                    (common::QUEUE_SIZE, Width::Word) => queue.set_size(value as u16),
                    (common::QUEUE_ENABLE, Width::Word) if value == 1 => {
                        if let Err(cause) = queue.enable() {
                            let queue = QueueIndex(self.registers.queue_select);
                            self.fail(queue, cause, out);
                        }
                    }
                    _ => {}
                }
                return;
            }
        };
        let low = place.0 & 0xffff_ffff;
        *place = Gpa(match (offset - register, width) {
            (0, Width::Dword) => (place.0 - low) | value,
            (4, Width::Dword) => value << 32 | low,
            (0, Width::Qword) => value,
            _ => return,
        });
    }

    /// 2.1: zero resets, else bits are only added, and two of them only where they may.
    fn set_status<R: GuestRam>(&mut self, value: u8, ram: &R, out: &mut Outbox) {
        if value == 0 {
            self.reset();
            return;
        }
        let before = self.registers.status;
        let mut after = before | value & status::DRIVERS;
        let wanted = self.registers.driver_features;
        let agreed = self.offered().has(wanted) && wanted.has(Features::VERSION_1);
        if !agreed {
            after &= !status::FEATURES_OK;
        }
        if after & status::FEATURES_OK == 0 {
            after &= !status::DRIVER_OK;
        }
        self.registers.status = after;
        if after & !before & status::DRIVER_OK != 0 {
            for queue in &mut self.queues {
                queue.set_features(RingFeatures::from(wanted));
            }
            self.serve_all(ram, out);
        }
    }

    fn offered(&self) -> Features {
        self.device.features() | Features::OF_TRANSPORT
    }

    fn selected(&mut self) -> Option<&mut Queue> {
        self.queues
            .get_mut(usize::from(self.registers.queue_select))
    }

    /// A vector that there is not is none: the driver reads back whether it got it (4.1.5.1.2).
    fn vector_or_none(&self, value: u64) -> u16 {
        u16::try_from(value)
            .ok()
            .filter(|vector| *vector < self.function.vectors())
            .unwrap_or(NO_VECTOR)
    }
}

/// The registers as bytes.
struct Image([u8; common::BYTES]);

impl Image {
    fn put_bytes(&mut self, at: usize, bytes: &[u8]) {
        for (target, byte) in self.0.iter_mut().skip(at).zip(bytes) {
            *target = *byte;
        }
    }

    fn put(&mut self, at: usize, value: u32) {
        self.put_bytes(at, &value.to_le_bytes());
    }

    fn put16(&mut self, at: usize, value: u16) {
        self.put_bytes(at, &value.to_le_bytes());
    }

    fn put64(&mut self, at: usize, value: Gpa) {
        self.put_bytes(at, &value.0.to_le_bytes());
    }
}
