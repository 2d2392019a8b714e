//! The virtual machine control block: layout and typed access (APM 2 15.5, appendix B).
//!
//! Fields are private. Every setter of state that the CPU may cache clears the clean bit of exactly that group
//! (APM 2 15.15.3), so that no caller can forget it.

mod control;
mod event;
mod layout;
mod registers;
mod state;

#[cfg(test)]
mod tests;

pub use control::{Intercepts, Taken, TlbControl};
pub use event::{Event, EventKind};
pub use layout::{Segment, Vmcb};
pub use state::EFER_SVME;
