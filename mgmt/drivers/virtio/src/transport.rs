//! The PCI transport: reset, features, queues, notifications (virtio 1.2, 3.1 and 4.1).

use crate::queue::QueueAddresses;
use crate::{Features, Kick, Memory, Platform, Queue, Registers, VirtioError};

const DEVICE_FEATURE_SELECT: usize = 0x00;
const DEVICE_FEATURE: usize = 0x04;
const DRIVER_FEATURE_SELECT: usize = 0x08;
const DRIVER_FEATURE: usize = 0x0c;
const CONFIG_MSIX_VECTOR: usize = 0x10;
const NUM_QUEUES: usize = 0x12;
const DEVICE_STATUS: usize = 0x14;
const CONFIG_GENERATION: usize = 0x15;
const QUEUE_SELECT: usize = 0x16;
const QUEUE_SIZE: usize = 0x18;
const QUEUE_MSIX_VECTOR: usize = 0x1a;
const QUEUE_ENABLE: usize = 0x1c;
const QUEUE_NOTIFY_OFF: usize = 0x1e;
const QUEUE_DESC: usize = 0x20;
const QUEUE_DRIVER: usize = 0x28;
const QUEUE_DEVICE: usize = 0x30;

const STATUS_ACKNOWLEDGE: u8 = 1;
const STATUS_DRIVER: u8 = 2;
const STATUS_DRIVER_OK: u8 = 4;
const STATUS_FEATURES_OK: u8 = 8;
const STATUS_NEEDS_RESET: u8 = 64;

const NO_VECTOR: u16 = 0xffff;
/// Reads of the status register before a reset counts as hanging; each is an exit or a bus access.
const RESET_READS: u32 = 100_000;

/// An entry of the function's MSI-X table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MsixEntry(pub u16);

/// A queue's notification register: its offset in the notification structure, and the number to write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Doorbell {
    pub offset: usize,
    pub queue: u16,
}

/// One device's registers.
pub struct Transport<R> {
    common: R,
    notify: R,
    notify_multiplier: u32,
    config: R,
}

impl<R: Registers> Transport<R> {
    /// The transport over the common, notification and device structures.
    pub fn new(common: R, notify: R, notify_multiplier: u32, config: R) -> Self {
        Transport {
            common,
            notify,
            notify_multiplier,
            config,
        }
    }

    /// Resets the device and agrees on features: those of `wanted` that it offers.
    ///
    /// # Errors
    /// The device hangs, is a legacy one, or refuses.
    pub fn negotiate(&self, wanted: Features) -> Result<Features, VirtioError> {
        self.common.write8(DEVICE_STATUS, 0);
        let mut reads = 0;
        while self.common.read8(DEVICE_STATUS) != 0 {
            reads += 1;
            if reads == RESET_READS {
                return Err(VirtioError::ResetHangs);
            }
        }
        self.add_status(STATUS_ACKNOWLEDGE);
        self.add_status(STATUS_DRIVER);
        let always = Features::VERSION_1 | Features::ACCESS_PLATFORM | Features::EVENT_INDEX;
        let agreed = self.offered().and(wanted | always);
        if !agreed.has(Features::VERSION_1) {
            return Err(VirtioError::Legacy);
        }
        for half in 0..2 {
            self.common.write32(DRIVER_FEATURE_SELECT, half);
            let bits = (agreed.0 >> (32 * half)) as u32;
            self.common.write32(DRIVER_FEATURE, bits);
        }
        self.add_status(STATUS_FEATURES_OK);
        match self.common.read8(DEVICE_STATUS) & STATUS_FEATURES_OK {
            0 => Err(VirtioError::FeaturesRefused),
            _ => Ok(agreed),
        }
    }

    fn offered(&self) -> Features {
        let half = |select: u32| {
            self.common.write32(DEVICE_FEATURE_SELECT, select);
            u64::from(self.common.read32(DEVICE_FEATURE))
        };
        Features(half(0) | half(1) << 32)
    }

    fn add_status(&self, bit: u8) {
        let status = self.common.read8(DEVICE_STATUS);
        self.common.write8(DEVICE_STATUS, status | bit);
    }

    /// Number of queues that the device has.
    pub fn queues(&self) -> u16 {
        self.common.read16(NUM_QUEUES)
    }

