//! The scripted vCPU as one whose CPU delivers interrupts by itself.

use super::script::{Queued, Scripted};
use crate::id::Vector;
use crate::interrupt_delivery::{HeldInterrupts, InterruptDelivery};
use crate::local_apic::VectorBits;

impl Scripted {
    /// The vector that comes next, if any.
    fn next_held(&self) -> Option<Vector> {
        let held = self.lent?;
        let top = held.requested.highest();
        let service = held.in_service.highest() & 0xf0;
        let priority = service.max(held.task_priority & 0xf0);
        (top & 0xf0 > priority).then_some(Vector(top))
    }

    /// Delivers it.
    pub(super) fn deliver_held(&mut self) {
        if let (Some(vector), Some(held)) = (self.next_held(), self.lent.as_mut()) {
            held.requested.remove(vector);
            held.in_service.insert(vector);
            self.delivered.push(Queued::Interrupt(vector.0));
        }
    }

    /// The guest ends the highest interrupt in service.
    pub fn end_of_interrupt(&mut self) {
        let held = self.lent.as_mut().expect("the CPU holds the interrupts");
        let vector = Vector(held.in_service.highest());
        held.in_service.remove(vector);
    }
}

impl InterruptDelivery for Scripted {
    const POSSIBLE: bool = true;

    fn delivers(&self) -> bool {
        self.delivers
    }

    fn lend(&mut self, held: &HeldInterrupts) {
        assert_eq!(self.lent.replace(*held), None, "lent twice");
    }

    fn give_back(&mut self) -> HeldInterrupts {
        let held = self.lent.take().expect("nothing was lent");
        self.cr8 = held.task_priority >> 4;
        held
    }

    fn request(&mut self, vectors: &VectorBits) {
        let held = self.lent.as_mut().expect("nothing was lent");
        for (word, more) in held.requested.0.iter_mut().zip(vectors.0) {
            *word |= more;
        }
    }

    fn watch_ends(&mut self, level: &VectorBits) {
        self.watched = *level;
    }

    fn has_deliverable(&mut self) -> bool {
        self.next_held().is_some()
    }
}
