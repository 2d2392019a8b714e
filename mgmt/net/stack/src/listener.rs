//! One socket of the listener pool: listens, serves one client, listens again.

use mgmt_executor::Instant;
use mgmt_link::{Link, Peer, Service, Verdict};
use smoltcp::iface::SocketHandle;
use smoltcp::socket::tcp;
use smoltcp::time::Duration;

/// A socket's buffers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Buffers {
    /// Bytes of receive buffer: what a client can have on its way to us.
    pub receive: usize,
    /// Bytes of transmit buffer.
    pub transmit: usize,
}

impl Buffers {
    /// For requests and responses.
    pub const LARGE: Self = Buffers {
        receive: 16 * 1024,
        transmit: 32 * 1024,
    };
    /// For people who type.
    pub const SMALL: Self = Buffers {
        receive: 2 * 1024,
        transmit: 16 * 1024,
    };
}

/// A peer that acknowledges nothing for so long is gone.
const PEER_TIMEOUT: Duration = Duration::from_secs(30);
/// How often an idle peer is asked whether it still is there.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// What is being done with the socket.
enum State {
    /// Waiting for a client, or shut and about to.
    Idle,
    /// The handshake with a client has begun.
    Opening(Instant),
    /// Serving.
    Serving(Link),
    /// Ended by us.
    Closing {
        since: Instant,
        /// The handshake must be over by then.
        until: Instant,
    },
}

/// A socket of the pool.
pub(crate) struct Listener {
    pub handle: SocketHandle,
    port: u16,
    state: State,
}

/// A socket for the pool.
pub(crate) fn socket(buffers: Buffers) -> tcp::Socket<'static> {
    let buffer = |bytes| tcp::SocketBuffer::new(alloc::vec![0; bytes]);
    let mut socket = tcp::Socket::new(buffer(buffers.receive), buffer(buffers.transmit));
    socket.set_timeout(Some(PEER_TIMEOUT));
    socket.set_keep_alive(Some(KEEP_ALIVE));
    // Responses end in small segments that nobody acknowledges early: Nagle's algorithm would only delay them.
    socket.set_nagle_enabled(false);
    socket
}

impl Listener {
    pub fn new(handle: SocketHandle, port: u16) -> Self {
        Listener {
            handle,
            port,
            state: State::Idle,
        }
    }

    /// Whether a client is being served.
    pub fn is_serving(&self) -> bool {
        matches!(self.state, State::Serving(_))
    }

    /// Whether there is no client, and none on its way.
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle)
    }

    /// When the listener must be looked at, whatever the network does.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Idle | State::Opening(_) => None,
            State::Serving(link) => Some(link.deadline()),
            State::Closing { until, .. } => Some(*until),
        }
    }

    /// When the socket's client last did something; `None` where there is none.
    pub fn quiet_since(&self) -> Option<Instant> {
        match &self.state {
            State::Idle => None,
            State::Opening(since) | State::Closing { since, .. } => Some(*since),
            State::Serving(link) => Some(link.active()),
        }
    }

    /// Drops the client.
    pub fn abort(&mut self, socket: &mut tcp::Socket<'_>) {
        socket.abort();
        self.state = State::Idle;
    }

    /// Moves bytes and states on. Returns whether the socket has something for the network to do.
    pub fn advance(
        &mut self,
        socket: &mut tcp::Socket<'_>,
        service: &mut dyn Service,
        now: Instant,
    ) -> Work {
        let mut work = Work::None;
        if matches!(self.state, State::Idle | State::Opening(_)) {
            // A socket in TIME-WAIT would be missing from the pool for seconds; its port and sequence numbers are
            // safe enough, since each connection starts with a new random number.
            if !socket.is_open() || socket.state() == tcp::State::TimeWait {
                self.abort(socket);
                let listening = socket.listen(self.port);
                debug_assert!(
                    listening.is_ok(),
                    "the port is not 0 and the socket is shut"
                );
                return Work::Done;
            }
            let established = socket.may_send() || socket.may_recv();
            let Some(peer) = socket.remote_endpoint().filter(|_| established) else {
                // A handshake that fails makes the socket listen again.
                match (socket.state(), &self.state) {
                    (tcp::State::Listen, _) => self.state = State::Idle,
                    (_, State::Idle) => self.state = State::Opening(now),
                    _ => {}
                }
                return Work::None;
            };
            let peer = Peer::Network((peer.addr, peer.port).into());
            let connection = service.connect(peer, now);
            self.state = State::Serving(Link::new(connection, service.limits(), now));
        }
        if let State::Serving(link) = &mut self.state {
            let verdict = serve(link, socket, now, &mut work);
            match verdict {
                Verdict::Keep if socket.is_active() => {}
                Verdict::Keep => self.state = State::Idle,
                Verdict::Close => {
                    socket.close();
                    self.state = State::Closing {
                        since: now,
                        until: now.after(link.limits().closing),
                    };
                    work = Work::Done;
                }
                Verdict::Abort => {
                    self.abort(socket);
                    work = Work::Done;
                }
            }
        }
        if let State::Closing { until, .. } = self.state {
            // The peer may still send: it is not read, but must not fill the window and hold its FIN back.
            while socket
                .recv(|bytes| (bytes.len(), bytes.len()))
                .is_ok_and(|n| n > 0)
            {
                work = Work::Done;
            }
            if !socket.is_active() {
                self.state = State::Idle;
                work = Work::Done;
            } else if until <= now {
                self.abort(socket);
                work = Work::Done;
            }
        }
        work
    }
}

/// Whether something changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Work {
    /// Nothing.
    None,
    /// The network has something to do, and the listener may have more.
    Done,
}

/// Moves bytes between a socket and a stream, and applies the stream's limits.
pub(crate) fn serve(
    link: &mut Link,
    socket: &mut tcp::Socket<'_>,
    now: Instant,
    work: &mut Work,
) -> Verdict {
    loop {
        let taken = match socket.can_recv() {
            true => socket
                .recv(|bytes| {
                    let taken = link.receive(bytes, now);
                    (taken, taken)
                })
                .unwrap_or(0),
            false => 0,
        };
        if !socket.may_recv() {
            link.receive_end(now);
        }
        let sent = link.transmit(now, |bytes| match socket.can_send() {
            true => socket.send_slice(bytes).unwrap_or(0),
            false => 0,
        });
        if taken + sent == 0 {
            break;
        }
        *work = Work::Done;
    }
    link.check(now)
}
