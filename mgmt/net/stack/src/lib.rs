//! The management partition's IP stack: smoltcp with an address plan, ping, and a pool of TCP listeners that serve a
//! [`mgmt_link::Service`].
//!
//! The stack is polled: after each interrupt of the card, and at [`Stack::deadline`]. Time and frames are passed in,
//! so the tests run two stacks against each other on the host.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod caller;
mod device;
mod gate;
mod listener;
mod pace;
mod plan;
mod pool;
mod ports;
mod stack;

pub use device::FrameDevice;
pub use pace::Pace;
pub use plan::{AddressPlan, PlanError};
pub use ports::Ports;
pub use stack::{Report, Stack, StackConfig};
