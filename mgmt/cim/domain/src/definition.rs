//! [`Definition`]: a virtual system as it is to be.

use crate::allocation::{Allocation, Resource};
use crate::boot::Boot;
use crate::id::AllocationId;
use crate::uuid::Uuid;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

/// The one VirtualSystemType.
pub const VIRTUAL_SYSTEM_TYPE: &str = "BH:PC-1";

/// A virtual system as it is to be: a VSSD with its RASDs. `None` leaves a choice to the host.
///
/// The defined configuration holds what clients said. [`resolve`](crate::Domain::resolved) fills every choice,
/// which makes the state configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// ElementName; need not be unique.
    pub name: String,
    /// VirtualSystemIdentifier as a client gave it; `None` for the UUID.
    pub identifier: Option<String>,
    /// What the guest finds in SMBIOS, and the Name of the system.
    pub uuid: Uuid,
    /// VirtualSystemType, where the client gave it.
    pub system_type: Option<String>,
    /// Description.
    pub description: Option<String>,
    /// Notes; `None` is NULL, which differs from an empty list.
    pub notes: Option<Vec<String>>,
    /// When it was defined, in microseconds since 1970-01-01T00:00:00 UTC.
    pub created: i64,
    /// When it starts without being asked.
    pub startup: Startup,
    /// AutomaticShutdownAction.
    pub shutdown: Option<ShutdownAction>,
    /// AutomaticRecoveryAction.
    pub recovery: Option<RecoveryAction>,
    /// What it boots.
    pub boot: Boot,
    /// Its resources, in the order of their numbers.
    pub allocations: Vec<Allocation>,
    /// The number of the next allocation.
    pub next_allocation: u32,
}

/// When a system starts without being asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Startup {
    /// AutomaticStartupAction.
    pub action: Option<StartupAction>,
    /// AutomaticStartupActionDelay.
    pub delay: Option<Duration>,
    /// AutomaticStartupActionSequenceNumber.
    pub sequence: Option<u16>,
}

/// What happens to a system when the host starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartupAction {
    /// Nothing.
    None,
    /// It starts if it ran when the host went down.
    IfActive,
    /// It starts.
    Always,
}

/// What happens to a system when the host stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShutdownAction {
    /// It is turned off.
    TurnOff,
    /// It is asked to shut down.
    ShutDown,
}

/// What happens to a system that has crashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecoveryAction {
    /// Nothing.
    None,
    /// It starts again.
    Restart,
}

impl Definition {
    /// A definition without resources, with every choice left to the host.
    #[must_use]
    pub fn new(name: String, uuid: Uuid, created: i64) -> Self {
        Definition {
            name,
            identifier: None,
            uuid,
            system_type: None,
            description: None,
            notes: None,
            created,
            startup: Startup::default(),
            shutdown: None,
            recovery: None,
            boot: Boot::default(),
            allocations: Vec::new(),
            next_allocation: 1,
        }
    }

    /// The allocation of a number.
    #[must_use]
    pub fn allocation(&self, id: AllocationId) -> Option<&Allocation> {
        self.allocations
            .iter()
            .find(|allocation| allocation.id == id)
    }

    /// The virtual CPUs, where they are decided.
    #[must_use]
    pub fn processors(&self) -> Option<u32> {
        self.allocations.iter().find_map(|allocation| {
            let Resource::Processor(settings) = &allocation.resource else {
                return None;
            };
            settings.count
        })
    }

    /// The bytes of RAM, where they are decided.
    #[must_use]
    pub fn memory_bytes(&self) -> Option<u64> {
        self.allocations.iter().find_map(|allocation| {
            let Resource::Memory(settings) = &allocation.resource else {
                return None;
            };
            settings.bytes
        })
    }
}
