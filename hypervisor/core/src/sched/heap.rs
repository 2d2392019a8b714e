//! Slots in the order of their tags: a binary heap that knows where each slot is, so that any of them can be taken out.
//!
//! Memory comes from [`Heap::make_room`] alone.

use alloc::vec::Vec;

use super::Slot;

/// A slot's place is not in the heap.
const OUTSIDE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Node<T> {
    tag: T,
    /// Decides between equal tags.
    order: u64,
    slot: u32,
}

/// The heap.
#[derive(Debug)]
pub struct Heap<T> {
    nodes: Vec<Node<T>>,
    /// Where each slot's node is.
    places: Vec<u32>,
    /// Comparisons so far.
    #[cfg(test)]
    pub comparisons: core::cell::Cell<u64>,
}

impl<T: Copy + Ord> Heap<T> {
    /// Without slots; room for `slots` of them.
    pub fn new(slots: usize) -> Self {
        Self {
            nodes: Vec::with_capacity(slots),
            places: Vec::with_capacity(slots),
            #[cfg(test)]
            comparisons: core::cell::Cell::new(0),
        }
    }

    /// `slot` may be inserted from now on.
    pub fn make_room(&mut self, slot: Slot) {
        let slots = slot.0.saturating_add(1).max(self.places.len());
        self.places.resize(slots, OUTSIDE);
        self.nodes.reserve(slots.saturating_sub(self.nodes.len()));
    }

    /// Whether no slot is in it.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The lowest tag and its slot; of equal tags the one with the lowest order.
    #[inline]
    pub fn first(&self) -> Option<(T, Slot)> {
        self.nodes
            .first()
            .map(|node| (node.tag, Slot(node.slot as usize)))
    }

    /// Inserts a slot that is not in it.
    #[inline]
    pub fn insert(&mut self, slot: Slot, tag: T, order: u64) {
        let at = self.nodes.len();
        if let Some(place) = self.places.get_mut(slot.0)
            && *place == OUTSIDE
        {
            *place = at as u32;
            let slot = slot.0 as u32;
            self.nodes.push(Node { tag, order, slot });
            self.rise(at);
        }
    }

    /// Takes a slot out, if it is there.
    #[inline]
    pub fn remove(&mut self, slot: Slot) {
        let Some(place) = self.places.get_mut(slot.0) else {
            return;
        };
        let at = core::mem::replace(place, OUTSIDE) as usize;
        if at >= self.nodes.len() {
            return;
        }
        self.nodes.swap_remove(at);
        if at < self.nodes.len() {
            // What was last is somewhere else now.
            self.settle(at);
            self.rise(at);
            self.sink(at);
        }
    }

    /// Room for so many.
    #[cfg(test)]
    pub fn capacity(&self) -> usize {
        self.nodes.capacity()
    }

    /// Whether the node at `a` goes before the one at `b`; `false` where one of them does not exist.
    fn precedes(&self, a: usize, b: usize) -> bool {
        #[cfg(test)]
        self.comparisons.set(self.comparisons.get() + 1);
        match (self.nodes.get(a), self.nodes.get(b)) {
            (Some(a), Some(b)) => (a.tag, a.order) < (b.tag, b.order),
            _ => false,
        }
    }

    /// Writes down where the node at `at` is.
    fn settle(&mut self, at: usize) {
        if let Some(node) = self.nodes.get(at)
            && let Some(place) = self.places.get_mut(node.slot as usize)
        {
            *place = at as u32;
        }
    }

    fn exchange(&mut self, a: usize, b: usize) {
        self.nodes.swap(a, b);
        self.settle(a);
        self.settle(b);
    }

    fn rise(&mut self, mut at: usize) {
        while at > 0 {
            let parent = (at - 1) / 2;
            if !self.precedes(at, parent) {
                break;
            }
            self.exchange(at, parent);
            at = parent;
        }
    }

    fn sink(&mut self, mut at: usize) {
        loop {
            let left = at * 2 + 1;
            if left >= self.nodes.len() {
                break;
            }
            let right = left + 1;
            let lower = match self.precedes(right, left) {
                true => right,
                false => left,
            };
            if !self.precedes(lower, at) {
                break;
            }
            self.exchange(lower, at);
            at = lower;
        }
    }
}
