//! Multiport console (virtio 1.2, 5.3): one named port of it as a byte stream.

use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;

use crate::control::{Event, Message};
use crate::{
    Access, Features, Memory, MsixEntry, Platform, Queue, Registers, Segment, Transport,
    VirtioError,
};

const CONTROL_RECEIVE: u16 = 2;
const CONTROL_TRANSMIT: u16 = 3;
const CONTROL_STRIDE: usize = 256;
/// The device drops what it has no buffer for, and each client that comes and goes costs two.
const CONTROL_BUFFERS: u16 = 64;
const DATA_STRIDE: usize = 4096;
const DATA_BUFFERS: u16 = 16;
/// Most ports looked at; QEMU's devices have at most 31 unless told otherwise.
const MAX_PORTS: u32 = 64;

/// What happened on the port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PortEvent {
    /// A client on the host connected: a new stream starts.
    Opened,
    /// The client disconnected: the stream is over, and nothing more can be sent.
    Closed,
    /// Bytes from the client.
    Data(Vec<u8>),
}

/// The queues and buffers of one direction.
struct Lane<M> {
    queue: Queue<M>,
    buffers: M,
    stride: usize,
    free: Vec<u16>,
    /// Buffers that the device had when its client went, and may have lost.
    suspects: Vec<u16>,
}

impl<M: Memory> Lane<M> {
    fn new<P: Platform<Memory = M>>(
        platform: &P,
        queue: Queue<M>,
        stride: usize,
    ) -> Result<Self, VirtioError> {
        let count = queue.size();
        let buffers = platform
            .memory(usize::from(count) * stride)
            .ok_or(VirtioError::NoMemory)?;
        Ok(Lane {
            queue,
            buffers,
            stride,
            free: (0..count).collect(),
            suspects: Vec::new(),
        })
    }

    fn segment(&self, buffer: u16, length: usize, access: Access) -> Segment {
        Segment {
            address: self.buffers.address() + (usize::from(buffer) * self.stride) as u64,
            length: length as u32,
            access,
        }
    }

    /// Gives all free buffers to the device, to be filled.
    fn offer_all(&mut self) -> Result<(), VirtioError> {
        while let Some(buffer) = self.free.pop() {
            let segment = self.segment(buffer, self.stride, Access::Write);
            self.queue.add(&[segment], buffer)?;
        }
        Ok(())
    }

    /// The bytes of the next filled buffer, which is then free.
    fn take(&mut self) -> Result<Option<Vec<u8>>, VirtioError> {
        let used = match self.queue.take()? {
            Some(used) => used,
            None if self.queue.arm() => match self.queue.take()? {
                Some(used) => used,
                None => return Ok(None),
            },
            None => return Ok(None),
        };
        let length = usize::try_from(used.written).unwrap_or(0).min(self.stride);
        let mut bytes = vec![0; length];
        self.buffers
            .read(usize::from(used.cookie) * self.stride, &mut bytes);
        self.free.push(used.cookie);
        Ok(Some(bytes))
    }

    /// Takes back what the device has read.
    ///
    /// QEMU 7.2 forgets the buffer that it was in the middle of when its client goes: it never comes back, and in
    /// the end there is none left to send with. A stream's buffers are used in their order, so a buffer from before the
    /// end is lost as soon as one from after it has come back.
    fn reclaim(&mut self) -> Result<(), VirtioError> {
        while let Some(used) = self.queue.take()? {
            self.free.push(used.cookie);
            let known = self.suspects.len();
            self.suspects.retain(|suspect| *suspect != used.cookie);
            if known == self.suspects.len() {
                for lost in self.suspects.drain(..) {
                    self.queue.abandon(lost);
                    self.free.push(lost);
                }
            }
        }
        Ok(())
    }

    /// The client that these buffers were for has gone.
    fn suspect(&mut self) -> Result<(), VirtioError> {
        self.reclaim()?;
        let (size, free) = (self.queue.size(), &self.free);
        self.suspects = (0..size).filter(|buffer| !free.contains(buffer)).collect();
        Ok(())
    }

