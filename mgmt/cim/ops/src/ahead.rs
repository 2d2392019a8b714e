//! [`Ahead`]: a stream that can be looked ahead of.

use crate::engine::fused;
use crate::response::Stream;
use alloc::collections::VecDeque;
use cim_model::CimError;

/// A stream with the objects that were made before anybody took them.
pub(crate) struct Ahead<T> {
    ready: VecDeque<Result<T, CimError>>,
    stream: Stream<T>,
}

impl<T: 'static> Ahead<T> {
    /// Nothing is made before it is asked for.
    pub(crate) fn new(stream: Stream<T>) -> Self {
        Ahead {
            ready: VecDeque::new(),
            stream: fused(stream),
        }
    }

    /// Whether nothing is left; makes one object to know.
    pub(crate) fn is_exhausted(&mut self) -> bool {
        self.count_up_to(0) == Some(0)
    }

    /// How many objects wait to be taken.
    pub(crate) fn made(&self) -> usize {
        self.ready.len()
    }

    /// How many objects are left, if that is not more than `limit`. At most one more than that are made, and kept.
    pub(crate) fn count_up_to(&mut self, limit: usize) -> Option<usize> {
        while self.ready.len() <= limit {
            match self.stream.next() {
                Some(object) => self.ready.push_back(object),
                None => return Some(self.ready.len()),
            }
        }
        None
    }
}

impl<T> Iterator for Ahead<T> {
    type Item = Result<T, CimError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.ready.pop_front().or_else(|| self.stream.next())
    }
}
