//! The port to CPUs that deliver a local APIC's interrupts by themselves: what is requested, in service, and of which priority is in
//! the CPU's hands then, and the guest needs no exit to take an interrupt, to end it, to send itself one, or to set its priority.
//!
//! Core lends that state to the CPU before an entry ([`crate::exit`], `hand_over`) and takes it back whenever it needs to look at it
//! or to change it itself ([`crate::vcpu_record::VcpuRecord::reclaim`]). Meanwhile the record's local APIC collects what arrives, and
//! delivers nothing. Only APICs in x2APIC mode are lent: their registers are MSRs, which each vCPU can have open or closed.

use crate::local_apic::VectorBits;

/// What the CPU holds of a local APIC.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct HeldInterrupts {
    /// Vectors that wait (IRR).
    pub requested: VectorBits,
    /// Vectors in service (ISR).
    pub in_service: VectorBits,
    /// The task priority register.
    pub task_priority: u8,
}

/// A vCPU whose CPU may deliver interrupts by itself. Backends that cannot have nothing to add.
pub trait InterruptDelivery {
    /// Whether any CPU of this backend can; where not, nothing of this is in the exit loop.
    const POSSIBLE: bool = false;

    /// Whether this CPU does.
    fn delivers(&self) -> bool {
        false
    }

    /// The CPU gets the state, from the next entry on.
    fn lend(&mut self, _held: &HeldInterrupts) {}

    /// The CPU gives back the state that it was lent; CR8 goes on showing the task priority.
    fn give_back(&mut self) -> HeldInterrupts {
        HeldInterrupts::default()
    }

    /// More vectors are requested while the state is lent.
    fn request(&mut self, _vectors: &VectorBits) {}

    /// Asks for [`crate::vcpu::Exit::EndOfInterrupt`] where one of these vectors ends, while the state is lent. They are also what the guest
    /// sees as level-triggered.
    fn watch_ends(&mut self, _level: &VectorBits) {}

    /// Whether a requested vector has a priority that lets it through, while the state is lent. To be asked before each entry where
    /// something may have been requested.
    fn has_deliverable(&mut self) -> bool {
        false
    }
}
