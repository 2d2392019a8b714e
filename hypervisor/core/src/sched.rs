//! Which vCPU of a physical CPU runs next, and which physical CPU a vCPU is given to: weights, reservations and limits.
//!
//! Pure bookkeeping over slot numbers and instants: one [`Scheduler`] in each CPU's run loop; [`placement`] is asked where partitions
//! are made and changed. The rules:
//!
//! - **Weight.** A system's weight is divided among its vCPUs. Each vCPU has a start tag: what it ran so far, divided by its weight.
//!   The lowest tag runs next (start-time fair queueing), so that two vCPUs that want to run never differ by more than a turn each,
//!   whatever the lengths of turns. A turn is the vCPU's share of two slices, between an eighth of a slice and a slice: two that are
//!   alike take turns of a slice.
//! - **Waking.** Who slept comes back with at most a slice of what it did not use. As long as that lasts it goes before everybody
//!   who runs on and on, at once, in turns of an eighth of a slice among several of its kind. Whoever uses more than its share has
//!   nothing left and waits its turn.
//! - **Reservation.** Each vCPU that has one has a second tag in real time: when it would have run so much at its reserved pace. Where
//!   that is past, it goes before all others. At most [`placement::RESERVABLE`] of a CPU is reserved, so that the others never starve.
//! - **Limit.** A vCPU of a limited system runs on chunks that it takes from the system beforehand; chunks become valid at the pace of
//!   the limit, in the order in which they were asked for. Until then it is held back.
//!
//! Each decision costs a few steps in heaps of what the CPU has; nothing allocates but [`Scheduler::admit`].

mod entitlement;
mod heap;
pub mod placement;
mod scheduler;
mod system;
#[cfg(test)]
mod tests;

pub use entitlement::{DEFAULT_WEIGHT, Entitlement, MAX_LIMIT, MAX_WEIGHT};
pub use scheduler::{Scheduler, Turn};
pub use system::System;

/// A vCPU's place in its CPU's run loop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slot(pub usize);
