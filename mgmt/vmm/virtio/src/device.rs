//! [`VirtioDevice`]: what one kind of device adds to the transport.

use vmm_pci::{BadState, StateReader, StateWriter, Width};
use vmm_ram::GuestRam;

use crate::{Features, QueueFault, Ring, Stop};

/// The number of a queue of a device.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct QueueIndex(pub u16);

/// What a device is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kind {
    /// Device type (5).
    pub id: u16,
    /// PCI class, subclass and interface.
    pub class: u32,
}

/// A kind of device: its features, its configuration, and what it does with the buffers of its queues.
///
/// The transport calls it; it never sees registers, interrupts or ring indices.
pub trait VirtioDevice {
    /// What it is.
    fn kind(&self) -> Kind;

    /// The features that it offers itself; those of the transport are added.
    fn features(&self) -> Features;

    /// The most entries of each of its queues, powers of two.
    fn queue_sizes(&self) -> &'static [u16];

    /// Bytes of its configuration.
    fn config_bytes(&self) -> u32 {
        0
    }

    /// Reads its configuration; zeros beyond the end.
    fn read_config(&self, _offset: u64, _width: Width) -> u64 {
        0
    }

    /// Adds what it is itself to a state.
    fn save(&self, _to: &mut StateWriter) {}

    /// Is again as it was saved.
    ///
    /// # Errors
    /// [`BadState`].
    fn restore(&mut self, _from: &mut StateReader<'_>) -> Result<(), BadState> {
        Ok(())
    }

    /// Forgets what a driver did, not what comes from outside.
    fn reset(&mut self);

    /// Serves the buffers of a queue, as far as it can now: the driver has notified, or something came from outside.
    ///
    /// # Errors
    /// The fault that [`Ring::serve`] reports.
    fn serve<R: GuestRam>(
        &mut self,
        queue: QueueIndex,
        ring: &mut Ring<'_, R>,
    ) -> Result<Stop, QueueFault>;
}
