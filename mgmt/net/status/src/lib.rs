//! A status page by HTTP: answers GET and HEAD of `/` with a few lines of text, everything else with an error.
//!
//! This is what the partition serves where it has no WBEM server: a [`Service`] like that one.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use cim_http::{Event, Framing, Limits, Millis, RequestHead, ResponseHead, ServerConnection};
use mgmt_executor::Instant;
use mgmt_link::{Connection, Peer, Phase, Service};

/// Output that may wait before no further request is looked at.
const MAX_OUTPUT: usize = 16 * 1024;

/// Where the text comes from.
pub trait StatusPage {
    /// The text at this moment.
    fn text(&self, now: Instant) -> String;
}

impl StatusPage for String {
    fn text(&self, _: Instant) -> String {
        self.clone()
    }
}

/// Serves a status page.
pub struct StatusService<P>(Rc<P>);

impl<P: StatusPage> StatusService<P> {
    /// Serves this page.
    pub fn new(page: P) -> Self {
        StatusService(Rc::new(page))
    }
}

impl<P: StatusPage + 'static> Service for StatusService<P> {
    fn connect(&mut self, peer: Peer, now: Instant) -> Box<dyn Connection> {
        let limits = Limits {
            body: 64 * 1024,
            methods: &["GET", "HEAD"],
            idle_time: match peer {
                Peer::Network(_) => Limits::default().idle_time,
                // Its one client may hold the channel open for as long as it likes.
                Peer::Serial => Millis(u64::MAX),
            },
            ..Limits::default()
        };
        Box::new(StatusConnection {
            page: self.0.clone(),
            http: ServerConnection::new(limits, millis(now)),
            request: None,
            output: Vec::new(),
        })
    }
}

fn millis(now: Instant) -> Millis {
    Millis(now.microseconds() / 1000)
}

struct StatusConnection<P> {
    page: Rc<P>,
    http: ServerConnection,
    /// The head of the request whose end has not come.
    request: Option<RequestHead>,
    output: Vec<u8>,
}

impl<P: StatusPage> StatusConnection<P> {
    /// Answers what has come completely.
    fn advance(&mut self, now: Instant) {
        while self.output.len() < MAX_OUTPUT {
            match self.http.poll() {
                None => break,
                Some(Event::Head(head)) => {
                    if head.expects_continue() {
                        self.http.send_continue(&mut self.output);
                    }
                    self.request = Some(head);
                }
                Some(Event::Body(_)) => {}
                Some(Event::End(_)) => self.answer(now),
                Some(Event::Refused(refusal)) => self.http.refuse(&mut self.output, &refusal),
            }
        }
    }

    fn answer(&mut self, now: Instant) {
        let path = self.request.take();
        let (status, text) = match path.as_ref().map(RequestHead::path) {
            Some("/") => (200, self.page.text(now)),
            _ => (404, "there is nothing here but /\n".into()),
        };
        let head = ResponseHead::new(status).with("Content-Type", "text/plain; charset=utf-8");
        let length = Framing::Length(text.len() as u64);
        self.http.start_response(&mut self.output, &head, length);
        self.http.body(&mut self.output, text.as_bytes());
        self.http.finish(&mut self.output, &[]);
    }
}

impl<P: StatusPage> Connection for StatusConnection<P> {
    fn receive(&mut self, bytes: &[u8], now: Instant) -> usize {
        let taken = self.http.push(bytes, millis(now));
        self.advance(now);
        taken
    }

    fn receive_end(&mut self, now: Instant) {
        self.http.push_end();
        self.advance(now);
    }

    fn output(&mut self, now: Instant) -> &[u8] {
        self.advance(now);
        &self.output
    }

    fn sent(&mut self, count: usize, now: Instant) {
        self.output.drain(..count.min(self.output.len()));
        if self.output.is_empty() {
            self.http.sent(millis(now));
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let deadline = self.http.deadline()?;
        Some(Instant::default().after(Duration::from_millis(deadline.0)))
    }

    fn expire(&mut self, now: Instant) {
        self.http.check_time(millis(now));
        self.advance(now);
    }

    fn phase(&self) -> Phase {
        match self.http.wants_close() {
            true => Phase::Finished,
            false => Phase::Open,
        }
    }
}

#[cfg(test)]
mod tests;
