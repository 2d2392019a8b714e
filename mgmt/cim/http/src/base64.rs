//! Base 64 (RFC 4648 section 4): what credentials and checksums come in.

use alloc::string::String;
use alloc::vec::Vec;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Appends `bytes` in base 64, with padding.
pub fn encode(bytes: &[u8], out: &mut String) {
    for group in bytes.chunks(3) {
        let mut word = [0u8; 4];
        for (slot, byte) in word.iter_mut().skip(1).zip(group) {
            *slot = *byte;
        }
        let word = u32::from_be_bytes(word);
        for index in 0..4 {
            let digit = (word >> (18 - 6 * index)) & 63;
            let letter = ALPHABET.get(digit as usize).copied().unwrap_or(b'=');
            out.push(if index <= group.len() {
                char::from(letter)
            } else {
                '='
            });
        }
    }
}

/// Reads base 64, with padding or without; `None` where the text is none.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    // Some clients leave the padding out.
    let digits = text.trim_end_matches('=');
    let mut out = Vec::with_capacity(digits.len() * 3 / 4);
    for group in digits.as_bytes().chunks(4) {
        if group.len() == 1 {
            return None;
        }
        let mut word = 0u32;
        for byte in group {
            let digit = match byte {
                b'A'..=b'Z' => byte - b'A',
                b'a'..=b'z' => byte - b'a' + 26,
                b'0'..=b'9' => byte - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            word = word << 6 | u32::from(digit);
        }
        word <<= 6 * (4 - group.len());
        out.extend(word.to_be_bytes().iter().skip(1).take(group.len() - 1));
    }
    Some(out)
}
