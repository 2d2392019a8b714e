//! The server side of a connection.

use crate::chunked::{ChunkedBody, Step};
use crate::headers::Headers;
use crate::limits::{Limits, Millis};
use crate::refusal::Refusal;
use crate::request::{BodyLength, HttpVersion, RequestHead, head_length, parse_head};
use crate::response::{Framing, ResponseHead, write_chunk, write_field, write_number_field};
use alloc::vec::Vec;

/// Bytes buffered beyond a head: what pipelined requests and body pieces may occupy.
const READ_AHEAD: usize = 16 * 1024;

/// What came from the client.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// The head of a request. If it expects a continue, call [`ServerConnection::send_continue`] or answer.
    Head(RequestHead),
    /// A piece of the body.
    Body(&'a [u8]),
    /// The request is complete; the trailer fields of a chunked body.
    End(Headers),
    /// The request is malformed or too large or too slow: answer with [`ServerConnection::refuse`].
    Refused(Refusal),
}

/// The state machine of one connection.
#[derive(Debug)]
pub struct ServerConnection {
    limits: Limits,
    buffer: Vec<u8>,
    /// Bytes at the start of the buffer that were handed out.
    start: usize,
    /// Bytes after `start` that hold no end of head.
    searched: usize,
    receive: Receive,
    respond: Respond,
    /// The current request came with HTTP/1.0.
    version: HttpVersion,
    is_head: bool,
    keep_alive: bool,
    continue_due: bool,
    requests: u32,
    /// Bytes that the body of the current request may have.
    body_limit: u64,
    /// Time that it may take.
    body_time: Millis,
    /// When the current phase of receiving began.
    phase_start: Millis,
    /// When the last bytes came.
    last_bytes: Millis,
}

#[derive(Debug)]
enum Receive {
    /// Between requests, or inside a head.
    Head,
    /// The body has so many bytes left.
    Body(u64),
    Chunked(ChunkedBody),
    /// The request is complete.
    Done,
    /// A refusal waits to be told.
    Failed(Refusal),
    /// The refusal was told and waits to be answered.
    Refused,
    /// Nothing more is read.
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Respond {
    /// No answer has begun.
    Due,
    /// A body of known length has so many bytes left.
    Length(u64),
    Chunked,
    UntilClose,
    /// The answer has no body, or is a refusal.
    NoBody,
    Done,
}

impl ServerConnection {
    /// A new connection.
    pub fn new(limits: Limits, now: Millis) -> Self {
        ServerConnection {
            limits,
            buffer: Vec::new(),
            start: 0,
            searched: 0,
            receive: Receive::Head,
            respond: Respond::Due,
            version: HttpVersion::Http11,
            is_head: false,
            keep_alive: true,
            continue_due: false,
            requests: 0,
            body_limit: limits.body,
            body_time: limits.body_time,
            phase_start: now,
            last_bytes: now,
        }
    }

    /// Takes bytes from the client and returns how many were taken. The rest must be offered again after
    /// events have been polled or the answer is finished; until then do not read from the socket.
    pub fn push(&mut self, bytes: &[u8], now: Millis) -> usize {
        if bytes.is_empty() {
            return 0;
        }
        if matches!(self.receive, Receive::Refused | Receive::Closed) {
            // Nobody will look at them.
            return bytes.len();
        }
        self.buffer.drain(..self.start.min(self.buffer.len()));
        self.start = 0;
        if self.buffer.is_empty() && matches!(self.receive, Receive::Head) {
            self.phase_start = now;
        }
        self.last_bytes = now;
        let room = (self.limits.head + READ_AHEAD).saturating_sub(self.buffer.len());
        let taken = bytes.get(..room).unwrap_or(bytes);
        self.buffer.extend_from_slice(taken);
        taken.len()
    }

    /// The client will send nothing more. An incomplete request is dropped; the answer to a complete one can
    /// still be sent.
    pub fn push_end(&mut self) {
        self.keep_alive = false;
        if !matches!(self.receive, Receive::Done | Receive::Refused) {
            self.receive = Receive::Closed;
        }
    }

