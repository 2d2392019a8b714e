//! Ports beside the stack's own, opened and shut while it runs.
//!
//! Their pools are small and not gated: they are for the few viewers of a console, not for crowds.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;

use mgmt_executor::{Instant, Signal};
use mgmt_link::Service;
use smoltcp::iface::SocketSet;

use crate::listener::Work;
use crate::pool::{Pool, Size};

enum Change {
    Open(u16, Box<dyn Service>),
    Shut(u16),
}

/// Opens and shuts ports of a [`crate::Stack`] that was given it; clones share it.
#[derive(Clone)]
pub struct Ports {
    changes: Rc<RefCell<Vec<Change>>>,
    signal: Signal,
}

impl Ports {
    /// The ports of the stack whose task waits for `signal`.
    pub fn new(signal: Signal) -> Self {
        Ports {
            changes: Rc::default(),
            signal,
        }
    }

    /// Serves `service` on a TCP port other than the stack's own. What was served there before is shut.
    pub fn open(&self, port: u16, service: Box<dyn Service>) {
        self.change(Change::Open(port, service));
    }

    /// Takes no more clients on a port. Those that are served go on until their connections end.
    pub fn shut(&self, port: u16) {
        self.change(Change::Shut(port));
    }

    /// Has the stack look at all connections: one of the services has something to say.
    pub fn signal(&self) -> &Signal {
        &self.signal
    }

    fn change(&self, change: Change) {
        self.changes.borrow_mut().push(change);
        self.signal.raise();
    }
}

/// The stack's side.
#[derive(Default)]
pub(crate) struct Served {
    ports: Option<Ports>,
    open: Vec<(Pool, Box<dyn Service>)>,
}

impl Served {
    /// Takes what it has to do from these ports.
    pub fn set(&mut self, ports: Ports) {
        self.ports = Some(ports);
    }

    /// Makes the changes that were asked for, and moves all connections on.
    pub fn advance(&mut self, sockets: &mut SocketSet<'static>, now: Instant) -> Work {
        let changes = self.ports.as_ref().map(|ports| ports.changes.take());
        for change in changes.into_iter().flatten() {
            let (Change::Open(port, _) | Change::Shut(port)) = &change;
            let served = self
                .open
                .iter_mut()
                .filter(|(pool, _)| pool.port() == *port);
            served.for_each(|(pool, _)| pool.retire());
            if let Change::Open(port, service) = change {
                self.open.push((Pool::new(port, Size::SMALL), service));
            }
        }
        let mut work = Work::None;
        for (pool, service) in &mut self.open {
            if pool.advance(sockets, &mut **service, now) == Work::Done {
                work = Work::Done;
            }
        }
        self.open.retain(|(pool, _)| !pool.is_gone());
        work
    }

    /// When one of the pools must be looked at, whatever the network does.
    pub fn deadline(&self) -> Option<Instant> {
        let pools = self.open.iter();
        pools.filter_map(|(pool, _)| pool.deadline()).min()
    }
}
