//! Holds the first segment of a connection back while no socket listens: see [`crate::pool`].

use alloc::vec::Vec;

use smoltcp::wire::{
    EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Packet, Ipv6Packet, TcpPacket,
};

/// The gate, for one poll.
pub(crate) struct Gate<'g> {
    /// The port that is guarded.
    pub port: u16,
    /// First segments that may still pass.
    pub open: usize,
    /// The frame that is held back.
    pub held: &'g mut Option<Vec<u8>>,
}

impl Gate<'_> {
    /// The next frame that may pass, of the one held back and those that `next` gives.
    pub fn pass(&mut self, next: impl FnOnce() -> Option<Vec<u8>>) -> Option<Vec<u8>> {
        let frame = self.held.take().or_else(next)?;
        if opens_connection(&frame, self.port) {
            let Some(rest) = self.open.checked_sub(1) else {
                *self.held = Some(frame);
                return None;
            };
            self.open = rest;
        }
        Some(frame)
    }
}

/// Whether a frame holds the first segment of a connection to `port`. IPv6 extension headers are not looked through:
/// clients have no reason to send any, and where they do a socket usually listens.
fn opens_connection(frame: &[u8], port: u16) -> bool {
    let Ok(frame) = EthernetFrame::new_checked(frame) else {
        return false;
    };
    let segment = match frame.ethertype() {
        EthernetProtocol::Ipv4 => match Ipv4Packet::new_checked(frame.payload()) {
            Ok(packet) if packet.next_header() == IpProtocol::Tcp => Some(packet.payload()),
            _ => None,
        },
        EthernetProtocol::Ipv6 => match Ipv6Packet::new_checked(frame.payload()) {
            Ok(packet) if packet.next_header() == IpProtocol::Tcp => Some(packet.payload()),
            _ => None,
        },
        _ => None,
    };
    segment
        .and_then(|segment| TcpPacket::new_checked(segment).ok())
        .is_some_and(|segment| segment.syn() && !segment.ack() && segment.dst_port() == port)
}
