//! The seam between transports and protocols: a byte stream as both sides see it.
//!
//! A transport (TCP, the serial channel) owns a [`Link`] for each stream and moves bytes; a protocol (HTTP, CIM-XML)
//! implements [`Service`] and [`Connection`] without knowing where the bytes come from. Nothing blocks: a connection
//! that cannot take bytes says so, and the transport stops reading from the peer.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod channel;
mod connection;
mod link;

pub use channel::{Channel, Port, PortNews};
pub use connection::{Connection, Peer, Phase, Service};
pub use link::{Limits, Link, Verdict};
