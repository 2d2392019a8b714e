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

use crate::listener::{self, Listener, Work};

/// Sockets that are kept listening, where the limit allows it.
const SPARE: usize = 8;
/// Listening sockets that are not given back.
const MOST_SPARE: usize = 2 * SPARE;
/// A client that did something within this time does not make room for another.
const QUIET: Duration = Duration::from_secs(1);

/// The pool.
pub(crate) struct Pool {
    listeners: Vec<Listener>,
    port: u16,
    most: usize,
}

impl Pool {
    /// A pool for at most so many connections.
    pub fn new(port: u16, most: usize) -> Self {
        Pool {
            listeners: Vec::new(),
            port,
            most,
        }
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
        for listener in &mut self.listeners {
            let socket = sockets.get_mut::<tcp::Socket<'_>>(listener.handle);
            if listener.advance(socket, service, now) == Work::Done {
                work = Work::Done;
            }
        }
        let mut listening = self.listening(sockets);
        while listening < SPARE && self.listeners.len() < self.most {
            let mut listener = Listener::new(sockets.add(listener::socket()), self.port);
            let socket = sockets.get_mut::<tcp::Socket<'_>>(listener.handle);
            listener.advance(socket, service, now);
            self.listeners.push(listener);
            listening += 1;
        }
        self.listeners.retain(|listener| {
            let goes = listening > MOST_SPARE && is_listening(listener, sockets);
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
