//! The hypervisor as the management partition uses it: typed hypercalls, the event page, I/O requests of other
//! partitions.
//!
//! The binary implements [`Trap`] with one instruction, and the shared pages with atomics; everything else is here and
//! runs on the host against fakes.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod console;
mod events;
mod hypervisor;
mod request;
mod scratch;
mod text;
mod transfer;

pub use console::{ConsoleMemory, ConsolePage};
pub use events::{EventPage, EventPort, EventWords, PortAllocator};
pub use hypervisor::{
    Doorbell, Hypervisor, LineLevel, Message, PartitionId, Refusal, Shares, Trap,
};
pub use request::{Direction, Place, PortDevice, PortDevices, Request};
pub use scratch::Scratch;
pub use text::{CrashText, field_text, state_name};
