use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use super::*;
use crate::{Connection, Phase};

/// Answers each line with itself and the connection's number. A line that ends in `!` ends the connection in order, one
/// that ends in `?` breaks it.
struct Line {
    number: u32,
    input: Vec<u8>,
    output: Vec<u8>,
    phase: Phase,
}

impl Connection for Line {
    fn receive(&mut self, bytes: &[u8], _: Instant) -> usize {
        for (count, byte) in bytes.iter().enumerate() {
            if self.phase != Phase::Open {
                return count;
            }
            if *byte != b'\n' {
                self.input.push(*byte);
                continue;
            }
            let line = String::from_utf8(core::mem::take(&mut self.input)).unwrap();
            self.phase = match line.chars().last() {
                Some('!') => Phase::Finished,
                Some('?') => Phase::Failed,
                _ => Phase::Open,
            };
            self.output
                .extend(format!("{}:{line}\n", self.number).as_bytes());
        }
        bytes.len()
    }

    fn receive_end(&mut self, _: Instant) {}

    fn output(&mut self, _: Instant) -> &[u8] {
        &self.output
    }

    fn sent(&mut self, count: usize, _: Instant) {
        self.output.drain(..count);
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn expire(&mut self, _: Instant) {}

    fn phase(&self) -> Phase {
        self.phase
    }
}

#[derive(Default)]
struct Lines(u32);

impl Service for Lines {
    fn connect(&mut self, peer: Peer, _: Instant) -> Box<dyn Connection> {
        assert_eq!(peer, Peer::Serial);
        self.0 += 1;
        Box::new(Line {
            number: self.0,
            input: Vec::new(),
            output: Vec::new(),
            phase: Phase::Open,
        })
    }
}

/// A port with room for so many bytes.
struct FakePort {
    news: Rc<RefCell<VecDeque<PortNews>>>,
    sent: Vec<u8>,
    room: usize,
}

impl Port for FakePort {
    type Error = ();

    fn poll(&mut self) -> Result<Option<PortNews>, ()> {
        Ok(self.news.borrow_mut().pop_front())
    }

    fn send(&mut self, bytes: &[u8]) -> Result<usize, ()> {
        let is_data = |news: &PortNews| matches!(news, PortNews::Data(_));
        if !self.news.borrow().iter().all(is_data) {
            return Ok(0);
        }
        let count = bytes.len().min(self.room);
        self.room -= count;
        self.sent.extend(&bytes[..count]);
        Ok(count)
    }
}

struct Lab {
    channel: Channel,
    port: FakePort,
    now: Instant,
}

use PortNews::{Closed, Opened};

fn data(text: &str) -> PortNews {
    PortNews::Data(text.into())
}

impl Lab {
    fn new() -> Self {
        Lab {
            channel: Channel::new(Box::new(Lines::default())),
            port: FakePort {
                news: Rc::default(),
                sent: Vec::new(),
                room: usize::MAX,
            },
            now: Instant::from_nanoseconds(1),
        }
    }

    /// What is sent where all this is seen at once.
    fn see(&mut self, news: impl IntoIterator<Item = PortNews>) -> String {
        self.port.news.borrow_mut().extend(news);
        self.channel.advance(&mut self.port, self.now).unwrap();
        String::from_utf8(core::mem::take(&mut self.port.sent)).unwrap()
    }

