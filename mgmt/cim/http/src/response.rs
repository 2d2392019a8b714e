//! Response heads and their encoding.

use crate::refusal::reason_phrase;
use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

/// The head of a response, without the fields that belong to the connection (Content-Length,
/// Transfer-Encoding, Connection); those are added by the encoder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseHead {
    /// The status code.
    pub status: u16,
    fields: Vec<(Cow<'static, str>, Cow<'static, str>)>,
}

/// How the body of a response is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing<'a> {
    /// A body of known length.
    Length(u64),
    /// A body of unknown length: chunked for HTTP/1.1, closed by the connection for HTTP/1.0. The names of
    /// trailer fields that may follow are announced.
    Streamed {
        /// Names for the Trailer field; empty for none.
        trailers: &'a [&'a str],
    },
}

impl ResponseHead {
    /// A head without fields.
    pub const fn new(status: u16) -> Self {
        ResponseHead {
            status,
            fields: Vec::new(),
        }
    }

    /// The same head with a field. Characters that would break the head (controls, CR and LF among them)
    /// become spaces, so that no value can smuggle a field.
    #[must_use]
    pub fn with(
        mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<Cow<'static, str>>,
    ) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    /// The fields in order.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(name, value)| (&**name, &**value))
    }

    pub(crate) fn fields_mut(&mut self) -> &mut Vec<(Cow<'static, str>, Cow<'static, str>)> {
        &mut self.fields
    }

    /// Writes the status line and the fields, without the blank line.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"HTTP/1.1 ");
        write_number(out, u64::from(self.status));
        out.push(b' ');
        out.extend_from_slice(reason_phrase(self.status).as_bytes());
        out.extend_from_slice(b"\r\n");
        for (name, value) in self.fields() {
            write_field(out, name, value);
        }
    }
}

/// Writes a field line.
pub(crate) fn write_field(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend(name.bytes().filter(|byte| is_token(*byte)));
    out.extend_from_slice(b": ");
    out.extend(value.bytes().map(|byte| {
        if byte < 0x20 || byte == 0x7f {
            b' '
        } else {
            byte
        }
    }));
    out.extend_from_slice(b"\r\n");
}

/// Writes a field with a number.
pub(crate) fn write_number_field(out: &mut Vec<u8>, name: &str, value: u64) {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = core::fmt::Write::write_fmt(&mut text, format_args!("{value}"));
    write_field(out, name, &text);
}

/// Writes a chunk of the chunked coding; nothing for an empty one, which would end the body.
pub(crate) fn write_chunk(out: &mut Vec<u8>, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    let mut size = String::new();
    // Writing to a String cannot fail.
    let _ = core::fmt::Write::write_fmt(&mut size, format_args!("{:x}\r\n", bytes.len()));
    out.extend_from_slice(size.as_bytes());
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

fn write_number(out: &mut Vec<u8>, value: u64) {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = core::fmt::Write::write_fmt(&mut text, format_args!("{value}"));
    out.extend_from_slice(text.as_bytes());
}

const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_smuggle_a_field() {
        let mut out = Vec::new();
        ResponseHead::new(400)
            .with("X\r\nY", "a\r\nEvil: 1")
            .write(&mut out);
        assert_eq!(out, b"HTTP/1.1 400 Bad Request\r\nXY: a  Evil: 1\r\n");
    }
}
