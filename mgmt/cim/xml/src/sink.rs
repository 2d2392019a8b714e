//! Where output goes: [`Sink`], and the two sinks that come with the codec.

use alloc::vec::Vec;
use core::fmt;

/// The sink takes no more bytes. Why, only the sink knows; it keeps the reason for its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SinkError;

impl fmt::Display for SinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the receiver of the message takes no more bytes")
    }
}

impl core::error::Error for SinkError {}

/// A receiver of bytes. The encoder writes many small pieces, so a sink should be cheap per call; put a
/// [`ChunkSink`] before an expensive one.
pub trait Sink {
    /// Takes bytes.
    ///
    /// # Errors
    /// [`SinkError`] when no more can be taken; the message is then incomplete and must be abandoned.
    fn write(&mut self, bytes: &[u8]) -> Result<(), SinkError>;
}

impl Sink for Vec<u8> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        self.extend_from_slice(bytes);
        Ok(())
    }
}

impl<S: Sink + ?Sized> Sink for &mut S {
    fn write(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        (**self).write(bytes)
    }
}

/// Collects small pieces into chunks of up to `N` bytes and gives each full one to `flush`.
///
/// Call [`ChunkSink::finish`] at the end; what is left is lost otherwise.
pub struct ChunkSink<const N: usize, F> {
    buffer: [u8; N],
    used: usize,
    flush: F,
}

impl<const N: usize, F: FnMut(&[u8]) -> Result<(), SinkError>> ChunkSink<N, F> {
    /// A sink with an empty chunk.
    pub const fn new(flush: F) -> Self {
        ChunkSink {
            buffer: [0; N],
            used: 0,
            flush,
        }
    }

    /// Gives away what is collected.
    ///
    /// # Errors
    /// Those of `flush`.
    pub fn finish(mut self) -> Result<(), SinkError> {
        self.flush_buffer()
    }

    fn flush_buffer(&mut self) -> Result<(), SinkError> {
        let chunk = self.buffer.get(..self.used).unwrap_or_default();
        self.used = 0;
        if chunk.is_empty() {
            Ok(())
        } else {
            (self.flush)(chunk)
        }
    }
}

impl<const N: usize, F: FnMut(&[u8]) -> Result<(), SinkError>> Sink for ChunkSink<N, F> {
    fn write(&mut self, mut bytes: &[u8]) -> Result<(), SinkError> {
        while !bytes.is_empty() {
            let room = self.buffer.get_mut(self.used..).unwrap_or_default();
            if room.is_empty() {
                if N == 0 {
                    return (self.flush)(bytes);
                }
                self.flush_buffer()?;
                continue;
            }
            let count = room.len().min(bytes.len());
            let (now, later) = bytes.split_at(count);
            for (slot, byte) in room.iter_mut().zip(now) {
                *slot = *byte;
            }
            self.used += count;
            bytes = later;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_full_except_the_last() {
        let mut chunks: Vec<Vec<u8>> = Vec::new();
        let mut sink = ChunkSink::<4, _>::new(|chunk: &[u8]| {
            chunks.push(chunk.to_vec());
            Ok(())
        });
        for piece in ["a", "", "bcdef", "ghijklmno"] {
            sink.write(piece.as_bytes()).unwrap();
        }
        sink.finish().unwrap();
        let texts: Vec<_> = chunks
            .iter()
            .map(|chunk| std::str::from_utf8(chunk).unwrap())
            .collect();
        assert_eq!(texts, ["abcd", "efgh", "ijkl", "mno"]);
    }

    #[test]
    fn a_refusing_sink_ends_the_message() {
        let mut sink = ChunkSink::<2, _>::new(|_: &[u8]| Err(SinkError));
        assert_eq!(sink.write(b"abc"), Err(SinkError));
    }
}
