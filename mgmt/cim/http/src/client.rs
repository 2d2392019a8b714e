//! The client side: a request encoder and a response reader, for indication delivery and for tests.

use crate::chunked::{ChunkedBody, Step};
use crate::headers::Headers;
use crate::limits::Limits;
use crate::request::head_length;
use crate::response::{write_field, write_number_field};
use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::fmt;

/// A request to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientRequest<'a> {
    method: &'a str,
    target: &'a str,
    host: &'a str,
    fields: Vec<(&'a str, Cow<'a, str>)>,
}

impl<'a> ClientRequest<'a> {
    /// A request without fields other than Host. The three must be what HTTP allows there: a token, a path
    /// and a host with optional port.
    pub const fn new(method: &'a str, target: &'a str, host: &'a str) -> Self {
        ClientRequest {
            method,
            target,
            host,
            fields: Vec::new(),
        }
    }

    /// The same request with a field.
    #[must_use]
    pub fn with(mut self, name: &'a str, value: impl Into<Cow<'a, str>>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    /// Writes the request with its body.
    pub fn write(&self, out: &mut Vec<u8>, body: &[u8]) {
        let visible = |byte: &u8| *byte > b' ' && *byte != 0x7f;
        out.extend(self.method.bytes().filter(visible));
        out.push(b' ');
        out.extend(self.target.bytes().filter(visible));
        out.extend_from_slice(b" HTTP/1.1\r\n");
        write_field(out, "Host", self.host);
        for (name, value) in &self.fields {
            write_field(out, name, value);
        }
        write_number_field(out, "Content-Length", body.len() as u64);
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(body);
    }
}

/// Why a response cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientError {
    /// It is not HTTP/1.x, or its framing is broken.
    Malformed(&'static str),
    /// It is larger than the limits allow.
    TooLarge,
    /// The connection ended before the response did.
    Truncated,
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientError::Malformed(reason) => write!(f, "the response is malformed: {reason}"),
            ClientError::TooLarge => f.write_str("the response is too large"),
            ClientError::Truncated => f.write_str("the connection ended inside the response"),
        }
    }
}

impl core::error::Error for ClientError {}

/// What came from the server.
#[derive(Debug, PartialEq, Eq)]
pub enum ClientEvent<'a> {
    /// The final head; interim ones (1xx) are skipped.
    Head {
        /// The status code.
        status: u16,
        /// The header fields.
        headers: Headers,
    },
    /// A piece of the body.
    Body(&'a [u8]),
    /// The response is complete; the trailer fields of a chunked body.
    End(Headers),
}

/// Reads the responses on one connection, one after the other.
#[derive(Debug)]
pub struct ResponseReader {
    limits: Limits,
    buffer: Vec<u8>,
    start: usize,
    searched: usize,
    state: State,
    ended: bool,
    keep_alive: bool,
}

#[derive(Debug)]
enum State {
    Head,
    Body(u64),
    Chunked(ChunkedBody),
    UntilClose,
    /// The response is complete, or an error was told.
    Done,
}

impl ResponseReader {
    /// A reader for the first response.
    pub const fn new(limits: Limits) -> Self {
        ResponseReader {
            limits,
            buffer: Vec::new(),
            start: 0,
            searched: 0,
            state: State::Head,
            ended: false,
            keep_alive: true,
        }
    }

    /// Takes bytes from the server. Poll until nothing comes before giving more, and read in pieces of
    /// moderate size: what is not polled is kept.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start.min(self.buffer.len()));
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The server closed the connection.
    pub const fn push_end(&mut self) {
        self.ended = true;
    }

    /// Whether the connection can carry another request after this response.
    pub const fn keeps_alive(&self) -> bool {
        self.keep_alive && !self.ended
    }

    /// Makes ready for the response to the next request, after [`ClientEvent::End`].
    pub const fn next_response(&mut self) {
        self.state = State::Head;
    }

