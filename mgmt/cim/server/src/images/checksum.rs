//! Checksums in header fields.
//!
//! Taken: `Content-Digest` and `Repr-Digest` (RFC 9530), `Digest` (RFC 3230), and `X-Checksum-Sha256` with hexadecimal
//! digits, which scripts make most easily. Other algorithms than SHA-256 are passed over.

use super::Sha256;
use alloc::format;
use alloc::string::String;
use cim_http::{Headers, base64};
use core::fmt::Write;

pub(crate) const HEX_FIELD: &str = "X-Checksum-Sha256";

/// The field says something about SHA-256 that cannot be read, or two fields contradict each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadChecksum;

/// The checksum that a head or a trailer section tells, if any.
pub(crate) fn told(headers: &Headers) -> Result<Option<Sha256>, BadChecksum> {
    let mut found = None;
    for (name, value) in headers.iter() {
        let sum = if name.eq_ignore_ascii_case(HEX_FIELD) {
            Some(from_hex(value.trim()).ok_or(BadChecksum)?)
        } else if ["Content-Digest", "Repr-Digest", "Digest"]
            .iter()
            .any(|field| name.eq_ignore_ascii_case(field))
        {
            in_list(value)?
        } else {
            None
        };
        match (found, sum) {
            (Some(one), Some(other)) if one != other => return Err(BadChecksum),
            (_, Some(sum)) => found = Some(sum),
            _ => {}
        }
    }
    Ok(found)
}

/// The checksum in a list of `ALGORITHM=VALUE`, the value in base 64, between colons in the newer form.
fn in_list(list: &str) -> Result<Option<Sha256>, BadChecksum> {
    for item in list.split(',') {
        let Some((algorithm, value)) = item.trim().split_once('=') else {
            continue;
        };
        if algorithm.eq_ignore_ascii_case("sha-256") {
            let bytes = base64::decode(value.trim().trim_matches(':')).ok_or(BadChecksum)?;
            return bytes.try_into().map(Some).map_err(|_| BadChecksum);
        }
    }
    Ok(None)
}

fn from_hex(text: &str) -> Option<Sha256> {
    let mut sum = [0; 32];
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (index, byte) in sum.iter_mut().enumerate() {
        let digits = text.get(index * 2..index * 2 + 2)?;
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(sum)
}

/// As hexadecimal digits.
pub(crate) fn to_hex(sum: &Sha256) -> String {
    sum.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// As the value of Repr-Digest.
pub(crate) fn to_digest(sum: &Sha256) -> String {
    let mut text = String::new();
    base64::encode(sum, &mut text);
    format!("sha-256=:{text}:")
}

#[cfg(test)]
mod tests {
    use super::*;
    use cim_http::{Event, Limits, Millis, ServerConnection};

    /// The fields of a request with this header line.
    fn headers(lines: &str) -> Headers {
        let mut connection = ServerConnection::new(Limits::default(), Millis(0));
        let head = format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n{lines}\r\n");
        connection.push(head.as_bytes(), Millis(0));
        match connection.poll() {
            Some(Event::Head(head)) => head.headers,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn checksums_are_read_in_every_form() {
        let mut sum = [0xab; 32];
        sum[31] = 1;
        let (hex, digest) = (to_hex(&sum), to_digest(&sum));
        let plain = digest.replace(':', "");
        for lines in [
            format!("X-Checksum-SHA256: {}\r\n", hex.to_uppercase()),
            format!("Content-Digest: sha-512=:YQ==:, {digest}\r\n"),
            format!("Repr-Digest: {digest}\r\n"),
            format!("Digest: {}\r\n", plain.replace("sha", "SHA")),
            format!("Digest: {plain}\r\nx-checksum-sha256: {hex}\r\n"),
        ] {
            assert_eq!(told(&headers(&lines)), Ok(Some(sum)), "{lines}");
        }
        assert_eq!(told(&headers("Digest: md5=abc\r\nX: y\r\n")), Ok(None));
    }

    #[test]
    fn what_cannot_be_read_is_not_passed_over() {
        let one = format!("X-Checksum-Sha256: {}\r\n", to_hex(&[1; 32]));
        let two = format!("Repr-Digest: {}\r\n", to_digest(&[2; 32]));
        for lines in [
            "X-Checksum-Sha256: abc\r\n",
            "X-Checksum-Sha256: +b\r\n",
            "Content-Digest: sha-256=:YWJj:\r\n",
            "Digest: SHA-256=*\r\n",
            &format!("{one}{two}"),
        ] {
            assert_eq!(told(&headers(lines)), Err(BadChecksum), "{lines}");
        }
    }
}
