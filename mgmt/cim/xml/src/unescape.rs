//! Entity and character references, line ends and attribute values (XML 1.0 sections 2.11, 3.3.3, 4.1, 4.6).

use crate::chars::is_char;
use crate::error::{Syntax, XmlError};
use alloc::string::String;

/// What the text is, because white space differs between the two.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Character data: CR LF and CR become LF.
    Content,
    /// An attribute value: tab, LF and CR become a space.
    Attribute,
}

/// Resolves references and white space; `offset` is where `raw` starts in the message.
pub(crate) fn unescape(raw: &str, place: Place, offset: usize) -> Result<String, XmlError> {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    loop {
        let special = match place {
            Place::Content => rest.find(['&', '\r']),
            Place::Attribute => rest.find(['&', '\r', '\n', '\t']),
        };
        let Some(at) = special else {
            out.push_str(rest);
            return Ok(out);
        };
        let (plain, tail) = rest.split_at(at);
        out.push_str(plain);
        let here = offset + (raw.len() - tail.len());
        rest = if let Some(reference) = tail.strip_prefix('&') {
            let (character, rest) = read_reference(reference).ok_or(XmlError {
                fault: Syntax::Reference.into(),
                offset: here,
            })?;
            out.push(character);
            rest
        } else {
            out.push(if place == Place::Content { '\n' } else { ' ' });
            tail.strip_prefix("\r\n")
                .unwrap_or_else(|| tail.get(1..).unwrap_or_default())
        };
    }
}

/// Reads a reference after its `&`: the character and the text after the semicolon.
fn read_reference(text: &str) -> Option<(char, &str)> {
    // Leading zeros make character references of any length legal; 16 is generous and bounds the search.
    let end = text.bytes().take(16).position(|byte| byte == b';')?;
    let (name, rest) = (text.get(..end)?, text.get(end + 1..)?);
    let character = match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => {
            let number = name.strip_prefix('#')?;
            let (digits, radix) = match number.strip_prefix('x') {
                Some(hex) => (hex, 16),
                None => (number, 10),
            };
            if !digits.bytes().all(|byte| char::from(byte).is_digit(radix)) {
                return None;
            }
            let code = u32::from_str_radix(digits, radix).ok()?;
            char::from_u32(code).filter(|character| is_char(*character))?
        }
    };
    Some((character, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(raw: &str) -> Result<String, XmlError> {
        unescape(raw, Place::Content, 100)
    }

    #[test]
    fn references_become_characters() {
        assert_eq!(content("a&lt;b&gt;&amp;&quot;&apos;").unwrap(), "a<b>&\"'");
        assert_eq!(
            content("&#65;&#x42;&#x1F600;&#0000000067;").unwrap(),
            "AB\u{1f600}C"
        );
        assert_eq!(content("a\r\nb\rc\n&#13;").unwrap(), "a\nb\nc\n\r");
        assert_eq!(
            unescape("a\tb\r\nc&#10;", Place::Attribute, 0).unwrap(),
            "a b c\n"
        );
    }

    #[test]
    fn broken_references_are_located() {
        for raw in [
            "ab&",
            "ab&;",
            "ab&nbsp;",
            "ab&#;",
            "ab&#x;",
            "ab&#0;",
            "ab&#xD800;",
            "ab&#x110000;",
            "ab&#8;",
            "ab&#+5;",
            "ab&#XA;",
            "ab&LT;",
            "ab& lt;",
        ] {
            let error = content(raw).unwrap_err();
            assert_eq!(
                (error.fault, error.offset),
                (Syntax::Reference.into(), 102),
                "{raw}"
            );
        }
    }
}
