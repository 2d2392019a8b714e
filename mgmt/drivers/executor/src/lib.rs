//! The management partition's executor: one thread, tasks that yield, timers and signals.
//!
//! The binary's main loop calls [`Executor::run_ready`], raises a [`Signal`] for each interrupt that came in, calls
//! [`Timers::fire`], and halts the CPU when nothing is ready. Nothing here knows interrupts or clocks: time is
//! passed in, so the tests run on a clock of their own.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod executor;
mod signal;
mod time;
mod timers;

pub use executor::{Executor, Progress, Spawner};
pub use signal::{Signal, Wait};
pub use time::Instant;
pub use timers::{Sleep, Timers};
