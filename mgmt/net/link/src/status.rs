//! A status page by HTTP: answers GET and HEAD of `/` with a few lines of text, everything else with an error.
//!
//! This is what the partition serves by itself; the WBEM server takes its place as another [`Service`].

use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use mgmt_executor::Instant;

use crate::{Connection, Peer, Phase, Service};

/// Longest request head taken.
const MAX_HEAD: usize = 8 * 1024;
/// How long a client may take for a request head once it has begun.
const HEAD_TIME: Duration = Duration::from_secs(20);

/// Where the text comes from.
pub trait StatusPage {
    /// The text at this moment.
    fn text(&self, now: Instant) -> String;
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
    fn connect(&mut self, _: Peer, _: Instant) -> Box<dyn Connection> {
        Box::new(StatusConnection {
            page: self.0.clone(),
            head: Vec::new(),
            begun: None,
            output: Vec::new(),
            phase: Phase::Open,
        })
    }
}

struct StatusConnection<P> {
    page: Rc<P>,
    head: Vec<u8>,
    /// When the head's first byte came.
    begun: Option<Instant>,
    output: Vec<u8>,
    phase: Phase,
}

/// What follows a response.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    KeepAlive,
    Close,
}

impl<P: StatusPage> StatusConnection<P> {
    fn answer(&mut self, head: &[u8], now: Instant) {
        let Ok(head) = core::str::from_utf8(head) else {
            return self.respond("400 Bad Request", "", "", After::Close);
        };
        let mut lines = head.split("\r\n");
        let line = lines.next().unwrap_or_default();
        let mut words = line.split(' ');
        let (Some(method), Some(path), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return self.respond("400 Bad Request", "", "", After::Close);
        };
        let mut after = match version {
            "HTTP/1.1" => After::KeepAlive,
            "HTTP/1.0" => After::Close,
            _ => {
                return self.respond("505 HTTP Version Not Supported", "", "", After::Close);
            }
        };
        for header in lines {
            let (name, value) = header.split_once(':').unwrap_or((header, ""));
            let name = name.trim();
            if name.eq_ignore_ascii_case("connection") && value.trim().eq_ignore_ascii_case("close")
            {
                after = After::Close;
            }
            // A body is not read here, so what follows on the stream could not be told from it.
            let body = ["content-length", "transfer-encoding"];
            if body.iter().any(|body| name.eq_ignore_ascii_case(body)) {
                after = After::Close;
            }
        }
        match (method, path) {
            ("GET", "/") => {
                let text = self.page.text(now);
                self.respond("200 OK", "", &text, after);
            }
            ("HEAD", "/") => {
                let text = self.page.text(now);
                self.respond("200 OK", "", &text, after);
                let unsent = self.output.len().saturating_sub(text.len());
                self.output.truncate(unsent);
            }
            ("GET" | "HEAD", _) => self.respond("404 Not Found", "", "not found\n", after),
            ("POST" | "PUT" | "DELETE" | "OPTIONS" | "PATCH" | "TRACE" | "CONNECT", _) => self
                .respond(
                    "405 Method Not Allowed",
                    "Allow: GET, HEAD\r\n",
                    "",
                    After::Close,
                ),
            _ => self.respond("501 Not Implemented", "", "", After::Close),
        }
    }

    fn respond(&mut self, status: &str, headers: &str, text: &str, after: After) {
        let connection = match after {
            After::KeepAlive => "keep-alive",
            After::Close => "close",
        };
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
             Connection: {connection}\r\n{headers}\r\n",
            text.len()
        );
        self.output.extend_from_slice(head.as_bytes());
        self.output.extend_from_slice(text.as_bytes());
        if after == After::Close {
            self.phase = Phase::Finished;
        }
    }
}

