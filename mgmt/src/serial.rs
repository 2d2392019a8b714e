//! The serial task: the same services as on the network, over a port of the virtio console.
//!
//! The host's end of the port opens and closes; each opening begins a new stream. Within it, a connection that ends is
//! followed by a new one, since the port itself cannot be shut from here.
//!
//! The device tells of closing and opening on one queue and hands over bytes on another, so that their order is lost
//! where a client goes in the middle of a request and the next one comes before we have looked. Its first request is
//! then spoilt by what the other left, and refused. Clients that wait for their answers never see this.

use alloc::boxed::Box;
use alloc::vec::Vec;

use mgmt_executor::Signal;
use mgmt_link::{Limits, Link, Peer, Service, Verdict};
use mgmt_virtio::{Console, PortEvent, VirtioError};

use crate::devices::Attached;
use crate::dma::Machine;
use crate::report;
use crate::root::Root;

/// What is read ahead of a connection that does not take it.
const MAX_BACKLOG: usize = 64 * 1024;

struct Serial {
    console: Console<Machine>,
    service: Box<dyn Service>,
    link: Option<Link>,
    backlog: Vec<u8>,
}

/// Serves `service` on the console's port, for ever.
pub async fn run(root: Root, console: Attached<Console<Machine>>, service: Box<dyn Service>) {
    let Attached {
        device,
        signal,
        address,
    } = console;
    let mut serial = Serial {
        console: device,
        service,
        link: None,
        backlog: Vec::new(),
    };
    loop {
        if let Err(error) = serial.advance(&root, &signal) {
            report!("serial channel {address}: stopped: {error}");
            return;
        }
        let deadline = serial.link.as_ref().map(Link::deadline);
        signal.wait_until(root.timers(), deadline).await;
    }
}

impl Serial {
    /// Does everything that can be done now.
    fn advance(&mut self, root: &Root, signal: &Signal) -> Result<(), VirtioError> {
        let now = root.now();
        while self.backlog.len() < MAX_BACKLOG {
            match self.console.poll(&Machine)? {
                None => break,
                Some(PortEvent::Opened) => {
                    let connection = self.service.connect(Peer::Serial, now);
                    self.link = Some(Link::new(connection, Limits::SERIAL, now));
                }
                Some(PortEvent::Closed) => {
                    self.link = None;
                    self.backlog.clear();
                }
                Some(PortEvent::Data(bytes)) => self.backlog.extend_from_slice(&bytes),
            }
        }
        let Some(link) = &mut self.link else {
            // Bytes that nobody's stream owns.
            self.backlog.clear();
            return Ok(());
        };
        let mut failed = None;
        loop {
            let taken = match self.backlog.is_empty() {
                true => 0,
                false => link.receive(&self.backlog, now),
            };
            self.backlog.drain(..taken);
            let sent = link.transmit(now, |bytes| {
                self.console.send(bytes).unwrap_or_else(|error| {
                    failed = Some(error);
                    0
                })
            });
            if taken + sent == 0 {
                break;
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        if link.check(now) != Verdict::Keep {
            let connection = self.service.connect(Peer::Serial, now);
            *link = Link::new(connection, Limits::SERIAL, now);
            // The new connection may have a request waiting.
            signal.raise();
        }
        Ok(())
    }
}
