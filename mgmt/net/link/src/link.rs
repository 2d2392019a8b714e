//! A connection with the limits that hold for every protocol: idle and slow peers are let go.

use alloc::boxed::Box;
use core::time::Duration;

use mgmt_executor::Instant;

use crate::{Connection, Phase};

/// How long a peer may do nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Without a byte in either direction.
    pub idle: Duration,
    /// With output waiting and none of it taken.
    pub stalled: Duration,
    /// For ending a stream in order.
    pub closing: Duration,
}

impl Limits {
    /// For clients on a network.
    pub const NETWORK: Self = Limits {
        idle: Duration::from_secs(120),
        stalled: Duration::from_secs(30),
        closing: Duration::from_secs(10),
    };

    /// For the serial channel, which one client may hold open for as long as it likes: the stream of a client that does
    /// not read cannot be ended, and nobody else could use the channel if it were.
    pub const SERIAL: Self = Limits {
        idle: Duration::MAX,
        stalled: Duration::MAX,
        closing: Duration::ZERO,
    };
}

/// What the transport is to do with the stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Go on.
    Keep,
    /// End it in order: everything is sent.
    Close,
    /// Drop it.
    Abort,
}

/// A stream: its connection, and when the peer last did something.
pub struct Link {
    connection: Box<dyn Connection>,
    limits: Limits,
    active: Instant,
    waiting: Option<Instant>,
    ended: bool,
}

impl Link {
    /// The stream of `connection`, from `now` on.
    pub fn new(connection: Box<dyn Connection>, limits: Limits, now: Instant) -> Self {
        Link {
            connection,
            limits,
            active: now,
            waiting: None,
            ended: false,
        }
    }

    /// Passes bytes from the peer on; returns how many were taken.
    pub fn receive(&mut self, bytes: &[u8], now: Instant) -> usize {
        let taken = self.connection.receive(bytes, now).min(bytes.len());
        if taken > 0 {
            self.active = now;
        }
        taken
    }

    /// Tells the connection, once, that the peer sends no more.
    pub fn receive_end(&mut self, now: Instant) {
        if !core::mem::replace(&mut self.ended, true) {
            self.connection.receive_end(now);
        }
    }

    /// Offers pending output to `send`, which returns how much it took, until either has no more. Returns the number of
    /// bytes taken.
    pub fn transmit(&mut self, now: Instant, mut send: impl FnMut(&[u8]) -> usize) -> usize {
        let mut total = 0;
        loop {
            let bytes = self.connection.output(now);
            if bytes.is_empty() {
                self.waiting = None;
                return total;
            }
            let length = bytes.len();
            let sent = send(bytes).min(length);
            self.connection.sent(sent, now);
            total += sent;
            if sent > 0 {
                self.active = now;
                self.waiting = None;
            }
            if sent < length {
                self.waiting.get_or_insert(now);
                return total;
            }
        }
    }

    /// When [`Link::check`] is due at the latest.
    pub fn deadline(&self) -> Instant {
        let idle = self.active.after(self.limits.idle);
        let stalled = self.waiting.map(|since| since.after(self.limits.stalled));
        [self.connection.deadline(), stalled]
            .into_iter()
            .flatten()
            .fold(idle, Instant::min)
    }

    /// Applies the limits, after [`Link::transmit`].
    pub fn check(&mut self, now: Instant) -> Verdict {
        if self.connection.deadline().is_some_and(|at| at <= now) {
            self.connection.expire(now);
        }
        let idle = self.active.after(self.limits.idle) <= now;
        let stalled = self
            .waiting
            .is_some_and(|since| since.after(self.limits.stalled) <= now);
        match self.connection.phase() {
            Phase::Failed => Verdict::Abort,
            _ if stalled || idle => Verdict::Abort,
            Phase::Finished if self.connection.output(now).is_empty() => Verdict::Close,
            Phase::Finished | Phase::Open => Verdict::Keep,
        }
    }

    /// When a byte last went in either direction.
    pub fn active(&self) -> Instant {
        self.active
    }

    /// The limits.
    pub fn limits(&self) -> Limits {
        self.limits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    /// Answers a line of input with as many bytes and is done then.
    #[derive(Default)]
    struct Line {
        output: Vec<u8>,
        done: bool,
    }

    impl Connection for Line {
        fn receive(&mut self, bytes: &[u8], _: Instant) -> usize {
            self.output.extend_from_slice(bytes);
            self.done = bytes.ends_with(b"\n");
            bytes.len()
        }

        fn receive_end(&mut self, _: Instant) {
            self.done = true;
        }

        fn output(&mut self, _: Instant) -> &[u8] {
            &self.output
        }

        fn sent(&mut self, count: usize, _: Instant) {
            self.output.drain(..count);
        }

        fn deadline(&self) -> Option<Instant> {
            (!self.done).then_some(at(60))
        }

        fn expire(&mut self, _: Instant) {
            self.done = true;
        }

        fn phase(&self) -> Phase {
            match self.done {
                true => Phase::Finished,
                false => Phase::Open,
            }
        }
    }

    fn at(seconds: u64) -> Instant {
        Instant::from_nanoseconds(seconds * 1_000_000_000)
    }

    fn link() -> Link {
        Link::new(Box::new(Line::default()), Limits::NETWORK, at(0))
    }

    #[test]
    fn an_idle_peer_is_dropped() {
        let mut link = link();
        assert_eq!(link.receive(b"x", at(5)), 1);
        assert_eq!(link.transmit(at(5), |bytes| bytes.len()), 1);
        assert_eq!(link.deadline(), at(60));
        assert_eq!(link.check(at(9)), Verdict::Keep);
        assert_eq!(link.check(at(125)), Verdict::Abort);
    }

    #[test]
    fn a_peer_that_does_not_read_is_dropped() {
        let mut link = link();
        assert_eq!(link.receive(b"a long line\n", at(1)), 12);
        assert_eq!(link.transmit(at(2), |_| 3), 3);
        assert_eq!(link.transmit(at(3), |_| 0), 0);
        assert_eq!(link.deadline(), at(32));
        assert_eq!(link.check(at(31)), Verdict::Keep);
        assert_eq!(link.check(at(32)), Verdict::Abort);
    }

    #[test]
    fn the_connections_own_deadline_counts() {
        let mut link = link();
        assert_eq!(link.check(at(59)), Verdict::Keep);
        assert_eq!(link.check(at(60)), Verdict::Close);
    }

    #[test]
    fn a_finished_connection_closes_after_its_last_byte() {
        let mut link = link();
        link.receive(b"line\n", at(1));
        assert_eq!(link.transmit(at(2), |bytes| bytes.len() - 1).min(1), 1);
        assert_eq!(link.check(at(2)), Verdict::Keep);
        assert_eq!(link.transmit(at(3), |bytes| bytes.len()), 1);
        assert_eq!(link.check(at(3)), Verdict::Close);
    }
}
