//! Request heads: parsing, and the decisions that HTTP makes from them (RFC 9112 sections 3, 6, 7).

use crate::headers::Headers;
use crate::limits::Limits;
use crate::refusal::Refusal;
use alloc::boxed::Box;

/// The most fields that a head may have whatever the limits say.
const MAX_FIELDS: usize = 100;

/// The versions of HTTP that are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HttpVersion {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
}

/// The head of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHead {
    /// The method, as POST or M-POST.
    pub method: Box<str>,
    /// The request target as sent.
    pub target: Box<str>,
    /// The version.
    pub version: HttpVersion,
    /// The header fields.
    pub headers: Headers,
}

impl RequestHead {
    /// The path of the target, without query; `*` for the asterisk form.
    pub fn path(&self) -> &str {
        let after_scheme = self.target.split_once("://").map(|(_, rest)| rest);
        let path = match after_scheme {
            Some(rest) if !self.target.starts_with('/') => {
                rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/")
            }
            _ => &self.target,
        };
        path.split_once('?').map_or(path, |(path, _)| path)
    }

    /// Whether the client waits for `100 Continue` before it sends the body.
    pub fn expects_continue(&self) -> bool {
        self.version == HttpVersion::Http11 && self.headers.has_token("Expect", "100-continue")
    }

    /// Whether the client lets the connection live after the answer.
    pub(crate) fn keeps_alive(&self) -> bool {
        match self.version {
            HttpVersion::Http11 => !self.headers.has_token("Connection", "close"),
            HttpVersion::Http10 => {
                self.headers.has_token("Connection", "keep-alive")
                    && !self.headers.has_token("Connection", "close")
            }
        }
    }
}

/// How the length of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyLength {
    Known(u64),
    Chunked,
}

/// The length of the head at the start of `bytes`, blank line included; `None` when it is not complete.
/// `searched` bytes are known to hold no end.
pub(crate) fn head_length(bytes: &[u8], searched: usize) -> Option<usize> {
    // A line end before the request line is skipped by the parser, so it cannot end the head.
    let start = bytes
        .iter()
        .position(|byte| !matches!(byte, b'\r' | b'\n'))?;
    let from = searched.saturating_sub(3).max(start);
    let tail = bytes.get(from..)?;
    for (index, byte) in tail.iter().enumerate() {
        if *byte == b'\n' {
            match tail.get(index + 1..) {
                Some([b'\n', ..]) => return Some(from + index + 2),
                Some([b'\r', b'\n', ..]) => return Some(from + index + 3),
                _ => {}
            }
        }
    }
    None
}

/// Parses a complete head and takes the decisions that do not need the body.
pub(crate) fn parse_head(
    bytes: &[u8],
    limits: &Limits,
) -> Result<(RequestHead, BodyLength), Refusal> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let count = limits.header_count.min(MAX_FIELDS);
    let mut parsed = httparse::Request::new(fields.get_mut(..count).unwrap_or_default());
    match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => {
            return Err(Refusal::new(400, "the request head is malformed"));
        }
        Err(httparse::Error::TooManyHeaders) => {
            return Err(Refusal::new(431, "the request has too many header fields"));
        }
        Err(httparse::Error::Version) => return Err(version_refusal(bytes)),
        Err(_) => return Err(Refusal::new(400, "the request head is malformed")),
    }
    let (Some(method), Some(target)) = (parsed.method, parsed.path) else {
        return Err(Refusal::new(400, "the request line is malformed"));
    };
    let head = RequestHead {
        method: method.into(),
        target: target.into(),
        version: match parsed.version {
            Some(1) => HttpVersion::Http11,
            _ => HttpVersion::Http10,
        },
        headers: Headers::from_parsed(parsed.headers),
    };
    check_method(&head, limits)?;
    check_target(&head)?;
    check_host(&head)?;
    check_expectation(&head)?;
    let length = body_length(&head, limits)?;
    Ok((head, length))
}

/// A version that HTTP could have is not supported; anything else is not HTTP.
fn version_refusal(bytes: &[u8]) -> Refusal {
    let line = bytes
        .trim_ascii_start()
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    let word = line
        .trim_ascii_end()
        .rsplit(|byte| *byte == b' ')
        .next()
        .unwrap_or_default();
    match word {
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Refusal::new(505, "only HTTP/1.0 and HTTP/1.1 are supported")
        }
        _ => Refusal::new(400, "the request line does not end with an HTTP version"),
    }
}

