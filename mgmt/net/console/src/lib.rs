//! Consoles of virtual systems over the network.
//!
//! Called by the management partition: a [`Console`] for each system takes what the guest prints and gives what people
//! type; a [`ConsoleService`] for it goes on a port of the IP stack. Who connects logs in by text prompts, gets what the
//! console has printed last, and then bytes both ways until Ctrl-] or the end of the connection. Telnet clients (RFC 854)
//! and plain TCP clients are both served.
//!
//! Invariants:
//! - nothing of a console is shown before its viewer has logged in;
//! - a guest never waits for a viewer: who reads too slowly misses output and is told so;
//! - what a viewer can make us keep is bounded.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod console;
mod gate;
mod line;
mod ring;
mod session;
mod telnet;

pub use console::Console;
pub use gate::{Gate, Pass};
pub use ring::SCROLL_BACK;
pub use session::ConsoleService;
