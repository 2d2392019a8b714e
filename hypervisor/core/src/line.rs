//! Collects the bytes that a partition prints into lines.

/// Longest line in bytes; a longer one is broken.
pub const MAX_LINE: usize = 200;

/// A line under construction.
#[derive(Debug)]
pub struct LineBuffer {
    bytes: [u8; MAX_LINE],
    length: usize,
}

/// Whether a line is complete now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Line {
    /// Not yet.
    Open,
    /// Take it with [`LineBuffer::take`].
    Complete,
}

impl LineBuffer {
    /// An empty line.
    pub const fn new() -> Self {
        Self {
            bytes: [0; MAX_LINE],
            length: 0,
        }
    }

    /// Adds a byte. Control characters other than TAB show as `?`, so that a guest cannot drive the console.
    pub fn push(&mut self, byte: u8) -> Line {
        match byte {
            b'\n' => return Line::Complete,
            b'\r' => return Line::Open,
            _ => {}
        }
        let shown = if byte == b'\t' || (0x20..0x7f).contains(&byte) || byte >= 0x80 {
            byte
        } else {
            b'?'
        };
        if let Some(slot) = self.bytes.get_mut(self.length) {
            *slot = shown;
            self.length += 1;
        }
        if self.length == MAX_LINE {
            Line::Complete
        } else {
            Line::Open
        }
    }

    /// The line so far; starts a new one. Bytes that are not UTF-8 end it early.
    pub fn take(&mut self) -> &str {
        let length = core::mem::take(&mut self.length);
        let bytes = self.bytes.get(..length).unwrap_or_default();
        match core::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
                core::str::from_utf8(valid).unwrap_or_default()
            }
        }
    }

    /// What was printed since the last line, where that is anything.
    pub fn take_rest(&mut self) -> Option<&str> {
        if self.length == 0 {
            None
        } else {
            Some(self.take())
        }
    }
}

impl Default for LineBuffer {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(buffer: &mut LineBuffer, text: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for &byte in text {
            if buffer.push(byte) == Line::Complete {
                lines.push(buffer.take().to_string());
            }
        }
        lines
    }

    #[test]
    fn lines_end_at_newlines_and_at_the_limit() {
        let mut buffer = LineBuffer::new();
        assert_eq!(feed(&mut buffer, b"one\r\ntwo\nthr"), ["one", "two"]);
        assert_eq!(feed(&mut buffer, b"ee\n"), ["three"]);
        let long = [b'x'; MAX_LINE + 5];
        assert_eq!(feed(&mut buffer, &long), ["x".repeat(MAX_LINE)]);
        assert_eq!(buffer.take_rest(), Some("xxxxx"));
        assert_eq!(buffer.take_rest(), None);
    }

    #[test]
    fn escapes_and_broken_utf8_do_not_reach_the_console() {
        let mut buffer = LineBuffer::new();
        assert_eq!(feed(&mut buffer, b"a\x1b[2Jb\n"), ["a?[2Jb"]);
        assert_eq!(feed(&mut buffer, b"ok\xff\xfebad\n"), ["ok"]);
        assert_eq!(feed(&mut buffer, "ü\n".as_bytes()), ["ü"]);
    }
}
