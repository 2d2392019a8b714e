//! A line that somebody types at a prompt.

use alloc::string::String;
use alloc::vec::Vec;

/// Longest line; what is longer is no name and no password.
const MAX_LINE: usize = 1100;
const BACKSPACE: u8 = 8;
const DELETE: u8 = 0x7f;
const INTERRUPT: u8 = 3;
const END: u8 = 4;
const ERASE_LINE: u8 = 0x15;
const ESCAPE: u8 = 0x1d;

/// What a byte has done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Typed {
    /// The line goes on.
    More,
    /// It is complete.
    Line(String),
    /// Who types wants to leave.
    Leave,
}

/// The line so far.
#[derive(Default)]
pub(crate) struct Line(Vec<u8>);

impl Line {
    /// Takes a byte.
    pub(crate) fn push(&mut self, byte: u8) -> Typed {
        match byte {
            b'\r' | b'\n' => {
                let line = core::mem::take(&mut self.0);
                return Typed::Line(String::from_utf8_lossy(&line).into_owned());
            }
            BACKSPACE | DELETE => {
                // A whole character: continuation bytes of UTF-8 go with their first.
                while self.0.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
            }
            ERASE_LINE => self.0.clear(),
            INTERRUPT | END | ESCAPE => return Typed::Leave,
            byte if self.0.len() < MAX_LINE => self.0.push(byte),
            _ => {}
        }
        Typed::More
    }

    /// Whether nothing was typed.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(bytes: &[u8]) -> Vec<Typed> {
        let mut line = Line::default();
        let steps = bytes.iter().map(|byte| line.push(*byte));
        steps.filter(|typed| *typed != Typed::More).collect()
    }

    #[test]
    fn a_line_can_be_corrected() {
        assert_eq!(typed(b"admim\x7fn\n"), [Typed::Line("admin".into())]);
        assert_eq!(typed("xä\x08y\r".as_bytes()), [Typed::Line("xy".into())]);
        assert_eq!(typed(b"wrong\x15a\n"), [Typed::Line("a".into())]);
        assert_eq!(typed(b"\x08\n"), [Typed::Line("".into())]);
        assert_eq!(typed(b"a\x03"), [Typed::Leave]);
        assert_eq!(typed(b"\x1d"), [Typed::Leave]);
        let long = typed(&[vec![b'a'; 5000], b"\n".to_vec()].concat());
        assert_eq!(long, [Typed::Line("a".repeat(MAX_LINE))]);
    }
}
