//! A connection that we open: to a peer that the service names.

use mgmt_executor::Instant;
use mgmt_link::{Link, Verdict};
use smoltcp::iface::SocketHandle;
use smoltcp::socket::tcp;

use crate::listener::{Work, serve};

enum State {
    /// The handshake is under way.
    Opening,
    Serving,
    /// Ended by us; the handshake must be over by then.
    Closing(Instant),
    /// The socket can go.
    Ended,
}

/// An outgoing connection.
pub(crate) struct Caller {
    pub handle: SocketHandle,
    link: Option<Link>,
    state: State,
}

impl Caller {
    /// The connection of a socket that is connecting.
    pub fn new(handle: SocketHandle, link: Link) -> Self {
        Caller {
            handle,
            link: Some(link),
            state: State::Opening,
        }
    }

    /// Whether the socket can be removed.
    pub fn has_ended(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    /// When the caller must be looked at, whatever the network does.
    pub fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Closing(until) => Some(until),
            _ => self.link.as_ref().map(Link::deadline),
        }
    }

    /// Moves bytes and states on.
    pub fn advance(&mut self, socket: &mut tcp::Socket<'_>, now: Instant) -> Work {
        let mut work = Work::None;
        if matches!(self.state, State::Opening) && socket.may_send() {
            self.state = State::Serving;
        }
        let verdict = match (&self.state, &mut self.link) {
            (State::Opening, Some(link)) => link.check(now),
            (State::Serving, Some(link)) => serve(link, socket, now, &mut work),
            (State::Closing(until), _) if *until <= now => Verdict::Abort,
            _ => Verdict::Keep,
        };
        match verdict {
            Verdict::Close if matches!(self.state, State::Serving) => {
                let closing = self.link.take().map(|link| link.limits().closing);
                socket.close();
                self.state = State::Closing(now.after(closing.unwrap_or_default()));
                return Work::Done;
            }
            Verdict::Keep => {}
            Verdict::Close | Verdict::Abort => {
                socket.abort();
            }
        }
        let over = !socket.is_active();
        if over && !self.has_ended() {
            self.link = None;
            self.state = State::Ended;
            work = Work::Done;
        }
        work
    }
}