impl<P: StatusPage> Connection for StatusConnection<P> {
    fn receive(&mut self, bytes: &[u8], now: Instant) -> usize {
        // One request at a time: a client that sends several without reading waits.
        if self.phase != Phase::Open || !self.output.is_empty() {
            return 0;
        }
        let room = MAX_HEAD.saturating_sub(self.head.len()).min(bytes.len());
        let before = self.head.len();
        self.head
            .extend_from_slice(bytes.get(..room).unwrap_or_default());
        self.begun.get_or_insert(now);
        let search = self
            .head
            .get(before.saturating_sub(3)..)
            .unwrap_or_default();
        let end = search.windows(4).position(|window| window == b"\r\n\r\n");
        match end {
            Some(end) => {
                let end = before.saturating_sub(3) + end;
                let head = core::mem::take(&mut self.head);
                self.begun = None;
                self.answer(head.get(..end).unwrap_or_default(), now);
                (end + 4).saturating_sub(before)
            }
            None if self.head.len() >= MAX_HEAD => {
                let status = "431 Request Header Fields Too Large";
                self.respond(status, "", "", After::Close);
                room
            }
            None => room,
        }
    }

    fn receive_end(&mut self, _: Instant) {
        self.phase = Phase::Finished;
    }

    fn output(&mut self, _: Instant) -> &[u8] {
        &self.output
    }

    fn sent(&mut self, count: usize) {
        self.output.drain(..count.min(self.output.len()));
    }

    fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Open => self.begun.map(|begun| begun.after(HEAD_TIME)),
            _ => None,
        }
    }

    fn expire(&mut self, _: Instant) {
        self.begun = None;
        self.respond("408 Request Timeout", "", "", After::Close);
    }

    fn phase(&self) -> Phase {
        self.phase
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Page;

    impl StatusPage for Page {
        fn text(&self, _: Instant) -> String {
            "name 1\n".into()
        }
    }

    fn talk(request: &str) -> (String, Phase) {
        let now = Instant::default();
        let mut connection = StatusService::new(Page).connect(Peer::Serial, now);
        // Byte by byte: the end of a head may be split anywhere.
        for byte in request.as_bytes() {
            connection.receive(&[*byte], now);
        }
        let output = String::from_utf8(connection.output(now).to_vec()).unwrap();
        (output, connection.phase())
    }

    #[test]
    fn the_page_is_served() {
        let (answer, phase) = talk("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"));
        assert!(answer.ends_with("\r\n\r\nname 1\n"));
        assert_eq!(phase, Phase::Open);
        let (answer, phase) = talk("HEAD / HTTP/1.0\r\n\r\n");
        assert!(answer.contains("Content-Length: 7\r\n") && answer.ends_with("\r\n\r\n"));
        assert_eq!(phase, Phase::Finished);
    }

    #[test]
    fn what_is_not_there_is_an_error() {
        let status = |request: &str| talk(request).0.get(9..12).map(String::from);
        assert_eq!(status("GET /x HTTP/1.1\r\n\r\n").unwrap(), "404");
        assert_eq!(status("POST / HTTP/1.1\r\n\r\n").unwrap(), "405");
        assert_eq!(status("M-POST /cimom HTTP/1.1\r\n\r\n").unwrap(), "501");
        assert_eq!(status("GET / HTTP/2.0\r\n\r\n").unwrap(), "505");
        assert_eq!(status("rubbish\r\n\r\n").unwrap(), "400");
        let long = format!("GET / HTTP/1.1\r\nX: {}", "y".repeat(MAX_HEAD));
        assert_eq!(status(&long).unwrap(), "431");
    }

    #[test]
    fn pipelined_requests_wait_for_the_first_answer() {
        let now = Instant::default();
        let mut connection = StatusService::new(Page).connect(Peer::Serial, now);
        let one = b"GET / HTTP/1.1\r\n\r\n";
        let two = [one.as_slice(), one].concat();
        assert_eq!(connection.receive(&two, now), one.len());
        assert_eq!(connection.receive(one, now), 0);
        let length = connection.output(now).len();
        connection.sent(length);
        assert_eq!(connection.receive(one, now), one.len());
    }

    #[test]
    fn a_slow_head_times_out() {
        let now = Instant::default();
        let mut connection = StatusService::new(Page).connect(Peer::Serial, now);
        assert_eq!(connection.deadline(), None);
        connection.receive(b"GET", now);
        let deadline = connection.deadline().unwrap();
        assert_eq!(deadline, now.after(HEAD_TIME));
        connection.expire(deadline);
        assert!(connection.output(deadline).starts_with(b"HTTP/1.1 408"));
        assert_eq!(connection.phase(), Phase::Finished);
    }
}
