//! A serial channel: one client after the other at the far end of a port, each with a stream of its own.
//!
//! Called by the partition's serial task. The port's end opens and closes, and cannot be shut from here:
//!
//! - Opening begins a stream; closing ends it, and what was still to be sent or read for it is dropped.
//! - A connection that ends in order is followed by a new one on the same opening. Bytes are skipped until a request
//!   begins: the client may still be sending the body of the one that was refused.
//! - A connection that ends in the middle of an answer leaves a stream of which nobody can make sense: it is silent until
//!   the port is opened again.
//!
//! A port tells of closing and opening on one queue and hands over bytes on another, so that their order is lost where
//! both ends of a closing are seen at once. Each piece of bytes comes from one client, though, and a client begins with a
//! request: of what was waiting at such a change, the new client's part starts where a request last begins. That may
//! still be the old client's, which went without waiting for its answer; so the new client has a moment to send its own.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use mgmt_executor::Instant;

use crate::{Limits, Link, Peer, Service, Verdict};

/// What is read ahead of a connection that does not take it.
const MAX_BACKLOG: usize = 64 * 1024;
/// How long a client that came unnoticed has to send its request.
const MOMENT: Duration = Duration::from_millis(30);

/// What happened at a port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PortNews {
    /// A client has come.
    Opened,
    /// It has gone.
    Closed,
    /// Bytes from it.
    Data(Vec<u8>),
}

/// The near end of a port.
pub trait Port {
    /// Why the port is of no use any more.
    type Error;

    /// What happened next: openings and closings before bytes. All bytes of a client are there before its closing is
    /// seen, and none before its opening is.
    ///
    /// # Errors
    /// The port is of no use any more.
    fn poll(&mut self) -> Result<Option<PortNews>, Self::Error>;

    /// Sends bytes; returns how many were taken. None are while there are openings and closings to be polled.
    ///
    /// # Errors
    /// The port is of no use any more.
    fn send(&mut self, bytes: &[u8]) -> Result<usize, Self::Error>;
}

/// Which of the incoming bytes are the client's.
enum Intake {
    /// All.
    All,
    /// Those from the next piece on with which a request begins.
    FromRequest,
    /// These, which were there when the client came; unless it sends a request of its own before this instant.
    Held(Vec<u8>, Instant),
}

/// The channel over a port.
pub struct Channel {
    service: Box<dyn Service>,
    link: Option<Link>,
    intake: Intake,
    backlog: Vec<u8>,
}

impl Channel {
    /// A channel that serves `service`. Its port is closed.
    pub fn new(service: Box<dyn Service>) -> Self {
        Channel {
            service,
            link: None,
            intake: Intake::All,
            backlog: Vec::new(),
        }
    }

    /// Does everything that can be done now. Afterwards the port's interrupts say when there is more, and
    /// [`Channel::deadline`].
    ///
    /// # Errors
    /// The port is of no use any more.
    pub fn advance<P: Port>(&mut self, port: &mut P, now: Instant) -> Result<(), P::Error> {
        loop {
            self.listen(port, now)?;
            let Some(link) = &mut self.link else {
                return Ok(());
            };
            let taken = match self.backlog.is_empty() {
                true => 0,
                false => link.receive(&self.backlog, now),
            };
            self.backlog.drain(..taken);
            let mut failed = None;
            let sent = link.transmit(now, |bytes| {
                port.send(bytes).unwrap_or_else(|error| {
                    failed = Some(error);
                    0
                })
            });
            if let Some(error) = failed {
                return Err(error);
            }
            match link.check(now) {
                Verdict::Keep if taken + sent == 0 => return Ok(()),
                Verdict::Keep => {}
                Verdict::Close => {
                    self.backlog.clear();
                    self.intake = Intake::FromRequest;
                    self.connect(now);
                }
                Verdict::Abort => {
                    // Without a connection, bytes are dropped.
                    self.link = None;
                }
            }
        }
    }

    fn connect(&mut self, now: Instant) {
        let connection = self.service.connect(Peer::Serial, now);
        self.link = Some(Link::new(connection, Limits::SERIAL, now));
    }

    /// Takes the port's news.
    fn listen<P: Port>(&mut self, port: &mut P, now: Instant) -> Result<(), P::Error> {
        let mut gone = false;
        // From the last beginning of a request on: what may be the client's that came unnoticed.
        let mut doubtful: Vec<u8> = Vec::new();
        // The old client has not sent more than the port holds at a time, which is no more than this.
        while self.backlog.len().max(doubtful.len()) < MAX_BACKLOG {
            match port.poll()? {
                None => break,
                Some(PortNews::Closed) => {
                    gone = true;
                    self.link = None;
                    self.intake = Intake::All;
                    self.backlog.clear();
                }
                Some(PortNews::Opened) => {
                    self.intake = Intake::All;
                    self.connect(now);
                }
                Some(PortNews::Data(mut piece)) if gone => {
                    if begins_request(&piece) {
                        doubtful.clear();
                    } else if doubtful.is_empty() {
                        continue;
                    }
                    doubtful.append(&mut piece);
                }
                Some(PortNews::Data(piece)) => self.take(piece),
            }
        }
        if self.link.is_none() {
            // Nobody had come when the last of these bytes were there.
            self.backlog.clear();
            return Ok(());
        }
        if !doubtful.is_empty() {
            self.intake = Intake::Held(doubtful, now.after(MOMENT));
        }
        if let Intake::Held(held, until) = &mut self.intake
            && *until <= now
        {
            self.backlog.append(held);
            self.intake = Intake::All;
        }
        Ok(())
    }

    fn take(&mut self, mut piece: Vec<u8>) {
        let begins = begins_request(&piece);
        match &mut self.intake {
            Intake::FromRequest if !begins => return,
            Intake::Held(held, _) if !begins => self.backlog.append(held),
            Intake::Held(..) | Intake::FromRequest | Intake::All => {}
        }
        self.intake = Intake::All;
        self.backlog.append(&mut piece);
    }

    /// When [`Channel::advance`] is due whatever the port does.
    pub fn deadline(&self) -> Option<Instant> {
        let link = self.link.as_ref().map(Link::deadline);
        let held = match &self.intake {
            Intake::Held(_, until) => Some(*until),
            _ => None,
        };
        [link, held].into_iter().flatten().min()
    }
}

/// Whether a piece looks like the start of a request: a method and a target. Short pieces get the benefit of the doubt.
fn begins_request(piece: &[u8]) -> bool {
    let is_method = |byte: &u8| byte.is_ascii_uppercase() || *byte == b'-';
    let method = piece.iter().take_while(|byte| is_method(byte)).count();
    let mut rest = piece.iter().skip(method);
    (1..=16).contains(&method)
        && rest.next().is_none_or(|byte| *byte == b' ')
        && rest.next().is_none_or(|byte| b"/*h".contains(byte))
}

#[cfg(test)]
mod tests;