    /// The next event, if the bytes so far hold one.
    pub fn poll(&mut self) -> Option<Event<'_>> {
        self.poll_at_most(usize::MAX)
    }

    /// The same for one who can take only so many bytes of a body now. What he cannot take stays in the bounded buffer,
    /// so that [`ServerConnection::push`] soon takes no more either, and the client has to wait.
    pub fn poll_at_most(&mut self, room: usize) -> Option<Event<'_>> {
        loop {
            match &mut self.receive {
                Receive::Done | Receive::Refused | Receive::Closed => return None,
                Receive::Failed(refusal) => {
                    let refusal = *refusal;
                    if matches!(self.respond, Respond::Due) {
                        self.receive = Receive::Refused;
                        return Some(Event::Refused(refusal));
                    }
                    // The answer is already under way; all that is left is to close after it.
                    self.receive = Receive::Closed;
                    self.keep_alive = false;
                    return None;
                }
                Receive::Head => match self.poll_head()? {
                    Ok(head) => return Some(Event::Head(head)),
                    Err(refusal) => self.fail(refusal),
                },
                Receive::Body(left) => {
                    let left = *left;
                    if left == 0 {
                        self.receive = Receive::Done;
                        return self.end_of_request(Headers::default());
                    }
                    let available = self.buffer.len().saturating_sub(self.start);
                    let count = usize::try_from(left)
                        .unwrap_or(usize::MAX)
                        .min(available)
                        .min(room);
                    if count == 0 {
                        return None;
                    }
                    self.receive = Receive::Body(left - count as u64);
                    if let Some(range) = self.take(count) {
                        return self.buffer.get(range).map(Event::Body);
                    }
                }
                Receive::Chunked(body) => {
                    let input = self.buffer.get(self.start..).unwrap_or_default();
                    match body.step(
                        input,
                        &Limits {
                            body: self.body_limit,
                            ..self.limits
                        },
                        room,
                    ) {
                        Ok(Step::Wait) => return None,
                        Ok(Step::Skip(count)) => self.start += count,
                        Ok(Step::Data(count)) => {
                            if let Some(range) = self.take(count) {
                                return self.buffer.get(range).map(Event::Body);
                            }
                        }
                        Ok(Step::End(count, trailers)) => {
                            self.start += count;
                            self.receive = Receive::Done;
                            return self.end_of_request(trailers);
                        }
                        Err(refusal) => self.fail(refusal),
                    }
                }
            }
        }
    }

    /// Consumes body bytes; `None` when an early answer has made them worthless.
    fn take(&mut self, count: usize) -> Option<core::ops::Range<usize>> {
        let range = self.start..self.start + count;
        self.start += count;
        matches!(self.respond, Respond::Due).then_some(range)
    }

    fn end_of_request(&mut self, trailers: Headers) -> Option<Event<'_>> {
        if self.respond == Respond::Done {
            // The early answer is out and the rest of the body is drained.
            self.next_request();
            return self.poll();
        }
        matches!(self.respond, Respond::Due).then_some(Event::End(trailers))
    }

    fn fail(&mut self, refusal: Refusal) {
        self.receive = Receive::Failed(refusal);
    }

    /// A parsed head, a refusal, or `None` when more bytes are needed.
    fn poll_head(&mut self) -> Option<Result<RequestHead, Refusal>> {
        let input = self.buffer.get(self.start..).unwrap_or_default();
        let line_limit = self.limits.request_line;
        let Some(length) = head_length(input, self.searched) else {
            self.searched = input.len();
            let line_ended = input.iter().take(line_limit + 1).any(|byte| *byte == b'\n');
            return if !line_ended && input.len() > line_limit {
                Some(Err(Refusal::new(414, "the request line is too long")))
            } else if input.len() > self.limits.head {
                Some(Err(Refusal::new(431, "the request head is too large")))
            } else {
                None
            };
        };
        self.searched = 0;
        let head = input.get(..length).unwrap_or_default();
        let line = head
            .trim_ascii_start()
            .iter()
            .position(|byte| *byte == b'\n');
        if line.is_some_and(|line| line > line_limit) {
            return Some(Err(Refusal::new(414, "the request line is too long")));
        }
        if length > self.limits.head {
            return Some(Err(Refusal::new(431, "the request head is too large")));
        }
        let (head, body) = match parse_head(head, &self.limits) {
            Ok(parsed) => parsed,
            Err(refusal) => return Some(Err(refusal)),
        };
        self.start += length;
        self.requests += 1;
        self.body_limit = self.limits.body_of(&head.method);
        self.body_time = self.limits.body_time_of(&head.method);
        self.version = head.version;
        self.is_head = &*head.method == "HEAD";
        self.keep_alive = head.keeps_alive() && self.requests < self.limits.requests;
        self.continue_due = head.expects_continue() && body != BodyLength::Known(0);
        self.phase_start = self.last_bytes;
        self.receive = match body {
            BodyLength::Known(length) => Receive::Body(length),
            BodyLength::Chunked => Receive::Chunked(ChunkedBody::new()),
        };
        Some(Ok(head))
    }

    /// Tells a waiting client to send its body; nothing if it does not wait.
    pub fn send_continue(&mut self, out: &mut Vec<u8>) {
        if core::mem::take(&mut self.continue_due) {
            out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
    }

    /// Starts the answer to the current request, also before its body has come. A second answer would corrupt
    /// the stream; the connection is aborted instead.
    pub fn start_response(&mut self, out: &mut Vec<u8>, head: &ResponseHead, framing: Framing<'_>) {
        if self.respond != Respond::Due {
            return self.abort();
        }
        self.plan_drain();
        let bodyless = self.is_head || matches!(head.status, 100..200 | 204 | 304);
        head.write(out);
        let respond = match framing {
            Framing::Length(length) => {
                if !matches!(head.status, 100..200 | 204) {
                    write_number_field(out, "Content-Length", length);
                }
                Respond::Length(length)
            }
            Framing::Streamed { trailers } if self.version == HttpVersion::Http11 => {
                write_field(out, "Transfer-Encoding", "chunked");
                if !trailers.is_empty() {
                    write_field(out, "Trailer", &trailers.join(", "));
                }
                Respond::Chunked
            }
            Framing::Streamed { .. } => {
                self.keep_alive = false;
                Respond::UntilClose
            }
        };
        self.respond = if bodyless { Respond::NoBody } else { respond };
        if !self.keep_alive {
            write_field(out, "Connection", "close");
        } else if self.version == HttpVersion::Http10 {
            write_field(out, "Connection", "keep-alive");
        }
        out.extend_from_slice(b"\r\n");
    }

    /// Decides what happens to a body that has not come when the answer starts: a short one is read and
    /// dropped, because closing at once would make the client lose the answer; else the connection closes.
    fn plan_drain(&mut self) {
        let drain = match &self.receive {
            Receive::Done => true,
            Receive::Body(left) => *left <= self.limits.drain,
            Receive::Chunked(_) => true,
            Receive::Head | Receive::Failed(_) | Receive::Refused | Receive::Closed => false,
        };
        // A client that waits for 100 may now send the body or not: there is no telling.
        if !drain || self.continue_due {
            self.keep_alive = false;
            self.receive = Receive::Closed;
        }
        // Bounds a chunked body of unknown length as well.
        if let Receive::Chunked(_) = self.receive {
            self.body_limit = self.body_limit.min(self.limits.drain);
        }
    }

    /// Adds bytes to the body of the answer; more than the announced length are dropped.
    pub fn body(&mut self, out: &mut Vec<u8>, bytes: &[u8]) {
        match &mut self.respond {
            Respond::Length(left) => {
                let count = usize::try_from(*left)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                *left -= count as u64;
                out.extend_from_slice(bytes.get(..count).unwrap_or_default());
            }
            Respond::Chunked => write_chunk(out, bytes),
            Respond::UntilClose => out.extend_from_slice(bytes),
            Respond::NoBody | Respond::Due | Respond::Done => {}
        }
    }

    /// Ends the answer, with trailer fields if it is chunked, and makes ready for the next request.
    pub fn finish(&mut self, out: &mut Vec<u8>, trailers: &[(&str, &str)]) {
        match self.respond {
            Respond::Due | Respond::Done => return,
            // A body that is too short cannot be repaired; the client must see the connection end.
            Respond::Length(left) if left > 0 => {
                self.keep_alive = false;
                self.receive = Receive::Closed;
            }
            Respond::Chunked => {
                out.extend_from_slice(b"0\r\n");
                for (name, value) in trailers {
                    write_field(out, name, value);
                }
                out.extend_from_slice(b"\r\n");
            }
            Respond::Length(_) | Respond::UntilClose | Respond::NoBody => {}
        }
        self.respond = Respond::Done;
        if matches!(self.receive, Receive::Done) {
            self.next_request();
        }
    }

    /// Gives up an answer whose head is out: the connection closes without its end, which the client can
    /// tell from a complete one.
    pub fn abort(&mut self) {
        self.keep_alive = false;
        self.respond = Respond::Done;
        self.receive = Receive::Closed;
    }

    /// Answers a refusal, with its reason as text, and closes.
    pub fn refuse(&mut self, out: &mut Vec<u8>, refusal: &Refusal) {
        self.keep_alive = false;
        self.receive = Receive::Closed;
        self.is_head = false;
        let mut head = ResponseHead::new(refusal.status).with("Content-Type", "text/plain");
        if refusal.status == 405 {
            head = head.with("Allow", self.limits.methods.join(", "));
        }
        let length = refusal.reason.len() as u64 + 1;
        self.start_response(out, &head, Framing::Length(length));
        self.body(out, refusal.reason.as_bytes());
        self.body(out, b"\n");
        self.finish(out, &[]);
    }

    fn next_request(&mut self) {
        self.respond = Respond::Due;
        self.continue_due = false;
        self.phase_start = self.last_bytes;
        self.receive = if self.keep_alive {
            Receive::Head
        } else {
            Receive::Closed
        };
    }

    /// Whether the connection is to be closed once everything encoded so far is sent. After an answer to a
    /// request whose body was cut off, half-close and wait a moment, or the client may lose the answer.
    pub fn wants_close(&self) -> bool {
        matches!(self.receive, Receive::Closed)
            && matches!(self.respond, Respond::Due | Respond::Done)
    }

    /// Whether a request is in progress: begun to arrive, or not fully answered.
    pub fn is_busy(&self) -> bool {
        match self.receive {
            Receive::Head => self.buffer.len() > self.start,
            Receive::Closed => !self.wants_close(),
            _ => true,
        }
    }

    /// When [`ServerConnection::check_time`] has to be called next; `None` while only we are at work.
    pub fn deadline(&self) -> Option<Millis> {
        let limits = &self.limits;
        match self.receive {
            Receive::Head if self.buffer.len() > self.start => {
                Some(self.phase_start.plus(limits.head_time))
            }
            Receive::Head => Some(self.last_bytes.plus(limits.idle_time)),
            Receive::Body(_) | Receive::Chunked(_) => {
                let pause = self.last_bytes.plus(limits.body_pause);
                Some(pause.min(self.phase_start.plus(self.body_time)))
            }
            Receive::Done | Receive::Failed(_) | Receive::Refused | Receive::Closed => None,
        }
    }

    /// Compares the time with the deadline; a late request is refused at the next poll, an idle connection
    /// closes.
    pub fn check_time(&mut self, now: Millis) {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        if !self.is_busy() {
            self.receive = Receive::Closed;
        } else {
            self.fail(Refusal::new(408, "the request took too long to arrive"));
        }
    }

    /// Tells that the answer has left for good at this time, so that the idle time starts then.
    pub fn sent(&mut self, now: Millis) {
        self.last_bytes = self.last_bytes.max(now);
    }
}

#[cfg(test)]
mod tests;
