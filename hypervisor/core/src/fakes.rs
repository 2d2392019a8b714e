//! Fakes for every port of the policy layer, for the unit tests of the exit loop and everything below it.
//!
//! [`Scripted`] is the third backend beside the hardware's two; [`FakeHost`] is a physical CPU with a clock that stands
//! still until a test moves it; [`World`] builds a machine with partitions over both.

mod backend;
mod bench;
mod delivery;
mod host;
mod memory;
mod registers;
mod script;
mod world;

pub use bench::{Bench, fuzz_rounds};
pub use host::{Ended, FakeHost, SLICE};
pub use memory::Walked;
pub use registers::initial as initial_extended;
pub use script::{FakeCpu, Lengths, Queued, Scripted};
pub use world::{FAR_BYTES, GUEST_BYTES, MANAGER_BASE, POOL_BASE, POOL_BYTES, World, cpuid_table};