    /// Makes queue `index` with at most `limit` descriptors (a power of two), and tells the device.
    ///
    /// # Errors
    /// No such queue, no memory, or the device does not take the MSI-X entry.
    pub fn queue<P>(
        &self,
        platform: &P,
        index: u16,
        limit: u16,
        entry: MsixEntry,
        features: Features,
    ) -> Result<Queue<P::Memory>, VirtioError>
    where
        P: Platform<Registers = R>,
    {
        if index >= self.queues() {
            return Err(VirtioError::NoQueue(index));
        }
        self.common.write16(QUEUE_SELECT, index);
        let size = self.common.read16(QUEUE_SIZE).min(limit);
        if size == 0 || !size.is_power_of_two() {
            return Err(VirtioError::NoQueue(index));
        }
        let memory = platform
            .memory(Queue::<P::Memory>::bytes(size))
            .ok_or(VirtioError::NoMemory)?;
        let doorbell = self.doorbell()?;
        let queue = Queue::new(memory, size, doorbell, features);
        self.common.write16(QUEUE_SIZE, size);
        self.common.write16(QUEUE_MSIX_VECTOR, entry.0);
        if self.common.read16(QUEUE_MSIX_VECTOR) != entry.0 {
            return Err(VirtioError::VectorRefused(index));
        }
        let QueueAddresses {
            descriptors,
            driver,
            device,
        } = queue.addresses();
        self.write_address(QUEUE_DESC, descriptors);
        self.write_address(QUEUE_DRIVER, driver);
        self.write_address(QUEUE_DEVICE, device);
        self.common.write16(QUEUE_ENABLE, 1);
        Ok(queue)
    }

    fn write_address(&self, offset: usize, address: u64) {
        self.common.write32(offset, address as u32);
        self.common.write32(offset + 4, (address >> 32) as u32);
    }

    /// Lets the device work: all queues are set up. Configuration changes raise no interrupt: nothing here needs
    /// them.
    pub fn run(&self) {
        self.common.write16(CONFIG_MSIX_VECTOR, NO_VECTOR);
        self.add_status(STATUS_DRIVER_OK);
    }

    /// The selected queue's notification register.
    fn doorbell(&self) -> Result<Doorbell, VirtioError> {
        let offset = u64::from(self.common.read16(QUEUE_NOTIFY_OFF));
        let at = offset * u64::from(self.notify_multiplier);
        usize::try_from(at)
            .ok()
            .filter(|at| at.is_multiple_of(2))
            .filter(|at| {
                at.checked_add(2)
                    .is_some_and(|end| end <= self.notify.length())
            })
            .map(|offset| Doorbell {
                offset,
                queue: self.common.read16(QUEUE_SELECT),
            })
            .ok_or(VirtioError::NoStructure("notification"))
    }

    /// Makes the queue's new buffers visible to the device, and tells it if it wants to be told.
    pub fn publish<M: Memory>(&self, queue: &mut Queue<M>) {
        if queue.publish() == Kick::Needed {
            let doorbell = queue.doorbell();
            self.notify.write16(doorbell.offset, doorbell.queue);
        }
    }

    /// Whether the device has given up.
    ///
    /// # Errors
    /// [`VirtioError::NeedsReset`] if so.
    pub fn check(&self) -> Result<(), VirtioError> {
        match self.common.read8(DEVICE_STATUS) & STATUS_NEEDS_RESET {
            0 => Ok(()),
            _ => Err(VirtioError::NeedsReset),
        }
    }

    /// Refuses a device whose configuration is shorter than its driver needs.
    ///
    /// # Errors
    /// [`VirtioError::NoStructure`] if so.
    pub fn require_config(&self, bytes: usize) -> Result<(), VirtioError> {
        match self.config.length() >= bytes {
            true => Ok(()),
            false => Err(VirtioError::NoStructure("device configuration")),
        }
    }

    /// Reads from the device's configuration until two reads of its generation agree, so that values of several words
    /// belong together.
    pub fn config<T>(&self, read: impl Fn(&R) -> T) -> T {
        loop {
            let before = self.common.read8(CONFIG_GENERATION);
            let value = read(&self.config);
            if self.common.read8(CONFIG_GENERATION) == before {
                return value;
            }
        }
    }
}
