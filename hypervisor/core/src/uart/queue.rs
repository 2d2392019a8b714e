//! The sixteen bytes of a 16550A's receiver or transmitter.

/// Bytes that fit.
pub const DEPTH: usize = 16;

/// A queue of up to [`DEPTH`] bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ByteQueue {
    bytes: [u8; DEPTH],
    first: u8,
    count: u8,
}

impl ByteQueue {
    /// An empty queue.
    pub const fn new() -> Self {
        Self {
            bytes: [0; DEPTH],
            first: 0,
            count: 0,
        }
    }

    /// How many bytes it holds.
    pub const fn len(&self) -> u8 {
        self.count
    }

    /// Whether it holds none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds a byte; `false` where the queue is full and stays as it is.
    pub fn push(&mut self, byte: u8) -> bool {
        let place = usize::from(self.first.wrapping_add(self.count)) % DEPTH;
        match self.bytes.get_mut(place) {
            Some(slot) if usize::from(self.count) < DEPTH => {
                *slot = byte;
                self.count += 1;
                true
            }
            _ => false,
        }
    }

    /// The oldest byte, which stays.
    pub fn first(&self) -> Option<u8> {
        if self.is_empty() {
            return None;
        }
        self.bytes.get(usize::from(self.first)).copied()
    }

    /// Takes the oldest byte.
    pub fn pop(&mut self) -> Option<u8> {
        let byte = self.first()?;
        self.first = (self.first + 1) % DEPTH as u8;
        self.count -= 1;
        Some(byte)
    }

    /// Drops all bytes.
    pub fn clear(&mut self) {
        self.count = 0;
    }

    /// The bytes in order.
    pub fn iter(&self) -> impl Iterator<Item = u8> + '_ {
        self.bytes
            .iter()
            .cycle()
            .skip(usize::from(self.first))
            .take(usize::from(self.count))
            .copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_in_order_across_the_wrap() {
        let mut queue = ByteQueue::new();
        for round in 0..40u8 {
            assert!(queue.push(round));
            assert!(queue.push(round ^ 0x80));
            assert_eq!(queue.iter().collect::<Vec<_>>(), [round, round ^ 0x80]);
            assert_eq!(queue.pop(), Some(round));
            assert_eq!(queue.pop(), Some(round ^ 0x80));
            assert_eq!(queue.pop(), None);
        }
    }

    #[test]
    fn a_full_queue_keeps_what_it_has() {
        let mut queue = ByteQueue::new();
        assert!((0..16).all(|byte| queue.push(byte)));
        assert!(!queue.push(16));
        assert_eq!(
            queue.iter().collect::<Vec<_>>(),
            (0..16).collect::<Vec<_>>()
        );
    }
}
