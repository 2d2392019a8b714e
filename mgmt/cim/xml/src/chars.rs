//! Character classes of XML 1.0 (fifth edition) and the one pass over a message that checks its characters.

use crate::error::{Fault, Validity, XmlError};

const LANE: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// A mask with the high bit set in every byte of `word` that equals `byte`, exact up to the first such byte.
pub(crate) const fn equals(word: u64, byte: u8) -> u64 {
    let zero = word ^ (LANE * byte as u64);
    zero.wrapping_sub(LANE) & !zero & HIGH
}

/// A mask with the high bit set in every byte of `word` below `limit` (at most 0x80), exact up to the first.
pub(crate) const fn below(word: u64, limit: u8) -> u64 {
    word.wrapping_sub(LANE * limit as u64) & !word & HIGH
}

/// Checks UTF-8 and that every character is one of XML 1.0 (production 2); drops a byte order mark.
///
/// Done once for the whole message, so that the tokenizer need not look at characters again.
pub(crate) fn check(bytes: &[u8]) -> Result<&str, XmlError> {
    let text = core::str::from_utf8(bytes).map_err(|error| XmlError {
        fault: Validity::Utf8.into(),
        offset: error.valid_up_to(),
    })?;
    if let Some(offset) = find_forbidden(bytes) {
        return Err(XmlError {
            fault: Fault::NotValid(Validity::Character),
            offset,
        });
    }
    Ok(text)
}

/// The offset of the first character that XML 1.0 forbids, in valid UTF-8.
pub(crate) fn find_forbidden(bytes: &[u8]) -> Option<usize> {
    let mut offset = 0;
    let (chunks, tail) = bytes.as_chunks::<8>();
    for chunk in chunks {
        let word = u64::from_le_bytes(*chunk);
        // U+FFFE and U+FFFF start with 0xEF; surrogates are not UTF-8 at all.
        if below(word, 0x20) | equals(word, 0xef) != 0
            && let Some(found) = forbidden_in(bytes, offset, 8)
        {
            return Some(found);
        }
        offset += 8;
    }
    forbidden_in(bytes, offset, tail.len())
}

fn forbidden_in(bytes: &[u8], start: usize, length: usize) -> Option<usize> {
    (start..start + length).find(|at| match bytes.get(*at) {
        Some(b'\t' | b'\n' | b'\r') | None => false,
        Some(0..0x20) => true,
        Some(0xef) => matches!(bytes.get(at + 1..at + 3), Some([0xbf, 0xbe | 0xbf])),
        Some(_) => false,
    })
}

/// Whether XML 1.0 allows a character in a document.
pub(crate) const fn is_char(character: char) -> bool {
    !matches!(character, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
}

/// White space of XML.
pub(crate) const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Whether a text is only white space.
pub(crate) fn is_blank(text: &str) -> bool {
    text.bytes().all(is_space)
}

const fn ascii_name_byte(byte: u8) -> bool {
    matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b':')
}

/// Not part of a name, part of one, or the start of a character that must be looked at.
const OTHER: u8 = 0;
const NAME: u8 = 1;
const WIDE: u8 = 2;

const fn name_table() -> [u8; 256] {
    let mut table = [OTHER; 256];
    let mut byte = 0;
    while byte < 256 {
        #[allow(clippy::indexing_slicing, reason = "evaluated by the compiler")]
        {
            if byte >= 0x80 {
                table[byte] = WIDE;
            } else if ascii_name_byte(byte as u8) {
                table[byte] = NAME;
            }
        }
        byte += 1;
    }
    table
}

static NAME_CLASS: [u8; 256] = name_table();

/// The length in bytes of the XML name (production 5) at the start of a text; 0 if there is none.
pub(crate) fn name_length(text: &[u8]) -> usize {
    let mut seen = OTHER;
    let end = text.iter().position(|byte| {
        let class = NAME_CLASS.get(usize::from(*byte)).copied().unwrap_or(OTHER);
        seen |= class;
        class == OTHER
    });
    let length = end.unwrap_or(text.len());
    match text.first() {
        None | Some(b'0'..=b'9' | b'.' | b'-') => 0,
        _ if seen & WIDE == 0 => length,
        _ => wide_name_length(text.get(..length).unwrap_or_default()),
    }
}

/// As [`name_length`] for a candidate with characters beyond ASCII.
#[cold]
fn wide_name_length(candidate: &[u8]) -> usize {
    let text = core::str::from_utf8(candidate).unwrap_or_default();
    for (index, character) in text.char_indices() {
        let allowed = is_name_start(character) || (index > 0 && is_name_rest(character));
        if !allowed {
            return index;
        }
    }
    text.len()
}

const fn is_name_start(character: char) -> bool {
    matches!(character, ':' | '_' | 'A'..='Z' | 'a'..='z'
        | '\u{c0}'..='\u{d6}' | '\u{d8}'..='\u{f6}' | '\u{f8}'..='\u{2ff}'
        | '\u{370}'..='\u{37d}' | '\u{37f}'..='\u{1fff}' | '\u{200c}'..='\u{200d}'
        | '\u{2070}'..='\u{218f}' | '\u{2c00}'..='\u{2fef}' | '\u{3001}'..='\u{d7ff}'
        | '\u{f900}'..='\u{fdcf}' | '\u{fdf0}'..='\u{fffd}' | '\u{10000}'..='\u{effff}')
}

const fn is_name_rest(character: char) -> bool {
    matches!(character, '-' | '.' | '0'..='9' | '\u{b7}'
        | '\u{300}'..='\u{36f}' | '\u{203f}'..='\u{2040}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forbidden_characters_are_found_at_every_offset() {
        for length in 0..40 {
            for at in 0..length {
                let mut bytes = vec![b'a'; length];
                assert_eq!(find_forbidden(&bytes), None);
                bytes[at] = 0x1f;
                assert_eq!(find_forbidden(&bytes), Some(at));
                bytes[at] = b'\n';
                assert_eq!(find_forbidden(&bytes), None);
            }
            let mut text = "x".repeat(length);
            text.push('\u{fffe}');
            assert_eq!(find_forbidden(text.as_bytes()), Some(length));
            let mut text = "x".repeat(length);
            text.push('\u{fffd}');
            text.push('\u{ff01}');
            assert_eq!(find_forbidden(text.as_bytes()), None);
        }
    }

    #[test]
    fn names_end_where_xml_says() {
        for (text, length) in [
            ("VALUE.ARRAY>", 11),
            ("xml:lang=", 8),
            ("", 0),
            ("1a", 0),
            ("-a", 0),
            ("a1 b", 2),
            ("äx>", 3),
            ("a\u{d7}b", 1),
            ("\u{b7}a", 0),
        ] {
            assert_eq!(name_length(text.as_bytes()), length, "{text}");
        }
    }
}
