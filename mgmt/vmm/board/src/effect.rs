//! [`Effect`]: what the owner of a board must do.

use alloc::vec::{Drain, Vec};

use vmm_pci::{Gsi, Level, Message, Slot};
use vmm_virtio::DeviceFault;

use crate::DoorbellId;

/// What the owner of a board must do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Send this message to the guest. The guest chose the address: whoever sends it checks it.
    Message(Message),
    /// Set an input of the guest's I/O APIC.
    Line {
        /// Which one.
        gsi: Gsi,
        /// The level that it has from now on.
        level: Level,
    },
    /// Let writes of any size to this guest-physical address ring [`crate::Board::notify`]. Until then, and where this fails,
    /// such writes as accesses do the same.
    DoorbellAdd {
        /// Which one.
        bell: DoorbellId,
        /// The address.
        address: u64,
    },
    /// Take that back.
    DoorbellRemove {
        /// Which one.
        bell: DoorbellId,
        /// The address that it was added with.
        address: u64,
    },
    /// The guest has written to its console: see [`crate::Board::console_output`]. Comes again only when that was called and
    /// there is more.
    ConsoleOutput,
    /// The console takes input again, of which it had refused some.
    ConsoleRoom,
    /// A device has more to do than one call may: see [`crate::Board::work`].
    WorkLeft,
    /// A driver did something wrong; its device waits for its reset.
    Fault {
        /// Which device.
        slot: Slot,
        /// What it was.
        fault: DeviceFault,
    },
    /// The guest has given back this processor, for which it was asked.
    ProcessorEjected(u32),
    /// The guest was asked for this processor and keeps it.
    ProcessorKept(u32),
    /// The guest has switched itself off.
    PowerOff,
    /// The guest wants to be reset.
    Reset,
}

/// Effects, in the order in which they must be carried out.
#[derive(Debug)]
pub struct Effects<'a>(Drain<'a, Effect>);

impl<'a> Effects<'a> {
    pub(crate) fn of(effects: &'a mut Vec<Effect>) -> Self {
        Self(effects.drain(..))
    }
}

impl Iterator for Effects<'_> {
    type Item = Effect;

    fn next(&mut self) -> Option<Effect> {
        self.0.next()
    }
}
