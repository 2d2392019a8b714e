//! Slots in the order of their tags: a binary heap that knows where each slot is, so that any of them can be taken out.
//!
//! The lowest has a seat outside of the heap: one that comes and goes alone, as most vCPUs do, costs a store and a load. Memory comes
//! from [`Heap::make_room`] alone.

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

impl<T: Ord> Node<T> {
    #[inline]
    fn precedes(&self, other: &Self) -> bool {
        self.tag < other.tag || self.tag == other.tag && self.order < other.order
    }
}

/// The heap.
#[derive(Debug)]
pub struct Heap<T> {
    /// The lowest of all; empty only where `nodes` is.
    seat: Option<Node<T>>,
    /// All others.
    nodes: Vec<Node<T>>,
    /// Where each slot's node is, of those in `nodes`.
    places: Vec<u32>,
    /// Comparisons so far.
    #[cfg(test)]
    pub comparisons: core::cell::Cell<u64>,
}

impl<T: Copy + Ord> Heap<T> {
    /// Without slots; room for `slots` of them.
    pub fn new(slots: usize) -> Self {
        Self {
            seat: None,
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
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.seat.is_none()
    }

    /// The lowest tag and its slot; of equal tags the one with the lowest order.
    #[inline]
    pub fn first(&self) -> Option<(T, Slot)> {
        self.seat
            .as_ref()
            .map(|node| (node.tag, Slot(node.slot as usize)))
    }

    /// Inserts a slot that is not in it and has room.
    #[inline]
    pub fn insert(&mut self, slot: Slot, tag: T, order: u64) {
        let slot = slot.0 as u32;
        let node = Node { tag, order, slot };
        match self.seat {
            None => self.seat = Some(node),
            Some(_) => self.insert_more(node),
        }
    }

    /// Takes the first one out.
    #[inline]
    pub fn remove_first(&mut self) {
        self.seat = None;
        if !self.nodes.is_empty() {
            self.fill_seat();
        }
    }

    /// Takes a slot out, if it is there.
    pub fn remove(&mut self, slot: Slot) {
        if self.first().is_some_and(|(_, first)| first == slot) {
            return self.remove_first();
        }
        let at = match self.places.get(slot.0) {
            Some(place) if *place != OUTSIDE => *place as usize,
            _ => return,
        };
        let _ = self.take(at);
    }

    /// Inserts beside the one in the seat.
    #[inline(never)]
    fn insert_more(&mut self, mut node: Node<T>) {
        if let Some(seat) = &mut self.seat
            && self.nodes.len() < self.places.len()
        {
            #[cfg(test)]
            self.comparisons.set(self.comparisons.get() + 1);
            if node.precedes(seat) {
                core::mem::swap(seat, &mut node);
            }
            let at = self.nodes.len();
            self.nodes.push(node);
            self.settle(at);
            self.rise(at);
        }
    }

    /// Puts the lowest of the others into the empty seat.
    #[inline(never)]
    fn fill_seat(&mut self) {
        if self.nodes.len() > 1 {
            self.seat = self.take(0);
        } else if let Some(node) = self.nodes.pop() {
            if let Some(place) = self.places.get_mut(node.slot as usize) {
                *place = OUTSIDE;
            }
            self.seat = Some(node);
        }
    }

    /// Takes the node at `at` out.
    fn take(&mut self, at: usize) -> Option<Node<T>> {
        if at >= self.nodes.len() {
            return None;
        }
        let node = self.nodes.swap_remove(at);
        if let Some(place) = self.places.get_mut(node.slot as usize) {
            *place = OUTSIDE;
        }
        if at < self.nodes.len() {
            // What was last is somewhere else now.
            self.settle(at);
            self.rise(at);
            self.sink(at);
        }
        Some(node)
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
            (Some(a), Some(b)) => a.precedes(b),
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
