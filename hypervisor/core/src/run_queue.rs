//! Which vCPU of a physical CPU runs next: round robin by time slices, with the rest of a slice kept over short sleeps.
//!
//! Pure bookkeeping over slot numbers; the CPU's run loop owns it. A vCPU that wakes with time left in its slice goes first, so
//! that interrupts and requests are answered soon; one that has used its slice up goes last, so that nobody starves.

use alloc::collections::VecDeque;

use crate::machine::VCPU_PLACES;
use crate::time::Ticks;

/// A vCPU's place in its CPU's run loop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slot(pub usize);

/// The queue of those that can run, without the one that does.
#[derive(Debug)]
pub struct RunQueue {
    ready: VecDeque<Slot>,
    slice: Ticks,
}

/// What is left of a vCPU's slice; kept with the vCPU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Credit(Ticks);

impl RunQueue {
    /// An empty queue that gives `slice` at a time.
    pub fn new(slice: Ticks) -> Self {
        Self {
            ready: VecDeque::with_capacity(VCPU_PLACES),
            slice,
        }
    }

    /// A full slice.
    pub const fn fresh(&self) -> Credit {
        Credit(self.slice)
    }

    /// Whether somebody waits.
    pub fn is_contended(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The vCPU woke up, or was interrupted by something more urgent.
    pub fn enqueue(&mut self, slot: Slot, credit: &mut Credit) {
        if credit.0 == Ticks(0) {
            *credit = self.fresh();
            self.ready.push_back(slot);
        } else {
            self.ready.push_front(slot);
        }
    }

    /// The next to run.
    pub fn pick(&mut self) -> Option<Slot> {
        self.ready.pop_front()
    }
}

impl Credit {
    /// How long the vCPU may run before others get their turn.
    pub const fn left(self) -> Ticks {
        self.0
    }

    /// Takes away what was used.
    pub const fn spend(&mut self, used: Ticks) {
        self.0 = Ticks(self.0.0.saturating_sub(used.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spinners_take_turns() {
        let mut queue = RunQueue::new(Ticks(100));
        let mut credits = [queue.fresh(); 3];
        for (index, credit) in credits.iter_mut().enumerate().rev() {
            queue.enqueue(Slot(index), credit);
        }
        let mut order = Vec::new();
        for _ in 0..7 {
            let Slot(index) = queue.pick().unwrap();
            order.push(index);
            let left = credits[index].left();
            credits[index].spend(left);
            queue.enqueue(Slot(index), &mut credits[index]);
        }
        assert_eq!(order, [0, 1, 2, 0, 1, 2, 0]);
    }

    #[test]
    fn a_sleeper_that_wakes_goes_first_until_its_slice_is_used_up() {
        let mut queue = RunQueue::new(Ticks(100));
        let (mut spinner, mut sleeper) = (queue.fresh(), queue.fresh());
        spinner.spend(Ticks(30));
        queue.enqueue(Slot(0), &mut spinner);
        for _ in 0..10 {
            queue.enqueue(Slot(1), &mut sleeper);
            assert_eq!(queue.pick(), Some(Slot(1)));
            sleeper.spend(Ticks(10));
        }
        queue.enqueue(Slot(1), &mut sleeper);
        assert_eq!(queue.pick(), Some(Slot(0)), "ten short runs make a slice");
        assert_eq!(sleeper.left(), Ticks(100));
    }
}
