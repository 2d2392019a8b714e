//! The clients' side of the bridge: an HTTP connection each.

use super::machine::{Failure, Listener, Machine};
use cim_http::{
    ClientEvent, ClientRequest, Event, Framing, Limits, Millis, Refusal, RequestHead, ResponseHead,
    ServerConnection,
};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often a silent client's time is looked at.
const TICK: Duration = Duration::from_secs(1);
/// How long a client may read nothing of its answer.
const SLOW: Duration = Duration::from_secs(30);
/// Bytes of an answer that are kept for a client, so that a slow one does not hold the others up.
const KEPT: usize = 4 << 20;
/// How long a client has to see the end of its connection.
const FAREWELL: Duration = Duration::from_millis(500);

/// Fields that belong to a connection, not to the message; the host is named by itself.
const OF_THE_CONNECTION: [&str; 9] = [
    "Connection",
    "Content-Length",
    "Expect",
    "Host",
    "Keep-Alive",
    "Proxy-Connection",
    "TE",
    "Trailer",
    "Transfer-Encoding",
];

/// What the HTTP connection has for us.
enum Step {
    Wait,
    Head(RequestHead),
    Body,
    End,
    Refused(Refusal),
}

/// A client.
pub struct Client {
    stream: TcpStream,
    http: ServerConnection,
    started: Instant,
    head: Option<RequestHead>,
    body: Vec<u8>,
    /// What is to be written.
    out: Vec<u8>,
}

impl Client {
    /// A client that has just connected.
    pub fn new(stream: TcpStream) -> Self {
        let limits = Limits {
            // The server answers GET, HEAD and OPTIONS as well.
            methods: &["POST", "M-POST", "GET", "HEAD", "OPTIONS"],
            ..Limits::default()
        };
        Self {
            stream,
            http: ServerConnection::new(limits, Millis(0)),
            started: Instant::now(),
            head: None,
            body: Vec::new(),
            out: Vec::new(),
        }
    }

    /// Serves the client until it goes.
    ///
    /// # Errors
    /// The machine has failed to answer; the client was told.
    pub fn serve(mut self, machine: &Mutex<Machine>) -> Result<(), Failure> {
        // A stream that does not even take its options ends at the first read.
        let _ = self.stream.set_nodelay(true);
        let _ = self.stream.set_read_timeout(Some(TICK));
        let _ = self.stream.set_write_timeout(Some(SLOW));
        let mut buffer = [0; 16 * 1024];
        loop {
            self.work(machine)?;
            if self.flush() == Listener::Gone {
                return Ok(());
            }
            if self.http.wants_close() {
                self.part();
                return Ok(());
            }
            let now = self.now();
            match self.stream.read(&mut buffer) {
                Ok(0) => self.http.push_end(),
                Ok(count) => {
                    let mut rest = buffer.get(..count).unwrap_or_default();
                    while !rest.is_empty() {
                        let taken = self.http.push(rest, now);
                        rest = rest.get(taken..).unwrap_or_default();
                        self.work(machine)?;
                        if taken == 0 && self.http.wants_close() {
                            break;
                        }
                    }
                }
                Err(error) if is_pause(error.kind()) => self.http.check_time(now),
                Err(_) => return Ok(()),
            }
        }
    }