    /// Queues bytes to be sent; returns how many there was room for. Where that is not all, an interrupt is due.
    fn send(&mut self, bytes: &[u8]) -> Result<usize, VirtioError> {
        self.reclaim()?;
        let mut sent = 0;
        for piece in bytes.chunks(self.stride) {
            if self.free.is_empty() && self.queue.arm() {
                self.reclaim()?;
            }
            let Some(buffer) = self.free.pop() else {
                break;
            };
            self.buffers.write(usize::from(buffer) * self.stride, piece);
            let segment = self.segment(buffer, piece.len(), Access::Read);
            self.queue.add(&[segment], buffer)?;
            sent += piece.len();
        }
        Ok(sent)
    }
}

/// A port's queues: receive, transmit.
type QueuePair<M> = (Queue<M>, Queue<M>);

/// The port, once the device has named it.
struct Port<M> {
    number: u32,
    receive: Lane<M>,
    transmit: Lane<M>,
    open: bool,
}

/// A console device, used for its port with one name. Ports with other names are left alone.
pub struct Console<P: Platform> {
    transport: Transport<P::Registers>,
    control_receive: Lane<P::Memory>,
    control_transmit: Lane<P::Memory>,
    /// Queues of the ports that the device has not named yet, at the port's number.
    unused: Vec<Option<QueuePair<P::Memory>>>,
    port: Option<Port<P::Memory>>,
    /// Openings and closings that were not told yet; they go before `data`.
    changes: VecDeque<PortEvent>,
    data: Option<Vec<u8>>,
    name: &'static str,
}

impl<P: Platform> Console<P> {
    /// Starts the device and looks for the port called `name`. All queues use one MSI-X entry.
    ///
    /// # Errors
    /// The device is not usable, or has no multiport feature.
    pub fn start(
        transport: Transport<P::Registers>,
        platform: &P,
        entry: MsixEntry,
        name: &'static str,
    ) -> Result<Self, VirtioError> {
        let features = transport.negotiate(Features::CONSOLE_MULTIPORT)?;
        if !features.has(Features::CONSOLE_MULTIPORT) {
            return Err(VirtioError::Unsupported);
        }
        transport.require_config(8)?;
        let ports = transport.config(|config| config.read32(4)).min(MAX_PORTS);
        let queue = |index, limit| transport.queue(platform, index, limit, entry, features);
        // Queues exist for every port from the start: they cannot be added once the device runs.
        let mut unused = Vec::new();
        for port in 0..ports as u16 {
            let index = if port == 0 { 0 } else { 2 * port + 2 };
            unused.push(match queue(index, DATA_BUFFERS) {
                Ok(receive) => Some((receive, queue(index + 1, DATA_BUFFERS)?)),
                Err(VirtioError::NoQueue(_)) => None,
                Err(error) => return Err(error),
            });
        }
        let control_receive = queue(CONTROL_RECEIVE, CONTROL_BUFFERS)?;
        let control_transmit = queue(CONTROL_TRANSMIT, CONTROL_BUFFERS)?;
        let mut console = Console {
            control_receive: Lane::new(platform, control_receive, CONTROL_STRIDE)?,
            control_transmit: Lane::new(platform, control_transmit, CONTROL_STRIDE)?,
            transport,
            unused,
            port: None,
            changes: VecDeque::new(),
            data: None,
            name,
        };
        console.transport.run();
        console.refill_control()?;
        console.send_control(0, Event::DeviceReady)?;
        Ok(console)
    }

    fn refill_control(&mut self) -> Result<(), VirtioError> {
        self.control_receive.offer_all()?;
        self.transport.publish(&mut self.control_receive.queue);
        Ok(())
    }

    fn send_control(&mut self, port: u32, event: Event) -> Result<(), VirtioError> {
        let message = Message {
            port,
            event,
            value: 1,
        };
        let lane = &mut self.control_transmit;
        if lane.send(&message.bytes())? == 0 {
            return Err(VirtioError::Full);
        }
        self.transport.publish(&mut lane.queue);
        Ok(())
    }

