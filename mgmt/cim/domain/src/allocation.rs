//! [`Allocation`]: a resource that a system is to have.

use crate::id::AllocationId;
use alloc::string::String;
use alloc::vec::Vec;

/// A resource that a system is to have: one RASD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allocation {
    /// Its number within the system, the same in the defined and in the state configuration.
    pub id: AllocationId,
    /// ElementName; `None` for one made from the kind.
    pub name: Option<String>,
    /// PoolID of the pool that it comes from; `None` for the primordial pool of its kind.
    pub pool: Option<String>,
    /// The resource.
    pub resource: Resource,
}

/// A resource by kind. `None` leaves a choice to the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Virtual CPUs.
    Processor(ProcessorSettings),
    /// RAM.
    Memory(MemorySettings),
    /// A console.
    Console(ConsoleSettings),
    /// A source of random numbers.
    Entropy,
}

/// A kind of resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ResourceKind {
    /// Virtual CPUs.
    Processor,
    /// RAM.
    Memory,
    /// A console.
    Console,
    /// A source of random numbers.
    Entropy,
}

/// Virtual CPUs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessorSettings {
    /// How many.
    pub count: Option<u32>,
    /// How many there can be while the system is on; `None`: no more than at its start.
    pub maximum: Option<u32>,
    /// What they are promised together, in percent of one physical CPU.
    pub reservation: Option<u64>,
    /// What they may have together at most, in percent of one physical CPU.
    pub limit: Option<u64>,
    /// Their share of what is contended, against the weights of others: 1 to 10,000.
    pub weight: Option<u32>,
    /// How the guest sees them arranged.
    pub topology: Option<Topology>,
    /// How they go with physical CPUs; `None`: any CPU of the pool runs any of them.
    pub mapping: Option<Mapping>,
    /// The physical CPUs that `mapping` means, in ascending order; none with [`Mapping::Dedicated`]: the host chooses.
    pub cpus: Vec<u32>,
}

/// How virtual CPUs go with physical ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mapping {
    /// Each owns a physical CPU, which runs nothing else.
    Dedicated,
    /// These physical CPUs run them while the pool has them, and others when it has not.
    SoftAffinity,
    /// Only these physical CPUs run them.
    HardAffinity,
}

/// How virtual CPUs are arranged; the product is the largest number of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topology {
    /// Packages.
    pub sockets: u32,
    /// Cores in a package.
    pub cores: u32,
    /// Threads in a core.
    pub threads: u32,
}

impl Topology {
    /// How many CPUs that makes; `None` when it is more than fits.
    #[must_use]
    pub fn count(self) -> Option<u32> {
        self.sockets
            .checked_mul(self.cores)?
            .checked_mul(self.threads)
    }
}

/// RAM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemorySettings {
    /// Bytes, a multiple of [`crate::MEMORY_INCREMENT`]. All of it is reserved while the system runs.
    pub bytes: Option<u64>,
    /// The NUMA node that all of it is to be on; `None`: any, and several where none has so much.
    pub node: Option<u32>,
}

/// A console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsoleSettings {
    /// What the guest sees.
    pub kind: ConsoleKind,
}

/// What a guest sees of a console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsoleKind {
    /// The 16550 UART at COM1. Every system has it; an allocation only names it.
    Serial,
    /// A virtio console.
    Virtio,
}

impl Resource {
    /// The kind.
    #[must_use]
    pub const fn kind(&self) -> ResourceKind {
        match self {
            Resource::Processor(_) => ResourceKind::Processor,
            Resource::Memory(_) => ResourceKind::Memory,
            Resource::Console(_) => ResourceKind::Console,
            Resource::Entropy => ResourceKind::Entropy,
        }
    }
}
