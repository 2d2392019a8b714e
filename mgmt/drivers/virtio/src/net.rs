//! Network card (virtio 1.2, 5.1): frames in, frames out, no offloads.

use alloc::vec;
use alloc::vec::Vec;

use crate::{
    Access, Features, Memory, MsixEntry, Platform, Queue, Registers, Segment, Transport,
    VirtioError,
};

/// Longest Ethernet frame in bytes, without checksum.
pub const MAX_FRAME: usize = 1514;

const RECEIVE: u16 = 0;
const TRANSMIT: u16 = 1;
/// Buffers a direction. Each is 2 KiB: half a megabyte in all, enough for a full TCP window of 32 connections.
const BUFFERS: u16 = 128;
const STRIDE: usize = 2048;
/// The virtio_net_hdr of VERSION_1.
const HEADER: usize = 12;

/// A network card. The caller tells it of nothing: after an interrupt on either queue's entry, it asks for frames
/// ([`Net::receive`]) and for room ([`Net::can_transmit`]).
pub struct Net<P: Platform> {
    transport: Transport<P::Registers>,
    receive: Queue<P::Memory>,
    transmit: Queue<P::Memory>,
    receive_buffers: P::Memory,
    transmit_buffers: P::Memory,
    transmit_free: Vec<u16>,
    mac: [u8; 6],
}

impl<P: Platform> Net<P> {
    /// Starts the card; `entries` are the MSI-X entries of the receive and the transmit queue.
    ///
    /// # Errors
    /// The device is not usable; it is left reset or half set up and does nothing.
    pub fn start(
        transport: Transport<P::Registers>,
        platform: &P,
        entries: [MsixEntry; 2],
    ) -> Result<Self, VirtioError> {
        let features = transport.negotiate(Features::NET_MAC)?;
        if !features.has(Features::NET_MAC) {
            return Err(VirtioError::NoStructure("MAC address"));
        }
        transport.require_config(6)?;
        let mac = transport.config(|config| [0, 1, 2, 3, 4, 5].map(|byte| config.read8(byte)));
        let [receive_entry, transmit_entry] = entries;
        let receive = transport.queue(platform, RECEIVE, BUFFERS, receive_entry, features)?;
        let transmit = transport.queue(platform, TRANSMIT, BUFFERS, transmit_entry, features)?;
        let buffers = |queue: &Queue<P::Memory>| {
            let bytes = usize::from(queue.size()) * STRIDE;
            platform.memory(bytes).ok_or(VirtioError::NoMemory)
        };
        let (receive_buffers, transmit_buffers) = (buffers(&receive)?, buffers(&transmit)?);
        let mut net = Net {
            transmit_free: (0..transmit.size()).collect(),
            transport,
            receive,
            transmit,
            receive_buffers,
            transmit_buffers,
            mac,
        };
        net.transport.run();
        for buffer in 0..net.receive.size() {
            net.offer(buffer)?;
        }
        net.transport.publish(&mut net.receive);
        net.receive.arm();
        Ok(net)
    }

    /// The card's address.
    pub fn mac(&self) -> [u8; 6] {
        self.mac
    }

    fn offer(&mut self, buffer: u16) -> Result<(), VirtioError> {
        let segment = Segment {
            address: self.receive_buffers.address() + (usize::from(buffer) * STRIDE) as u64,
            length: STRIDE as u32,
            access: Access::Write,
        };
        self.receive.add(&[segment], buffer)
    }

    /// The next frame. After `None` an interrupt comes when there is one.
    ///
    /// # Errors
    /// The device breaks its rules and must not be used any more.
    pub fn receive(&mut self) -> Result<Option<Vec<u8>>, VirtioError> {
        let used = match self.receive.take()? {
            Some(used) => used,
            None if self.receive.arm() => match self.receive.take()? {
                Some(used) => used,
                None => return Ok(None),
            },
            None => return Ok(None),
        };
        let written = usize::try_from(used.written).unwrap_or(0).min(STRIDE);
        let mut frame = vec![0; written.saturating_sub(HEADER)];
        let at = usize::from(used.cookie) * STRIDE + HEADER;
        self.receive_buffers.read(at, &mut frame);
        self.offer(used.cookie)?;
        self.transport.publish(&mut self.receive);
        Ok(Some(frame))
    }

    /// Whether [`Net::transmit`] has room. After `false` an interrupt comes when there is.
    ///
    /// # Errors
    /// The device breaks its rules and must not be used any more.
    pub fn can_transmit(&mut self) -> Result<bool, VirtioError> {
        self.reclaim()?;
        if self.transmit_free.is_empty() && self.transmit.arm() {
            self.reclaim()?;
        }
        Ok(!self.transmit_free.is_empty())
    }

    fn reclaim(&mut self) -> Result<(), VirtioError> {
        while let Some(used) = self.transmit.take()? {
            self.transmit_free.push(used.cookie);
        }
        Ok(())
    }

    /// Sends a frame of at most [`MAX_FRAME`] bytes.
    ///
    /// # Errors
    /// [`VirtioError::Full`] without room, [`VirtioError::BadRange`] for a frame that is too long.
    pub fn transmit(&mut self, frame: &[u8]) -> Result<(), VirtioError> {
        if frame.len() > MAX_FRAME {
            return Err(VirtioError::BadRange);
        }
        let buffer = self.transmit_free.pop().ok_or(VirtioError::Full)?;
        let at = usize::from(buffer) * STRIDE;
        self.transmit_buffers.write(at, &[0; HEADER]);
        self.transmit_buffers.write(at + HEADER, frame);
        let segment = Segment {
            address: self.transmit_buffers.address() + at as u64,
            length: (HEADER + frame.len()) as u32,
            access: Access::Read,
        };
        self.transmit.add(&[segment], buffer)?;
        self.transport.publish(&mut self.transmit);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
