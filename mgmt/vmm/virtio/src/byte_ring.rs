//! [`ByteRing`]: bytes that wait, in order, up to a limit.

use alloc::boxed::Box;
use alloc::vec;

/// Bytes that wait.
#[derive(Debug)]
pub(crate) struct ByteRing {
    bytes: Box<[u8]>,
    first: usize,
    length: usize,
}

impl ByteRing {
    pub fn new(capacity: usize) -> Self {
        Self {
            bytes: vec![0; capacity].into(),
            first: 0,
            length: 0,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub fn room(&self) -> usize {
        self.bytes.len() - self.length
    }

    pub fn clear(&mut self) {
        self.first = 0;
        self.length = 0;
    }

    /// The oldest bytes, as many as lie together: none only where none wait.
    pub fn front(&self) -> &[u8] {
        let end = (self.first + self.length).min(self.bytes.len());
        self.bytes.get(self.first..end).unwrap_or_default()
    }

    /// Drops the oldest bytes.
    pub fn drop_front(&mut self, bytes: usize) {
        let bytes = bytes.min(self.length);
        self.length -= bytes;
        self.first += bytes;
        if self.first >= self.bytes.len() {
            self.first -= self.bytes.len();
        }
    }

    /// Free bytes behind the newest, as many as lie together: none only where there is no room.
    pub fn back(&mut self) -> &mut [u8] {
        let (start, end) = match self.first + self.length {
            sum if sum >= self.bytes.len() => (sum - self.bytes.len(), self.first),
            sum => (sum, self.bytes.len()),
        };
        self.bytes.get_mut(start..end).unwrap_or_default()
    }

    /// Takes the first of [`ByteRing::back`] in.
    pub fn add_back(&mut self, bytes: usize) {
        self.length += bytes.min(self.room());
    }

    /// Adds what there is room for; returns how many bytes that were.
    pub fn push(&mut self, from: &[u8]) -> usize {
        let mut done = 0;
        while let Some(rest) = from.get(done..).filter(|rest| !rest.is_empty()) {
            let back = self.back();
            let here = rest.len().min(back.len());
            if here == 0 {
                break;
            }
            if let (Some(target), Some(source)) = (back.get_mut(..here), rest.get(..here)) {
                target.copy_from_slice(source);
            }
            self.add_back(here);
            done += here;
        }
        done
    }

    /// Takes the oldest bytes; returns how many there were.
    pub fn pop(&mut self, into: &mut [u8]) -> usize {
        let mut done = 0;
        while let Some(rest) = into.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let front = self.front();
            let here = rest.len().min(front.len());
            if here == 0 {
                break;
            }
            if let (Some(target), Some(source)) = (rest.get_mut(..here), front.get(..here)) {
                target.copy_from_slice(source);
            }
            self.drop_front(here);
            done += here;
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_in_order_across_the_end() {
        let mut ring = ByteRing::new(4);
        let mut out = [0; 4];
        assert_eq!(ring.push(&[1, 2, 3]), 3);
        assert_eq!(ring.pop(&mut out[..2]), 2);
        assert_eq!(ring.push(&[4, 5, 6, 7]), 3);
        assert_eq!(ring.room(), 0);
        assert_eq!(ring.back(), []);
        assert_eq!(ring.pop(&mut out), 4);
        assert_eq!(out, [3, 4, 5, 6]);
        assert!(ring.is_empty());
        assert_eq!(ring.pop(&mut out), 0);
    }

    #[test]
    fn a_ring_without_room_takes_nothing() {
        let mut ring = ByteRing::new(0);
        assert_eq!(ring.push(&[1]), 0);
        assert_eq!(ring.pop(&mut [0]), 0);
    }
}