    /// What happened next on the port. After `None` an interrupt comes when there is more.
    ///
    /// All bytes of a client are there before its closing is told, and none of them is told before its opening.
    ///
    /// # Errors
    /// The device breaks its rules and must not be used any more.
    pub fn poll(&mut self, platform: &P) -> Result<Option<PortEvent>, VirtioError> {
        loop {
            // Also with bytes in hand: their sender may have come since we last looked here.
            while let Some(bytes) = self.control_receive.take()? {
                self.control(platform, &bytes)?;
                self.refill_control()?;
            }
            if let Some(change) = self.changes.pop_front() {
                return Ok(Some(change));
            }
            if let Some(bytes) = self.data.take() {
                return Ok(Some(PortEvent::Data(bytes)));
            }
            let Some(port) = &mut self.port else {
                return Ok(None);
            };
            self.data = port.receive.take()?;
            port.receive.offer_all()?;
            self.transport.publish(&mut port.receive.queue);
            if self.data.is_none() {
                return Ok(None);
            }
        }
    }

    fn control(&mut self, platform: &P, bytes: &[u8]) -> Result<(), VirtioError> {
        let Some(message) = Message::parse(bytes) else {
            return Ok(());
        };
        let ours = |port: &&mut Port<P::Memory>| port.number == message.port;
        match message.event {
            Event::PortAdd => self.send_control(message.port, Event::PortReady)?,
            Event::PortName => {
                let name = bytes.get(Message::BYTES..).unwrap_or_default();
                // QEMU ends the name with a zero byte, which the specification does not have.
                let name = name.strip_suffix(&[0]).unwrap_or(name);
                if name == self.name.as_bytes() && self.port.is_none() {
                    self.adopt(platform, message.port)?;
                }
            }
            Event::PortOpen => {
                if let Some(port) = self.port.as_mut().filter(ours) {
                    let open = message.value != 0;
                    // Open twice: the device had no buffer for the closing between.
                    if core::mem::replace(&mut port.open, open) {
                        port.transmit.suspect()?;
                        self.changes.push_back(PortEvent::Closed);
                    }
                    if open {
                        self.changes.push_back(PortEvent::Opened);
                    }
                }
            }
            Event::PortRemove => {
                if let Some(port) = self.port.take_if(|port| port.number == message.port)
                    && port.open
                {
                    self.changes.push_back(PortEvent::Closed);
                }
            }
            Event::DeviceReady | Event::PortReady | Event::Other => {}
        }
        Ok(())
    }

    fn adopt(&mut self, platform: &P, number: u32) -> Result<(), VirtioError> {
        let queues = usize::try_from(number)
            .ok()
            .and_then(|index| self.unused.get_mut(index)?.take());
        let Some((receive, transmit)) = queues else {
            return Ok(());
        };
        let mut receive = Lane::new(platform, receive, DATA_STRIDE)?;
        receive.offer_all()?;
        self.transport.publish(&mut receive.queue);
        self.port = Some(Port {
            number,
            receive,
            transmit: Lane::new(platform, transmit, DATA_STRIDE)?,
            open: false,
        });
        self.send_control(number, Event::PortOpen)
    }

    /// Whether a client on the host is connected.
    pub fn is_open(&self) -> bool {
        self.port.as_ref().is_some_and(|port| port.open)
    }

    /// Sends bytes; returns how many were taken. Fewer than all means that an interrupt comes when there is room, or
    /// that the device has news, which [`Console::poll`] must see first: what is meant for a client that has gone must
    /// not reach the next one.
    ///
    /// # Errors
    /// The device breaks its rules and must not be used any more.
    pub fn send(&mut self, bytes: &[u8]) -> Result<usize, VirtioError> {
        let Some(port) = self.port.as_mut().filter(|port| port.open) else {
            return Ok(0);
        };
        if self.control_receive.queue.has_used() || !self.changes.is_empty() {
            return Ok(0);
        }
        let sent = port.transmit.send(bytes)?;
        self.transport.publish(&mut port.transmit.queue);
        Ok(sent)
    }
}

#[cfg(test)]
mod tests;
