//! The network card as the stack needs it, and as smoltcp sees it.

use alloc::vec;
use alloc::vec::Vec;

use smoltcp::phy::{self, DeviceCapabilities, Medium};
use smoltcp::time::Instant;

use crate::gate::Gate;

/// Longest Ethernet frame in bytes, without checksum.
const MAX_FRAME: usize = 1514;

/// A network card.
pub trait FrameDevice {
    /// The next received frame.
    fn receive(&mut self) -> Option<Vec<u8>>;

    /// Whether a frame can be sent now.
    fn can_transmit(&mut self) -> bool;

    /// Sends a frame of at most 1514 bytes. A frame that does not go out is lost, as frames may be.
    fn transmit(&mut self, frame: &[u8]);
}

/// Frames taken in a row: a card that never runs dry must not keep the other tasks from running.
const BUDGET: usize = 64;

/// Makes a [`FrameDevice`] a smoltcp device, for one poll.
pub(crate) struct Adapter<'d, D> {
    device: &'d mut D,
    gate: Gate<'d>,
    budget: usize,
}

impl<'d, D> Adapter<'d, D> {
    pub fn new(device: &'d mut D, gate: Gate<'d>) -> Self {
        Adapter {
            device,
            gate,
            budget: BUDGET,
        }
    }

    /// Lets so many connections begin.
    pub fn open_gate(&mut self, connections: usize) {
        self.gate.open = connections;
    }

    /// The frame that the gate holds back.
    pub fn held(&mut self) -> &mut Option<Vec<u8>> {
        self.gate.held
    }

    /// Whether there may be frames that were not taken.
    pub fn is_exhausted(&self) -> bool {
        self.budget == 0
    }
}

impl<D: FrameDevice> phy::Device for Adapter<'_, D> {
    type RxToken<'a>
        = Received
    where
        Self: 'a;
    type TxToken<'a>
        = Slot<'a, D>
    where
        Self: 'a;

    fn receive(&mut self, _: Instant) -> Option<(Received, Slot<'_, D>)> {
        // The stack may answer each frame: without room for that, the frame waits in the card.
        if self.budget == 0 || !self.device.can_transmit() {
            return None;
        }
        let frame = self.gate.pass(|| self.device.receive())?;
        self.budget -= 1;
        Some((Received(frame), Slot(self.device)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Slot<'_, D>> {
        self.device.can_transmit().then_some(Slot(self.device))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = MAX_FRAME;
        capabilities
    }
}

/// A received frame.
pub(crate) struct Received(Vec<u8>);

impl phy::RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

/// Room for one frame.
pub(crate) struct Slot<'a, D>(&'a mut D);

impl<D: FrameDevice> phy::TxToken for Slot<'_, D> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let mut frame = vec![0; length];
        let result = f(&mut frame);
        self.0.transmit(&frame);
        result
    }
}
