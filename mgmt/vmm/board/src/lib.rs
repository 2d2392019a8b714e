//! One guest's devices put together: what its accesses reach beyond the hypervisor's own devices.
//!
//! The management partition keeps a [`Board`] for each guest. It hands it the guest's I/O requests ([`Board::access`]) and
//! the doorbells that rang ([`Board::notify`]), and carries what comes of them ([`Board::take_effects`]) to the hypervisor.
//! A board is a state machine: no clock, no thread, no hypercall. Invariants: no access panics or allocates, and each does
//! bounded work, whatever the guest does to registers and memory; nothing reaches memory but RAM of this guest; interrupts
//! are sent only where the guest has enabled them.
//!
//! What a guest sees:
//!
//! | where | what |
//! |---|---|
//! | ports 0xcf8 to 0xcff, memory [`map::ECAM`] | configuration spaces of bus 0 |
//! | 00:00.0, 00:01.0, 00:02.0 | host bridge, virtio console, virtio entropy source |
//! | memory [`map::PCI_WINDOW`] | BARs, placed and enabled as firmware would have left them |
//! | ports 0x600 to 0x605 | ACPI PM1a event and control block, SCI on GSI 9 |
//! | ports 0x60c, 0x60d | ACPI general-purpose events |
//! | ports 0x610 to 0x61f | processors that come and go |
//! | ports 0x60, 0x64 | a keyboard controller that can only reset |
//! | all else | reads of ones; writes do nothing |
//!
//! # Example
//!
//! ```
//! use vmm_board::{Access, Board, Effect, Operation, Parts, Processors};
//! use vmm_board::{Space, Width};
//! use vmm_ram::fake::FakeRam;
//!
//! # fn main() -> Result<(), vmm_board::SetupError> {
//! let ram = FakeRam::new(64 << 20);
//! let parts = Parts {
//!     terminal: Default::default(),
//!     entropy: Box::new(|bytes| bytes.fill(4)), // in earnest: from the partition's generator
//!     processors: Processors { possible: 2, present: 1 },
//! };
//! let mut board = Board::new(&ram, parts)?;
//!
//! // An I/O request of the guest: `Access::of_slot` makes this of its slot.
//! let vendor = board.access(Access {
//!     space: Space::Memory,
//!     address: 0xe000_8000,
//!     width: Width::Dword,
//!     operation: Operation::Read,
//! });
//! assert_eq!(vendor, 0x1043_1af4); // store it in the slot, then IoComplete
//!
//! // After every access, notification or call from outside: what the hypervisor must do.
//! board.power_button();
//! board.console_input(b"ls\n");
//! for effect in board.take_effects() {
//!     match effect {
//!         Effect::Message(message) => { /* MessageSend(message.address, message.data) */ }
//!         Effect::Line { gsi, level } => { /* LineSet(gsi, level) */ }
//!         Effect::DoorbellAdd { bell, address } => { /* DoorbellAdd, any size, an event port for `bell` */ }
//!         Effect::DoorbellRemove { bell, address } => { /* DoorbellRemove */ }
//!         Effect::ConsoleOutput => { /* soon: board.console_output(..), then take_effects again */ }
//!         Effect::ConsoleRoom => { /* board.console_input(..) takes more now */ }
//!         Effect::WorkLeft => { /* soon, and after others had their turn: board.work() */ }
//!         Effect::Fault { slot, fault } => { /* for the log: the guest's driver broke this device */ }
//!         Effect::ProcessorEjected(number) => { /* the guest has given it back */ }
//!         Effect::ProcessorKept(number) => { /* the guest was asked for it, and keeps it */ }
//!         Effect::PowerOff => { /* stop the partition; nothing remains */ }
//!         Effect::Reset => { /* stop, clear, load, board.reset(), start */ }
//!     }
//! }
//! # Ok(())
//! # }
//! ```
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod access;
mod acpi_pm;
mod board;
mod device;
mod doorbells;
mod effect;
#[cfg(feature = "fuzz")]
pub mod fuzz;
mod hot_plug;
mod keyboard_controller;
pub mod map;
mod pci_bus;
mod state;

pub use access::{Access, Operation};
pub use acpi_pm::ButtonOutcome;
pub use board::{Board, Parts};
pub use bulkhead_abi::io::Space;
pub use doorbells::DoorbellId;
pub use effect::{Effect, Effects};
pub use hot_plug::{Listening, MAX_PROCESSORS, Processors};
pub use state::RestoreError;
pub use vmm_pci::{BadState, Gsi, Level, Message, Slot, Width};
pub use vmm_virtio::{DeviceFault, EntropySource, SetupError, TerminalSize};
