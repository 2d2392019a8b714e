//! The chunked transfer coding (RFC 9112 section 7.1), decoding side.
//!
//! Strict where leniency allows smuggling: lines end in CR LF, sizes are plain hexadecimal.

use crate::headers::Headers;
use crate::limits::Limits;
use crate::refusal::Refusal;

/// Longest line with a chunk size and its extensions, which nobody uses.
const MAX_SIZE_LINE: usize = 256;

/// A decoder of one chunked body.
#[derive(Clone, Debug)]
pub(crate) struct ChunkedBody {
    state: State,
    /// Body bytes seen so far.
    total: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size,
    Data(u64),
    DataEnd,
    Trailers,
}

/// What the start of the input means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// More input is needed.
    Wait,
    /// So many bytes are framing and can go.
    Skip(usize),
    /// So many bytes are body.
    Data(usize),
    /// So many bytes are the trailer section, and the body is complete.
    End(usize, Headers),
}

impl ChunkedBody {
    pub(crate) const fn new() -> Self {
        ChunkedBody {
            state: State::Size,
            total: 0,
        }
    }

    /// Looks at the start of the input; the caller removes the bytes that the step names. At most `room` of them are body.
    pub(crate) fn step(
        &mut self,
        input: &[u8],
        limits: &Limits,
        room: usize,
    ) -> Result<Step, Refusal> {
        match self.state {
            State::Size => self.size_line(input, limits),
            State::Data(left) => {
                let available = input.len().min(room);
                let available = u64::try_from(available).unwrap_or(u64::MAX).min(left);
                if available == 0 {
                    return Ok(Step::Wait);
                }
                self.state = if available == left {
                    State::DataEnd
                } else {
                    State::Data(left - available)
                };
                // It is at most the length of the input.
                Ok(Step::Data(available as usize))
            }
            State::DataEnd => match input {
                [b'\r', b'\n', ..] => {
                    self.state = State::Size;
                    Ok(Step::Skip(2))
                }
                [] | [b'\r'] => Ok(Step::Wait),
                _ => Err(Refusal::new(400, "a chunk is longer than its size")),
            },
            State::Trailers => trailers(input, limits),
        }
    }

    fn size_line(&mut self, input: &[u8], limits: &Limits) -> Result<Step, Refusal> {
        let bad = Refusal::new(400, "a chunk size line is malformed");
        let Some(end) = input
            .iter()
            .take(MAX_SIZE_LINE)
            .position(|byte| *byte == b'\n')
        else {
            return if input.len() < MAX_SIZE_LINE {
                Ok(Step::Wait)
            } else {
                Err(bad)
            };
        };
        let line = input
            .get(..end)
            .and_then(|line| line.strip_suffix(b"\r"))
            .ok_or(bad)?;
        let digits = line
            .iter()
            .take_while(|byte| byte.is_ascii_hexdigit())
            .count();
        let (size, extension) = line.split_at(digits);
        let extension = extension.trim_ascii_start();
        let plain = extension.is_empty() || extension.starts_with(b";");
        if size.is_empty() || !plain || extension.iter().any(|byte| *byte < 0x20 && *byte != b'\t')
        {
            return Err(bad);
        }
        let too_large = Refusal::new(413, "the body is larger than this server accepts");
        let size = size.iter().try_fold(0u64, |sum, byte| {
            let digit = char::from(*byte).to_digit(16)?;
            sum.checked_mul(16)?.checked_add(u64::from(digit))
        });
        let total = size
            .and_then(|size| self.total.checked_add(size))
            .ok_or(too_large)?;
        if total > limits.body {
            return Err(too_large);
        }
        self.state = match total - self.total {
            0 => State::Trailers,
            size => State::Data(size),
        };
        self.total = total;
        Ok(Step::Skip(end + 1))
    }
}

fn trailers(input: &[u8], limits: &Limits) -> Result<Step, Refusal> {
    // The common end without any trailer needs no parser.
    if input.starts_with(b"\r\n") {
        return Ok(Step::End(2, Headers::default()));
    }
    let mut fields = [httparse::EMPTY_HEADER; 100];
    let fields = fields
        .get_mut(..limits.header_count.min(100))
        .unwrap_or_default();
    let too_large = Refusal::new(431, "the trailer section is too large");
    match httparse::parse_headers(input, fields) {
        Ok(httparse::Status::Complete((length, _))) if length > limits.head => Err(too_large),
        Ok(httparse::Status::Complete((length, fields))) => {
            Ok(Step::End(length, Headers::from_parsed(fields)))
        }
        Ok(httparse::Status::Partial) if input.len() > limits.head => Err(too_large),
        Ok(httparse::Status::Partial) => Ok(Step::Wait),
        Err(httparse::Error::TooManyHeaders) => Err(too_large),
        Err(_) => Err(Refusal::new(400, "the trailer section is malformed")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes with the input arriving in pieces of `piece` bytes.
    fn decode(text: &[u8], piece: usize) -> Result<(Vec<u8>, Headers, usize), u16> {
        let limits = Limits {
            body: 1000,
            ..Limits::default()
        };
        let mut body = ChunkedBody::new();
        let mut out = Vec::new();
        let (mut start, mut end) = (0, 0);
        loop {
            match body
                .step(&text[start..end], &limits, usize::MAX)
                .map_err(|refusal| refusal.status)?
            {
                Step::Wait if end == text.len() => return Err(0),
                Step::Wait => end = (end + piece).min(text.len()),
                Step::Skip(count) => start += count,
                Step::Data(count) => {
                    out.extend_from_slice(&text[start..start + count]);
                    start += count;
                }
                Step::End(count, trailers) => {
                    return Ok((out, trailers, text.len() - start - count));
                }
            }
        }
    }

    #[test]
    fn bodies_are_joined_however_they_arrive() {
        let text =
            b"5\r\nhello\r\n00A ; x=\"y\"\r\n, chunked!\r\n0\r\nCIMError: x\r\nA: b\r\n\r\nnext";
        for piece in 1..text.len() {
            let (body, trailers, left) = decode(text, piece).unwrap();
            assert_eq!(body, b"hello, chunked!");
            assert_eq!(trailers.get("cimerror").as_deref(), Some("x"));
            assert_eq!(left.min(4), left);
        }
        assert_eq!(decode(b"0\r\n\r\n", 1).unwrap().0, b"");
    }

    #[test]
    fn ambiguous_framing_is_refused() {
        for (text, status) in [
            (b"5\nhello\r\n0\r\n\r\n".as_slice(), 400),
            (b"\r\nhello", 400),
            (b"x\r\n", 400),
            (b"-1\r\n", 400),
            (b"0x5\r\nhello", 400),
            (b"5 5\r\nhello", 400),
            (b"5\r\nhello5\r\n", 400),
            (b"5\r\nhello\n0\r\n\r\n", 400),
            (b"5;\x01\r\n", 400),
            (b"ffffffffffffffff\r\n", 413),
            (b"1ffffffffffffffff\r\n", 413),
            (b"3e9\r\n", 413),
            (b"0\r\nbad trailer\r\n\r\n", 400),
        ] {
            assert_eq!(
                decode(text, 3).unwrap_err(),
                status,
                "{:?}",
                text.escape_ascii().to_string()
            );
        }
        assert_eq!(decode(&[b'1'; 300], 7).unwrap_err(), 400);
    }
}