    fn now(&self) -> Millis {
        Millis(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn work(&mut self, machine: &Mutex<Machine>) -> Result<(), Failure> {
        loop {
            let step = match self.http.poll() {
                None => Step::Wait,
                Some(Event::Head(head)) => Step::Head(head),
                Some(Event::Body(bytes)) => {
                    self.body.extend_from_slice(bytes);
                    Step::Body
                }
                Some(Event::End(_)) => Step::End,
                Some(Event::Refused(refusal)) => Step::Refused(refusal),
            };
            match step {
                Step::Wait => return Ok(()),
                Step::Head(head) => {
                    self.head = Some(head);
                    self.body.clear();
                    self.http.send_continue(&mut self.out);
                    self.flush();
                }
                Step::Body => {}
                Step::End => self.pass_on(machine)?,
                Step::Refused(refusal) => self.http.refuse(&mut self.out, &refusal),
            }
        }
    }

    /// Has a complete request answered.
    fn pass_on(&mut self, machine: &Mutex<Machine>) -> Result<(), Failure> {
        let Some(head) = self.head.take() else {
            return Ok(());
        };
        let request = request(&head, &std::mem::take(&mut self.body));
        let mut listener = Listener::There;
        let mut begun = false;
        let answered =
            machine
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .ask(&request, |event| {
                    match event {
                        ClientEvent::Head { status, headers } => {
                            begun = true;
                            self.begin(status, &headers);
                        }
                        ClientEvent::Body(bytes) => self.http.body(&mut self.out, bytes),
                        ClientEvent::End(trailers) => {
                            let trailers: Vec<_> = trailers.iter().collect();
                            self.http.finish(&mut self.out, &trailers);
                        }
                    }
                    if listener == Listener::There && self.out.len() > KEPT {
                        listener = self.flush();
                    }
                    if listener == Listener::Gone {
                        self.out.clear();
                    }
                    listener
                });
        if listener == Listener::Gone {
            self.http.abort();
        } else if let Err(failure) = &answered {
            match begun {
                true => self.http.abort(),
                false => self.apologise(failure),
            }
        }
        self.flush();
        let now = self.now();
        self.http.sent(now);
        answered
    }

    fn begin(&mut self, status: u16, headers: &cim_http::Headers) {
        let mut head = ResponseHead::new(status);
        for (name, value) in headers.iter().filter(|(name, _)| !is_hop(name)) {
            head = head.with(name.to_owned(), value.to_owned());
        }
        let length = headers
            .get("Content-Length")
            .and_then(|text| text.parse().ok());
        let trailers = headers.get("Trailer").unwrap_or_default();
        let trailers: Vec<_> = trailers.split(',').map(str::trim).collect();
        let framing = match length {
            Some(length) => Framing::Length(length),
            None => Framing::Streamed {
                trailers: &trailers,
            },
        };
        self.http.start_response(&mut self.out, &head, framing);
    }

    fn apologise(&mut self, failure: &Failure) {
        let text = match failure {
            Failure::Gone(_) => "The machine behind the bridge has ended.\n".to_owned(),
            Failure::Broken(reason) => format!("The bridge got no answer: {reason}.\n"),
        };
        let head = ResponseHead::new(502).with("Content-Type", "text/plain; charset=utf-8");
        let framing = Framing::Length(text.len() as u64);
        self.http.start_response(&mut self.out, &head, framing);
        self.http.body(&mut self.out, text.as_bytes());
        self.http.finish(&mut self.out, &[]);
    }

    /// Writes what there is to write.
    fn flush(&mut self) -> Listener {
        let written = self.stream.write_all(&self.out);
        self.out.clear();
        match written {
            Ok(()) => Listener::There,
            Err(_) => Listener::Gone,
        }
    }

    /// Ends the connection so that the client can read its last answer although it may still be sending.
    fn part(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
        let _ = self.stream.set_read_timeout(Some(FAREWELL));
        let end = Instant::now() + FAREWELL;
        let mut buffer = [0; 16 * 1024];
        while Instant::now() < end && matches!(self.stream.read(&mut buffer), Ok(1..)) {}
    }
}

/// The request as the machine gets it: the same message on a connection of its own.
fn request(head: &RequestHead, body: &[u8]) -> Vec<u8> {
    // The answer's body is left out on the way back; the machine's is what the stream's framing expects.
    let method = match &*head.method {
        "HEAD" => "GET",
        method => method,
    };
    let host = head.headers.get("Host").unwrap_or("localhost".into());
    let mut request = ClientRequest::new(method, &head.target, &host);
    for (name, value) in head.headers.iter().filter(|(name, _)| !is_hop(name)) {
        request = request.with(name, value);
    }
    let mut bytes = Vec::new();
    request.write(&mut bytes, body);
    bytes
}

fn is_hop(name: &str) -> bool {
    let is_name = |known: &&str| known.eq_ignore_ascii_case(name);
    OF_THE_CONNECTION.iter().any(is_name)
}

fn is_pause(kind: ErrorKind) -> bool {
    use ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(kind, Interrupted | TimedOut | WouldBlock)
}
