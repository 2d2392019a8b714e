//! The pool of sockets that serve the port: always some that listen, more connections as they come, up to a limit.
//!
//! smoltcp has no queue of connections to be accepted: each needs a socket that listens when its first segment comes, or
//! is refused. The pool therefore lets no first segment pass that finds no listening socket; the frame is held back until
//! there is one. At the limit, the client that has done nothing for the longest time makes room; if none has been quiet
//! for long, the segment is dropped, which makes the newcomer try again.

use alloc::vec::Vec;
use core::time::Duration;

use mgmt_executor::Instant;
use mgmt_link::Service;
use smoltcp::iface::SocketSet;
use smoltcp::socket::tcp;

use crate::listener::{self, Buffers, Listener, Work};

/// How large a pool is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Size {
    /// Sockets that are kept listening, where the limit allows it. Twice as many are not given back.
    pub spare: usize,
    /// Sockets in all.
    pub most: usize,
    /// Their buffers.
    pub buffers: Buffers,
}

impl Size {
    /// For crowds of at most so many.
    pub const fn large(most: usize) -> Self {
        Size {
            spare: 8,
            most,
            buffers: Buffers::LARGE,
        }
    }

    /// For a few people.
    pub const SMALL: Self = Size {
        spare: 1,
        most: 8,
        buffers: Buffers::SMALL,
    };
}

/// A client that did something within this time does not make room for another.
const QUIET: Duration = Duration::from_secs(1);

/// The pool.
pub(crate) struct Pool {
    listeners: Vec<Listener>,
    port: u16,
    size: Size,
    is_retired: bool,
}

impl Pool {
    /// A pool of this size for a port.
    pub fn new(port: u16, size: Size) -> Self {
        Pool {
            listeners: Vec::new(),
            port,
            size,
            is_retired: false,
        }
    }

    /// Takes no more clients; the pool is [gone](Pool::is_gone) when it has served those that it has.
    pub fn retire(&mut self) {
        self.is_retired = true;
    }

    /// Whether nothing is left of the pool.
    pub fn is_gone(&self) -> bool {
        self.is_retired && self.listeners.is_empty()
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Sockets that listen.
    pub fn listening(&self, sockets: &SocketSet<'_>) -> usize {
        self.listeners
            .iter()
            .filter(|listener| is_listening(listener, sockets))
            .count()
    }

    /// Clients being served.
    pub fn clients(&self) -> usize {
        self.listeners.iter().filter(|l| l.is_serving()).count()
    }

    /// Moves all connections on, and sees to it that sockets listen.
    pub fn advance(
        &mut self,
        sockets: &mut SocketSet<'static>,
        service: &mut dyn Service,
        now: Instant,
    ) -> Work {
        let mut work = Work::None;
        if self.is_retired {
            self.listeners.retain(|listener| {
                if listener.is_idle() {
                    sockets.remove(listener.handle);
                }
                !listener.is_idle()
            });
        }
        for listener in &mut self.listeners {
            let socket = sockets.get_mut::<tcp::Socket<'_>>(listener.handle);
            if listener.advance(socket, service, now) == Work::Done {
                work = Work::Done;
            }
        }
        let mut listening = self.listening(sockets);
        while !self.is_retired
            && listening < self.size.spare
            && self.listeners.len() < self.size.most
        {
            let socket = listener::socket(self.size.buffers);
            let mut listener = Listener::new(sockets.add(socket), self.port);
            let socket = sockets.get_mut::<tcp::Socket<'_>>(listener.handle);
            listener.advance(socket, service, now);
            self.listeners.push(listener);
            listening += 1;
        }
        self.listeners.retain(|listener| {
            let goes = listening > 2 * self.size.spare && is_listening(listener, sockets);
            if goes {
                listening -= 1;
                sockets.remove(listener.handle);
            }
            !goes
        });
        work
    }

    /// Ends the connection that has been quiet for the longest time, so that another client can come. Tells whether
    /// there was one.
    pub fn make_room(&mut self, sockets: &mut SocketSet<'_>, now: Instant) -> bool {
        let oldest = self
            .listeners
            .iter_mut()
            .filter_map(|listener| Some((listener.quiet_since()?, listener)))
            .filter(|(since, _)| since.after(QUIET) <= now)
            .min_by_key(|(since, _)| *since);
        let Some((_, listener)) = oldest else {
            return false;
        };
        listener.abort(sockets.get_mut::<tcp::Socket<'_>>(listener.handle));
        true
    }

    /// When the pool must be looked at, whatever the network does.
    pub fn deadline(&self) -> Option<Instant> {
        self.listeners.iter().filter_map(Listener::deadline).min()
    }
}

fn is_listening(listener: &Listener, sockets: &SocketSet<'_>) -> bool {
    sockets.get::<tcp::Socket<'_>>(listener.handle).state() == tcp::State::Listen
}