    /// What is sent later, when the channel asks to be looked at.
    fn later(&mut self) -> String {
        let deadline = self.channel.deadline().unwrap();
        assert!(deadline <= self.now.after(MOMENT));
        self.now = deadline;
        self.see([])
    }
}

#[test]
fn a_client_is_answered_and_the_next_one_too() {
    let mut lab = Lab::new();
    assert_eq!(lab.see([Opened, data("GET /a\n")]), "1:GET /a\n");
    assert_eq!(lab.see([data("GET"), data(" /b\n")]), "1:GET /b\n");
    assert_eq!(lab.see([Closed]), "");
    assert_eq!(lab.see([Opened]), "");
    assert_eq!(lab.see([data("ge"), data("t /c\n")]), "2:get /c\n");
    assert_eq!(
        lab.channel.deadline(),
        Some(Instant::from_nanoseconds(u64::MAX))
    );
}

#[test]
fn the_rest_of_an_answer_is_not_for_the_next_client() {
    let mut lab = Lab::new();
    lab.port.room = 3;
    assert_eq!(lab.see([Opened, data("GET /long\n")]), "1:G");
    lab.port.room = usize::MAX;
    assert_eq!(lab.see([Closed, Opened]), "");
    assert_eq!(lab.see([data("GET /x\n")]), "2:GET /x\n");
}

#[test]
fn half_a_request_is_not_for_the_next_client() {
    let mut lab = Lab::new();
    lab.see([Opened, data("POST /a with no")]);
    assert_eq!(lab.see([Closed, data(" end")]), "");
    assert_eq!(lab.see([Opened, data("GET /b\n")]), "2:GET /b\n");
}

#[test]
fn half_a_request_is_not_for_the_next_client_seen_late() {
    let mut lab = Lab::new();
    lab.see([Opened, data("POST /a with")]);
    let late = [Closed, Opened, data(" no"), data(" end"), data("GET /b")];
    assert_eq!(lab.see(late), "");
    assert_eq!(lab.see([data(" and c\n")]), "2:GET /b and c\n");
    // The same, and the new client's first bytes come later still.
    lab.see([data("POST /a with")]);
    assert_eq!(lab.see([Closed, Opened, data(" no end")]), "");
    assert_eq!(lab.see([data("GET /c\n")]), "3:GET /c\n");
}

#[test]
fn a_whole_request_of_a_client_that_has_gone_is_not_answered_to_the_next() {
    let mut lab = Lab::new();
    lab.see([Opened]);
    let late = [Closed, Opened, data("GET /old\n")];
    assert_eq!(lab.see(late), "");
    assert_eq!(lab.see([data("GET /new\n")]), "2:GET /new\n");
    assert_eq!(
        lab.see([Closed, Opened, data("GET /old\n"), data("GET /new\n")]),
        ""
    );
    assert_eq!(lab.later(), "3:GET /new\n");
}

#[test]
fn the_request_of_a_client_that_came_unnoticed_is_answered_after_a_moment() {
    let mut lab = Lab::new();
    lab.see([Opened]);
    let late = [Closed, Opened, data("POST /a "), data("with body\n")];
    assert_eq!(lab.see(late), "");
    assert_eq!(lab.later(), "2:POST /a with body\n");
    assert_eq!(lab.see([data("more\n")]), "2:more\n");
}

#[test]
fn a_client_that_goes_while_its_bytes_are_held_leaves_nothing() {
    let mut lab = Lab::new();
    lab.see([Opened]);
    assert_eq!(lab.see([Closed, Opened, data("GET /a\n")]), "");
    assert_eq!(lab.see([Closed]), "");
    assert_eq!(lab.see([Opened]), "");
    assert_eq!(lab.see([data("x\n")]), "3:x\n");
}

#[test]
fn bytes_without_a_client_are_dropped() {
    let mut lab = Lab::new();
    assert_eq!(lab.see([data("GET /a\n")]), "");
    assert_eq!(lab.see([Opened, data("b\n")]), "1:b\n");
}

#[test]
fn a_connection_that_ends_is_followed_by_one_that_begins_with_a_request() {
    let mut lab = Lab::new();
    let refused = [Opened, data("POST /a!\n"), data("the body\n")];
    assert_eq!(lab.see(refused), "1:POST /a!\n");
    assert_eq!(lab.see([data("and more of it\n")]), "");
    assert_eq!(lab.see([data("G"), data("ET /b\n")]), "2:GET /b\n");
}

#[test]
fn a_broken_stream_is_silent_until_the_port_is_opened_again() {
    let mut lab = Lab::new();
    lab.see([Opened, data("GET /a?\n")]);
    assert_eq!(lab.see([data("GET /b\n")]), "");
    assert_eq!(lab.see([Closed]), "");
    assert_eq!(lab.see([Opened, data("GET /c\n")]), "2:GET /c\n");
}

#[test]
fn what_looks_like_a_request() {
    for text in [
        "GET / HTTP/1.1",
        "M-POST * x",
        "P",
        "POST",
        "HEAD ",
        "GET http://h/",
    ] {
        assert!(begins_request(text.as_bytes()), "{text}");
    }
    for text in [
        "",
        "<CIM>",
        "get / HTTP/1.1",
        " /",
        "ABC DEF",
        "GET:",
        "ABCDEFGHIJKLMNOPQ /",
    ] {
        assert!(!begins_request(text.as_bytes()), "{text}");
    }
}
