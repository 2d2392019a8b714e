//! The last bytes that a console has printed.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Bytes of scroll-back.
pub const SCROLL_BACK: usize = 64 * 1024;

/// The last [`SCROLL_BACK`] bytes of a stream, each with its place in the stream.
#[derive(Default)]
pub(crate) struct Ring {
    bytes: VecDeque<u8>,
    /// Place after the last byte.
    end: u64,
}

/// What a reader gets.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Read {
    /// Bytes that it was too late for.
    pub(crate) missed: u64,
    /// What comes then.
    pub(crate) bytes: Vec<u8>,
}

impl Ring {
    /// Adds bytes; the oldest go.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.end = self.end.saturating_add(bytes.len() as u64);
        let kept = bytes.len().saturating_sub(SCROLL_BACK);
        let kept = bytes.get(kept..).unwrap_or_default();
        let over = (self.bytes.len() + kept.len()).saturating_sub(SCROLL_BACK);
        self.bytes.drain(..over.min(self.bytes.len()));
        self.bytes.extend(kept);
    }

    /// Place of the oldest byte.
    pub(crate) fn start(&self) -> u64 {
        self.end.saturating_sub(self.bytes.len() as u64)
    }

    /// Place after the newest byte.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// At most `limit` bytes from `at` on, or from the oldest one.
    pub(crate) fn read(&self, at: u64, limit: usize) -> Read {
        let missed = self.start().saturating_sub(at);
        let skip = at.saturating_sub(self.start());
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        let bytes = self.bytes.iter().skip(skip).take(limit);
        Read {
            missed,
            bytes: bytes.copied().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_bytes_are_kept_with_their_places() {
        let mut ring = Ring::default();
        ring.push(b"hello");
        assert_eq!(ring.read(0, 3).bytes, b"hel");
        assert_eq!(ring.read(3, 100).bytes, b"lo");
        assert_eq!(ring.read(5, 100), Read::default());
        ring.push(&vec![b'x'; SCROLL_BACK - 2]);
        assert_eq!((ring.start(), ring.end()), (3, SCROLL_BACK as u64 + 3));
        let read = ring.read(1, 4);
        assert_eq!((read.missed, read.bytes.as_slice()), (2, &b"loxx"[..]));
        ring.push(&vec![b'y'; 3 * SCROLL_BACK]);
        assert_eq!(ring.read(0, 1).bytes, b"y");
        assert_eq!(ring.end() - ring.start(), SCROLL_BACK as u64);
    }
}
