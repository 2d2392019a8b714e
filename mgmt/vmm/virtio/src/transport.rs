//! [`VirtioPci`]: a virtio device as a PCI function (4.1).

mod common_config;
mod pci_access;
mod setup;
mod state;

use alloc::vec::Vec;

use vmm_pci::{BarIndex, Function, Outbox, Slot, Width};
use vmm_ram::GuestRam;

use crate::device::{QueueIndex, VirtioDevice};
use crate::layout::{NO_VECTOR, isr, place, status};
use crate::queue::Queue;
use crate::{DeviceFault, Features, QueueFault, Ring, SetupError, Stop};

/// The BAR of all registers.
const BAR: BarIndex = BarIndex::ZERO;

/// A virtio device as a PCI function, with the modern transport only.
///
/// Its registers lie in one BAR ([`crate::place`]). Nothing happens behind the guest's back: queues are served when the guest
/// notifies, when its driver becomes ready, and when the owner says that something came from outside
/// ([`VirtioPci::notify`]).
#[derive(Debug)]
pub struct VirtioPci<D> {
    function: Function,
    device: D,
    queues: Vec<Queue>,
    /// The capability that reaches registers through configuration space.
    pci_access: usize,
    registers: Registers,
    fault: Option<DeviceFault>,
    /// Queues with buffers left from a call that had done enough, a bit each.
    left: u64,
}

/// What a reset of the device clears.
#[derive(Debug)]
struct Registers {
    status: u8,
    device_feature_select: u32,
    driver_feature_select: u32,
    driver_features: Features,
    config_vector: u16,
    queue_select: u16,
    isr: u8,
    /// Goes on over resets: a driver must not mistake a new configuration for an old one.
    generation: u8,
}

impl Registers {
    fn after(generation: u8) -> Self {
        Self {
            status: 0,
            device_feature_select: 0,
            driver_feature_select: 0,
            driver_features: Features::default(),
            config_vector: NO_VECTOR,
            queue_select: 0,
            isr: 0,
            generation,
        }
    }
}

/// What an interrupt is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Cause {
    Queue,
    Config,
}

impl<D: VirtioDevice> VirtioPci<D> {
    /// The device at this slot.
    ///
    /// # Errors
    /// [`SetupError`]: a mistake of whoever wrote the device.
    pub fn new(slot: Slot, device: D) -> Result<Self, SetupError> {
        let (function, pci_access) = setup::function(slot, &device)?;
        let sizes = device.queue_sizes().iter();
        Ok(Self {
            function,
            queues: sizes.map(|size| Queue::new(*size)).collect(),
            device,
            pci_access,
            registers: Registers::after(0),
            fault: None,
            left: 0,
        })
    }

    /// Its configuration space.
    pub fn function(&self) -> &Function {
        &self.function
    }

    /// Its configuration space, to place its BARs.
    pub fn function_mut(&mut self) -> &mut Function {
        &mut self.function
    }

    /// The device behind it.
    pub fn device(&self) -> &D {
        &self.device
    }

    /// The device behind it. [`VirtioPci::notify`] lets the guest see what is new.
    pub fn device_mut(&mut self) -> &mut D {
        &mut self.device
    }

    /// Why it waits for its reset.
    pub fn fault(&self) -> Option<DeviceFault> {
        self.fault
    }

    /// The device status (2.1).
    pub fn status(&self) -> u8 {
        self.registers.status
    }

    /// How many queues it has.
    pub fn queue_count(&self) -> u16 {
        self.queues.len() as u16
    }

    /// Power on: also forgets what the guest wrote to configuration space.
    pub fn power_on(&mut self) {
        self.function.reset();
        self.reset();
    }

    /// Where a write notifies a queue, as an offset in BAR 0, while the queue is served.
    pub fn doorbell(&self, index: QueueIndex) -> Option<u64> {
        let queue = self.queues.get(usize::from(index.0))?;
        let at = place::NOTIFY + u32::from(index.0) * place::NOTIFY_STRIDE;
        (queue.is_enabled() && self.is_live()).then_some(u64::from(at))
    }

    /// Reads configuration space.
    pub fn read_config<R: GuestRam>(
        &mut self,
        offset: u16,
        width: Width,
        ram: &R,
        out: &mut Outbox,
    ) -> u64 {
        if self.is_pci_access(offset, width) {
            self.read_through(ram, out);
        }
        self.function.read(offset, width)
    }

    /// Writes configuration space.
    pub fn write_config<R: GuestRam>(
        &mut self,
        offset: u16,
        width: Width,
        value: u64,
        ram: &R,
        out: &mut Outbox,
    ) {
        let was_live = self.is_live();
        self.function.write(offset, width, value);
        if self.is_pci_access(offset, width) {
            self.write_through(ram, out);
        }
        self.function.flush(out);
        // Notifications that came while it could not reach memory were lost.
        if !was_live && self.is_live() {
            self.serve_all(ram, out);
        }
    }

    /// Reads BAR 0.
    pub fn read_bar<R: GuestRam>(&mut self, offset: u64, width: Width, _ram: &R) -> u64 {
        let within = offset % u64::from(place::REGION_BYTES);
        match region(offset) {
            place::COMMON => self.read_common(within, width),
            place::ISR if within == 0 => {
                self.function.release();
                u64::from(core::mem::take(&mut self.registers.isr))
            }
            place::DEVICE => self.device.read_config(within, width),
            place::MSIX_TABLE => self.function.read_table(within, width),
            place::MSIX_PENDING => self.function.read_pending(within, width),
            _ => 0,
        }
    }

