//! Percent-encoding (RFC 3986 2.1) of the CIMMethod and CIMObject headers (DSP0200 "Use of CIMObject").

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

/// Resolves `%XX` escapes; `None` for a broken escape or when the result is not UTF-8.
pub fn percent_decode(text: &str) -> Option<Cow<'_, str>> {
    let Some(first) = text.find('%') else {
        return Some(Cow::Borrowed(text));
    };
    let mut bytes = Vec::with_capacity(text.len());
    let (plain, mut rest) = text.as_bytes().split_at(first);
    bytes.extend_from_slice(plain);
    loop {
        match rest {
            [] => break,
            [b'%', high, low, tail @ ..] => {
                let high = char::from(*high).to_digit(16)?;
                let low = char::from(*low).to_digit(16)?;
                bytes.push((high * 16 + low) as u8);
                rest = tail;
            }
            [b'%', ..] => return None,
            [byte, tail @ ..] => {
                bytes.push(*byte);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

/// Escapes everything but the unreserved characters of RFC 3986, as DSP0200 asks for both headers.
pub fn percent_encode(text: &str) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |nibble: u8| char::from(DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0'));
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(digit(byte >> 4));
            out.push(digit(byte & 15));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_resolve_and_broken_ones_do_not() {
        assert_eq!(
            percent_decode("root%2Fcimv2").as_deref(),
            Some("root/cimv2")
        );
        assert_eq!(percent_decode("a%c3%A4b").as_deref(), Some("aäb"));
        assert!(matches!(
            percent_decode("plain"),
            Some(Cow::Borrowed("plain"))
        ));
        for bad in ["%", "%4", "%g0", "%+4", "%ff", "a%"] {
            assert_eq!(percent_decode(bad), None, "{bad}");
        }
    }

    #[test]
    fn encoding_is_undone_by_decoding() {
        let text = "root/cimv2:C.k=\"ä% +\u{1f600}\"";
        let encoded = percent_encode(text);
        assert!(encoded.starts_with("root%2Fcimv2%3AC.k%3D%22%C3%A4%25%20%2B"));
        assert_eq!(percent_decode(&encoded).as_deref(), Some(text));
    }
}
