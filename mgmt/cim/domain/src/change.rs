//! What a client says about a definition: [`DefinitionChange`] and [`AllocationChange`].

use crate::allocation::{ConsoleKind, Mapping, ResourceKind};
use crate::boot::{BootFormat, BootModule};
use crate::definition::{RecoveryAction, ShutdownAction, StartupAction};
use crate::image::ImageName;
use crate::patch::Patch;
use crate::uuid::Uuid;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

/// What a client says about a system, property by property.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DefinitionChange {
    /// ElementName.
    pub name: Patch<String>,
    /// VirtualSystemIdentifier.
    pub identifier: Patch<String>,
    /// The UUID; only when the system is defined.
    pub uuid: Patch<Uuid>,
    /// VirtualSystemType.
    pub system_type: Patch<String>,
    /// Description.
    pub description: Patch<String>,
    /// Notes.
    pub notes: Patch<Vec<String>>,
    /// AutomaticStartupAction.
    pub startup: Patch<StartupAction>,
    /// AutomaticStartupActionDelay.
    pub startup_delay: Patch<Duration>,
    /// AutomaticStartupActionSequenceNumber.
    pub startup_sequence: Patch<u16>,
    /// AutomaticShutdownAction.
    pub shutdown: Patch<ShutdownAction>,
    /// AutomaticRecoveryAction.
    pub recovery: Patch<RecoveryAction>,
    /// The kernel.
    pub kernel: Patch<ImageName>,
    /// The initial RAM disk.
    pub initrd: Patch<ImageName>,
    /// The command line.
    pub command_line: Patch<String>,
    /// The boot format.
    pub format: Patch<BootFormat>,
    /// The boot modules.
    pub modules: Patch<Vec<BootModule>>,
    /// Where a flat binary goes.
    pub load_address: Patch<u64>,
    /// Where a flat binary starts.
    pub entry_address: Patch<u64>,
}

/// What a client says about an allocation, property by property, in the client's own units.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllocationChange {
    /// The kind, where the client says it; a change cannot alter it.
    pub kind: Option<ResourceKind>,
    /// What a console is to be.
    pub console: Option<ConsoleKind>,
    /// ElementName.
    pub name: Patch<String>,
    /// PoolID.
    pub pool: Patch<String>,
    /// VirtualQuantity.
    pub quantity: Patch<u64>,
    /// VirtualQuantityUnits.
    pub quantity_units: Patch<String>,
    /// AllocationUnits.
    pub allocation_units: Patch<String>,
    /// Reservation.
    pub reservation: Patch<u64>,
    /// Limit.
    pub limit: Patch<u64>,
    /// Weight.
    pub weight: Patch<u32>,
    /// How many processors there can be while the system is on.
    pub maximum: Patch<u32>,
    /// Packages that the guest sees.
    pub sockets: Patch<u32>,
    /// Cores in a package.
    pub cores: Patch<u32>,
    /// Threads in a core.
    pub threads: Patch<u32>,
    /// MappingBehavior.
    pub mapping: Patch<Mapping>,
    /// HostResource.
    pub host: Patch<Vec<HostDevice>>,
}

/// A device of the host that HostResource names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostDevice {
    /// The physical CPU of this number.
    Processor(u32),
    /// The memory of the NUMA node of this number.
    Memory(u32),
}

/// A new allocation and where it stands in the request, for sentences: `ResourceSettings[2]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAllocation {
    /// Where it stands.
    pub place: String,
    /// What it says.
    pub change: AllocationChange,
}