    /// Writes BAR 0.
    pub fn write_bar<R: GuestRam>(
        &mut self,
        offset: u64,
        width: Width,
        value: u64,
        ram: &R,
        out: &mut Outbox,
    ) {
        let within = offset % u64::from(place::REGION_BYTES);
        match region(offset) {
            place::COMMON => self.write_common(within, width, value, ram, out),
            place::NOTIFY => {
                // Each queue has its own address, so the value (the queue's number) says nothing new.
                let stride = u64::from(place::NOTIFY_STRIDE);
                if let Ok(queue) = u16::try_from(within / stride)
                    && within.is_multiple_of(stride)
                {
                    self.notify(QueueIndex(queue), ram, out);
                }
            }
            place::MSIX_TABLE => self.function.write_table(within, width, value, out),
            _ => {}
        }
    }

    /// The guest has notified this queue, or something came from outside that it may wait for.
    pub fn notify<R: GuestRam>(&mut self, index: QueueIndex, ram: &R, out: &mut Outbox) {
        if !self.is_live() {
            return;
        }
        let Some(queue) = self.queues.get_mut(usize::from(index.0)) else {
            return;
        };
        if !queue.is_enabled() {
            return;
        }
        let served = self.device.serve(index, &mut Ring::new(queue, ram));
        let due = match served {
            Ok(stop) => {
                self.left = match stop {
                    Stop::Enough => self.left | bit(index),
                    Stop::Empty | Stop::Later => self.left & !bit(index),
                };
                queue.interrupt_is_due(ram)
            }
            Err(fault) => Err(fault),
        };
        let vector = queue.vector;
        match due {
            Ok(true) => self.interrupt(Cause::Queue, vector, out),
            Ok(false) => {}
            Err(cause) => self.fail(index, cause, out),
        }
    }

    /// Leaves serving this queue to [`VirtioPci::work`]: something came from outside that the guest may wait for, but who
    /// brings it could go on for ever if the guest kept up.
    pub fn notify_later(&mut self, index: QueueIndex) {
        if self.doorbell(index).is_some() {
            self.left |= bit(index);
        }
    }

    /// Whether [`VirtioPci::work`] has something to do.
    pub fn has_work(&self) -> bool {
        self.left != 0
    }

    /// Serves on where a call had done enough.
    pub fn work<R: GuestRam>(&mut self, ram: &R, out: &mut Outbox) {
        let left = core::mem::take(&mut self.left);
        for index in 0..self.queue_count() {
            if left & bit(QueueIndex(index)) != 0 {
                self.notify(QueueIndex(index), ram, out);
            }
        }
    }

    /// The device's configuration has changed: the driver is told.
    pub fn config_changed(&mut self, out: &mut Outbox) {
        self.registers.generation = self.registers.generation.wrapping_add(1);
        if self.registers.status & status::DRIVER_OK != 0 {
            self.interrupt(Cause::Config, self.registers.config_vector, out);
        }
    }

    /// Whether queues are served.
    fn is_live(&self) -> bool {
        let ready = self.registers.status & (status::DRIVER_OK | status::NEEDS_RESET);
        ready == status::DRIVER_OK && self.function.is_bus_master()
    }

    fn serve_all<R: GuestRam>(&mut self, ram: &R, out: &mut Outbox) {
        for index in 0..self.queue_count() {
            self.notify(QueueIndex(index), ram, out);
        }
    }

    /// 4.1.5.1.3 and 4.1.5.4: by message where MSI-X is on, else by the ISR status and the pin.
    fn interrupt(&mut self, cause: Cause, vector: u16, out: &mut Outbox) {
        if self.function.has_messages() {
            if vector != NO_VECTOR {
                self.function.raise(vector, out);
            }
            return;
        }
        self.registers.isr |= match cause {
            Cause::Queue => isr::QUEUE,
            Cause::Config => isr::CONFIG,
        };
        self.function.assert();
    }

    /// The driver did something wrong: nothing goes on until it resets the device (2.1.2).
    fn fail(&mut self, queue: QueueIndex, cause: QueueFault, out: &mut Outbox) {
        self.fault = Some(DeviceFault { queue, cause });
        self.left = 0;
        self.registers.status |= status::NEEDS_RESET;
        if self.registers.status & status::DRIVER_OK != 0 {
            self.interrupt(Cause::Config, self.registers.config_vector, out);
        }
    }

    /// The driver's reset (2.4). MSI-X and the rest of configuration space stay as they are.
    fn reset(&mut self) {
        self.registers = Registers::after(self.registers.generation);
        self.function.release();
        self.fault = None;
        self.left = 0;
        for queue in &mut self.queues {
            queue.reset();
        }
        self.device.reset();
    }
}

/// The region of an offset, as the constants of [`place`] name it.
fn region(offset: u64) -> u32 {
    let start = offset - offset % u64::from(place::REGION_BYTES);
    u32::try_from(start).unwrap_or(u32::MAX)
}

fn bit(queue: QueueIndex) -> u64 {
    1_u64.checked_shl(u32::from(queue.0)).unwrap_or(0)
}

#[cfg(test)]
mod tests;