fn check_method(head: &RequestHead, limits: &Limits) -> Result<(), Refusal> {
    // Methods are case-sensitive (RFC 9110 9.1).
    if limits.methods.contains(&&*head.method) {
        return Ok(());
    }
    const KNOWN: [&str; 9] = [
        "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
    ];
    Err(if KNOWN.contains(&&*head.method) {
        Refusal::new(405, "the method is not allowed here")
    } else {
        Refusal::new(501, "the method is not known")
    })
}

fn check_target(head: &RequestHead) -> Result<(), Refusal> {
    let target = &*head.target;
    let absolute = ["http://", "https://"].iter().any(|scheme| {
        target
            .get(..scheme.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(scheme))
    });
    let asterisk = target == "*" && &*head.method == "OPTIONS";
    if target.starts_with('/') || absolute || asterisk {
        Ok(())
    } else {
        Err(Refusal::new(
            400,
            "the request target is not a path or an http URI",
        ))
    }
}

fn check_host(head: &RequestHead) -> Result<(), Refusal> {
    let mut hosts = head.headers.all("Host");
    match (hosts.next(), hosts.next()) {
        (_, Some(_)) => Err(Refusal::new(400, "the Host header is repeated")),
        (None, None) if head.version == HttpVersion::Http11 => {
            Err(Refusal::new(400, "the Host header is missing"))
        }
        (Some(host), None) if host.contains([' ', '\t', ',', '/', '?', '#', '@']) => {
            Err(Refusal::new(400, "the Host header is not a host"))
        }
        _ => Ok(()),
    }
}

fn check_expectation(head: &RequestHead) -> Result<(), Refusal> {
    let unknown = head
        .headers
        .all("Expect")
        .flat_map(|value| value.split(','))
        .any(|item| !item.trim().eq_ignore_ascii_case("100-continue"));
    // An HTTP/1.0 client cannot mean it; its Expect is ignored (RFC 9110 10.1.1).
    if unknown && head.version == HttpVersion::Http11 {
        return Err(Refusal::new(
            417,
            "the only expectation that can be met is 100-continue",
        ));
    }
    Ok(())
}

/// Decides the framing (RFC 9112 6.3); everything that two parsers could read differently is refused.
fn body_length(head: &RequestHead, limits: &Limits) -> Result<BodyLength, Refusal> {
    let mut codings = head.headers.all("Transfer-Encoding");
    let mut lengths = head.headers.all("Content-Length");
    let (coding, length) = (codings.next(), lengths.next());
    if codings.next().is_some() {
        return Err(Refusal::new(400, "Transfer-Encoding is repeated"));
    }
    if lengths.next().is_some() {
        return Err(Refusal::new(400, "Content-Length is repeated"));
    }
    match (coding, length) {
        (Some(_), Some(_)) => Err(Refusal::new(
            400,
            "Transfer-Encoding and Content-Length are both given",
        )),
        (Some(_), None) if head.version == HttpVersion::Http10 => {
            Err(Refusal::new(400, "HTTP/1.0 has no Transfer-Encoding"))
        }
        (Some(coding), None) => {
            if coding.eq_ignore_ascii_case("chunked") {
                return Ok(BodyLength::Chunked);
            }
            let mut chunked = coding
                .split(',')
                .filter(|part| part.trim().eq_ignore_ascii_case("chunked"));
            match (chunked.next(), chunked.next()) {
                (Some(_), Some(_)) => Err(Refusal::new(400, "the chunked coding is repeated")),
                _ => Err(Refusal::new(501, "the transfer coding is not known")),
            }
        }
        (None, Some(text)) => {
            if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(Refusal::new(400, "Content-Length is not a number"));
            }
            // What does not fit is certainly too large.
            match text.parse::<u64>() {
                Ok(length) if length <= limits.body_of(&head.method) => {
                    Ok(BodyLength::Known(length))
                }
                _ => Err(Refusal::new(
                    413,
                    "the body is larger than this server accepts",
                )),
            }
        }
        (None, None) if matches!(&*head.method, "POST" | "M-POST" | "PUT") => Err(Refusal::new(
            411,
            "a request with a body needs Content-Length or chunked",
        )),
        (None, None) => Ok(BodyLength::Known(0)),
    }
}

#[cfg(test)]
mod tests;
