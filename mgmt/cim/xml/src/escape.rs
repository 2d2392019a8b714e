//! Escaping of text and attribute values on output.

use crate::chars::{below, equals};
use crate::sink::{Sink, SinkError};

/// U+FFFD in UTF-8: stands for characters that XML 1.0 cannot express even as references.
const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();

/// Whether a byte may need attention; the eight-byte test below finds the same bytes.
const fn is_special(byte: u8) -> bool {
    matches!(byte, 0..0x20 | b'"' | b'&' | b'<' | b'>' | 0xef)
}

/// The length of the prefix without special bytes.
fn plain_length(bytes: &[u8]) -> usize {
    let (chunks, tail) = bytes.as_chunks::<8>();
    let mut length = 0;
    for chunk in chunks {
        let word = u64::from_le_bytes(*chunk);
        let hit = below(word, 0x20)
            | equals(word, b'"')
            | equals(word, b'&')
            | equals(word, b'<')
            | equals(word, b'>')
            | equals(word, 0xef);
        if hit != 0 {
            // Exact for the lowest hit, which is the first byte in memory order.
            return length + (hit.trailing_zeros() / 8) as usize;
        }
        length += 8;
    }
    length
        + tail
            .iter()
            .position(|byte| is_special(*byte))
            .unwrap_or(tail.len())
}

/// Writes UTF-8 bytes so that a parser gives them back: in element content and in attribute values alike
/// (tab and LF are written as references, which content does not need but allows).
///
/// Calls may split the text anywhere but inside a character.
pub(crate) fn escape<S: Sink>(out: &mut S, text: &[u8], place: Place) -> Result<(), SinkError> {
    let mut rest = text;
    // Bytes before `done` of `rest` are plain and not yet written.
    let mut done = 0;
    loop {
        done += plain_length(rest.get(done..).unwrap_or_default());
        let (plain, special) = rest.split_at(done.min(rest.len()));
        let (replacement, length): (&[u8], usize) = match special {
            [] => {
                return if plain.is_empty() {
                    Ok(())
                } else {
                    out.write(plain)
                };
            }
            [b'&', ..] => (b"&amp;", 1),
            [b'<', ..] => (b"&lt;", 1),
            [b'>', ..] => (b"&gt;", 1),
            [b'"', ..] => (b"&quot;", 1),
            [b'\r', ..] => (b"&#13;", 1),
            [b'\n', ..] if place == Place::Attribute => (b"&#10;", 1),
            [b'\t', ..] if place == Place::Attribute => (b"&#9;", 1),
            [0xef, 0xbf, 0xbe | 0xbf, ..] => (REPLACEMENT, 3),
            [b'\n' | b'\t' | 0xef, ..] => {
                done += 1;
                continue;
            }
            [_, ..] => (REPLACEMENT, 1),
        };
        if !plain.is_empty() {
            out.write(plain)?;
        }
        out.write(replacement)?;
        rest = special.get(length..).unwrap_or_default();
        done = 0;
    }
}

/// Where the text goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Between tags.
    Content,
    /// Between the quotes of an attribute.
    Attribute,
}

/// A sink that escapes what is written, for the XML of an embedded object inside a VALUE. Nested embedding
/// stacks these, and each layer escapes once more, as DSP0201 asks.
pub(crate) struct Escaping<'a>(pub(crate) &'a mut dyn Sink);

impl Sink for Escaping<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        escape(&mut self.0, bytes, Place::Content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unescape;

    fn escaped(text: &str, place: Place) -> String {
        let mut out = Vec::new();
        escape(&mut out, text.as_bytes(), place).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn markup_becomes_references() {
        assert_eq!(
            escaped("a<b>&\"c'", Place::Content),
            "a&lt;b&gt;&amp;&quot;c'"
        );
        assert_eq!(escaped("1\t2\n3\r4", Place::Content), "1\t2\n3&#13;4");
        assert_eq!(
            escaped("1\t2\n3\r4", Place::Attribute),
            "1&#9;2&#10;3&#13;4"
        );
    }

    #[test]
    fn what_xml_cannot_say_is_replaced() {
        assert_eq!(
            escaped("a\u{0}b\u{1f}c", Place::Content),
            "a\u{fffd}b\u{fffd}c"
        );
        assert_eq!(
            escaped("\u{ffff}\u{ff01}\u{fffe}", Place::Content),
            "\u{fffd}\u{ff01}\u{fffd}"
        );
    }

    #[test]
    fn every_character_survives_at_every_alignment() {
        for character in (1..0x300u32)
            .chain(0xfff0..0x10010)
            .filter_map(char::from_u32)
        {
            for before in 0..9 {
                let mut text = "x".repeat(before);
                text.push(character);
                text.push_str("yz&");
                let expected: String = text
                    .chars()
                    .map(|c| {
                        if crate::chars::is_char(c) {
                            c
                        } else {
                            '\u{fffd}'
                        }
                    })
                    .collect();
                for (place, read) in [
                    (Place::Content, unescape::Place::Content),
                    (Place::Attribute, unescape::Place::Attribute),
                ] {
                    let back = unescape::unescape(&escaped(&text, place), read, 0).unwrap();
                    assert_eq!(back, expected);
                }
            }
        }
    }
}
