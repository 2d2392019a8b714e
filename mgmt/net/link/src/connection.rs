//! What a protocol implements.

use alloc::boxed::Box;
use core::net::SocketAddr;

use mgmt_executor::Instant;

use crate::Limits;

/// Who is at the other end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Peer {
    /// A TCP client.
    Network(SocketAddr),
    /// The serial channel's client: whoever on the host can open it.
    Serial,
}

/// What a connection wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// To go on.
    Open,
    /// To end as soon as its pending output is sent.
    Finished,
    /// To end now; what is pending is dropped.
    Failed,
}

/// A protocol that serves streams.
pub trait Service {
    /// A stream has begun.
    fn connect(&mut self, peer: Peer, now: Instant) -> Box<dyn Connection>;

    /// How patient a network is with the clients of this protocol.
    fn limits(&self) -> Limits {
        Limits::NETWORK
    }

    /// A stream that the protocol wants opened, and to whom. Only networks ask, when they can open one more. The
    /// connection is dropped where the stream cannot be opened.
    fn dial(&mut self, now: Instant) -> Option<(SocketAddr, Box<dyn Connection>)> {
        let _ = now;
        None
    }
}

/// One stream, as its protocol sees it.
pub trait Connection {
    /// Takes bytes from the peer; returns how many. Fewer than given is back pressure: the rest is offered again after
    /// output was sent or the deadline has come.
    fn receive(&mut self, bytes: &[u8], now: Instant) -> usize;

    /// The peer will send no more; it may still read.
    fn receive_end(&mut self, now: Instant);

    /// The next bytes for the peer; empty when there are none at the moment.
    fn output(&mut self, now: Instant) -> &[u8];

    /// The first `count` bytes of the last [`Connection::output`] are on their way.
    fn sent(&mut self, count: usize, now: Instant);

    /// When [`Connection::expire`] is to be called if nothing happens before.
    fn deadline(&self) -> Option<Instant>;

    /// The deadline has come.
    fn expire(&mut self, now: Instant);

    /// What the connection wants.
    fn phase(&self) -> Phase;
}