    /// The next event, if the bytes so far hold one.
    ///
    /// # Errors
    /// When the response cannot be used; the connection must be closed then.
    pub fn poll(&mut self) -> Result<Option<ClientEvent<'_>>, ClientError> {
        let ended = self.ended;
        let truncated = move || {
            if ended {
                Err(ClientError::Truncated)
            } else {
                Ok(None)
            }
        };
        loop {
            let available = self.buffer.len().saturating_sub(self.start);
            match &mut self.state {
                State::Done => return Ok(None),
                State::Head => match self.poll_head() {
                    Ok(Some((100..200, _))) => {}
                    Ok(Some((status, headers))) => {
                        return Ok(Some(ClientEvent::Head { status, headers }));
                    }
                    Ok(None) => return truncated(),
                    Err(error) => return self.fail(error),
                },
                State::Body(0) => {
                    self.state = State::Done;
                    return Ok(Some(ClientEvent::End(Headers::default())));
                }
                State::Body(left) => {
                    let count = usize::try_from(*left).unwrap_or(usize::MAX).min(available);
                    if count == 0 {
                        return truncated();
                    }
                    *left -= count as u64;
                    return Ok(Some(self.take(count)));
                }
                State::UntilClose => {
                    if available > 0 {
                        return Ok(Some(self.take(available)));
                    }
                    if !self.ended {
                        return Ok(None);
                    }
                    self.state = State::Done;
                    return Ok(Some(ClientEvent::End(Headers::default())));
                }
                State::Chunked(body) => {
                    let input = self.buffer.get(self.start..).unwrap_or_default();
                    match body.step(input, &self.limits, usize::MAX) {
                        Ok(Step::Wait) => return truncated(),
                        Ok(Step::Skip(count)) => self.start += count,
                        Ok(Step::Data(count)) => return Ok(Some(self.take(count))),
                        Ok(Step::End(count, trailers)) => {
                            self.start += count;
                            self.state = State::Done;
                            return Ok(Some(ClientEvent::End(trailers)));
                        }
                        Err(refusal) => {
                            return self.fail(match refusal.status {
                                413 | 431 => ClientError::TooLarge,
                                _ => ClientError::Malformed(refusal.reason),
                            });
                        }
                    }
                }
            }
        }
    }

    fn take(&mut self, count: usize) -> ClientEvent<'_> {
        let range = self.start..self.start + count;
        self.start += count;
        ClientEvent::Body(self.buffer.get(range).unwrap_or_default())
    }

    fn fail<T>(&mut self, error: ClientError) -> Result<T, ClientError> {
        self.state = State::Done;
        self.keep_alive = false;
        Err(error)
    }

    fn poll_head(&mut self) -> Result<Option<(u16, Headers)>, ClientError> {
        let input = self.buffer.get(self.start..).unwrap_or_default();
        let Some(length) = head_length(input, self.searched) else {
            self.searched = input.len();
            return if input.len() > self.limits.head {
                Err(ClientError::TooLarge)
            } else {
                Ok(None)
            };
        };
        self.searched = 0;
        if length > self.limits.head {
            return Err(ClientError::TooLarge);
        }
        let mut fields = [httparse::EMPTY_HEADER; 100];
        let count = self.limits.header_count.min(100);
        let mut parsed = httparse::Response::new(fields.get_mut(..count).unwrap_or_default());
        match parsed.parse(input.get(..length).unwrap_or_default()) {
            Ok(httparse::Status::Complete(_)) => {}
            Err(httparse::Error::TooManyHeaders) => return Err(ClientError::TooLarge),
            _ => return Err(ClientError::Malformed("the head is not HTTP/1.x")),
        }
        let status = parsed.code.unwrap_or_default();
        let headers = Headers::from_parsed(parsed.headers);
        let is_http10 = parsed.version == Some(0);
        self.start += length;
        if !(100..200).contains(&status) {
            self.keep_alive = if is_http10 {
                headers.has_token("Connection", "keep-alive")
            } else {
                !headers.has_token("Connection", "close")
            };
            self.state = self.framing(status, &headers)?;
        }
        Ok(Some((status, headers)))
    }

    /// RFC 9112 6.3 for responses.
    fn framing(&mut self, status: u16, headers: &Headers) -> Result<State, ClientError> {
        if matches!(status, 204 | 304) {
            return Ok(State::Body(0));
        }
        let length = headers.get("Content-Length");
        match (headers.get("Transfer-Encoding"), length) {
            (Some(_), Some(_)) => Err(ClientError::Malformed(
                "Transfer-Encoding and Content-Length are both given",
            )),
            (Some(coding), None) if coding.eq_ignore_ascii_case("chunked") => {
                Ok(State::Chunked(ChunkedBody::new()))
            }
            (Some(_), None) => Err(ClientError::Malformed("the transfer coding is not known")),
            (None, Some(text)) => {
                if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
                    return Err(ClientError::Malformed("Content-Length is not a number"));
                }
                match text.parse() {
                    Ok(length) if length <= self.limits.body => Ok(State::Body(length)),
                    _ => Err(ClientError::TooLarge),
                }
            }
            (None, None) => {
                self.keep_alive = false;
                Ok(State::UntilClose)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that comes out when the bytes arrive in pieces, then the end.
    fn read(bytes: &[u8], piece: usize) -> Result<(u16, Vec<u8>, Headers, bool), ClientError> {
        let mut reader = ResponseReader::new(Limits::default());
        let mut pieces = bytes.chunks(piece);
        let (mut status, mut body) = (0, Vec::new());
        loop {
            match reader.poll()? {
                Some(ClientEvent::Head { status: code, .. }) => status = code,
                Some(ClientEvent::Body(bytes)) => body.extend_from_slice(bytes),
                Some(ClientEvent::End(trailers)) => {
                    return Ok((status, body, trailers, reader.keeps_alive()));
                }
                None => match pieces.next() {
                    Some(piece) => reader.push(piece),
                    None => reader.push_end(),
                },
            }
        }
    }

    #[test]
    fn responses_are_read_however_they_arrive() {
        for (text, expected, alive) in [
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
                "hello",
                true,
            ),
            (
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
                "hi",
                true,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\nT: x\r\n\r\n",
                "abcd",
                true,
            ),
            (
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx",
                "x",
                false,
            ),
            (
                "HTTP/1.0 200 OK\r\n\r\nuntil the end",
                "until the end",
                false,
            ),
            ("HTTP/1.1 204 No Content\r\n\r\n", "", true),
        ] {
            for piece in [1, 2, 7, 1000] {
                let (_, body, _, keeps) = read(text.as_bytes(), piece).unwrap();
                assert_eq!(
                    (body.as_slice(), keeps),
                    (expected.as_bytes(), alive),
                    "{text:?}"
                );
            }
        }
    }

    #[test]
    fn broken_responses_are_errors() {
        for (text, error) in [
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
                ClientError::Truncated,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
                ClientError::Truncated,
            ),
            ("HTTP/1.1 200", ClientError::Truncated),
            (
                "SIP/2.0 200 OK\r\n\r\n",
                ClientError::Malformed("the head is not HTTP/1.x"),
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
                ClientError::TooLarge,
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
                ClientError::Malformed("Content-Length is not a number"),
            ),
        ] {
            assert_eq!(read(text.as_bytes(), 3).unwrap_err(), error, "{text:?}");
        }
    }

    #[test]
    fn a_request_is_written_as_http() {
        let mut out = Vec::new();
        ClientRequest::new("POST", "/listener", "h:5990")
            .with("CIMExport", "MethodRequest")
            .with("X", String::from("a\r\nb"))
            .write(&mut out, b"<CIM/>");
        let expected = "POST /listener HTTP/1.1\r\nHost: h:5990\r\nCIMExport: MethodRequest\r\nX: a  b\r\n\
                        Content-Length: 6\r\n\r\n<CIM/>";
        assert_eq!(out, expected.as_bytes());
    }
}
