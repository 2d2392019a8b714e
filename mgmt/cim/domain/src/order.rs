//! [`StartOrder`]: everything the machine needs to make a system and boot it.

use crate::allocation::{ConsoleKind, Topology};
use crate::boot::{BootFormat, BootModule};
use crate::id::AllocationId;
use crate::image::ImageName;
use crate::node_memory::NodeMemory;
use crate::uuid::Uuid;
use alloc::string::String;
use alloc::vec::Vec;

/// Everything the machine needs to make a system and boot it. Every choice is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartOrder {
    /// The system's name, for people and SMBIOS.
    pub name: String,
    /// The system's UUID, for SMBIOS.
    pub uuid: Uuid,
    /// The virtual CPUs.
    pub processors: ProcessorOrder,
    /// The physical CPUs that may run them, by the hypervisor's numbers; none: any.
    pub cpus: Vec<u32>,
    /// Bytes of RAM, a multiple of [`crate::MEMORY_INCREMENT`].
    pub memory_bytes: u64,
    /// The same by NUMA node.
    pub nodes: NodeMemory,
    /// What to boot.
    pub boot: BootOrder,
    /// The consoles besides COM1, which every system has.
    pub consoles: Vec<ConsoleOrder>,
    /// The sources of random numbers.
    pub entropy: Vec<AllocationId>,
}

/// The virtual CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessorOrder {
    /// How many.
    pub count: u32,
    /// How many there can be while the system is on.
    pub maximum: u32,
    /// The arrangement of so many.
    pub topology: Topology,
    /// Their share of what is contended: 1 to 10,000.
    pub weight: u32,
    /// What they are promised together, in percent of one physical CPU.
    pub reservation: u64,
    /// What they may have together, in percent of one physical CPU.
    pub limit: u64,
}

/// What to boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootOrder {
    /// The kernel.
    pub kernel: ImageName,
    /// The initial RAM disk.
    pub initrd: Option<ImageName>,
    /// The kernel's command line.
    pub command_line: String,
    /// How to load the kernel; `None` looks at it.
    pub format: Option<BootFormat>,
    /// Modules with their texts.
    pub modules: Vec<BootModule>,
    /// Guest-physical address of a flat binary.
    pub load_address: u64,
    /// Guest-physical address where a flat binary starts.
    pub entry_address: u64,
}

/// A console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsoleOrder {
    /// The allocation.
    pub allocation: AllocationId,
    /// What the guest sees.
    pub kind: ConsoleKind,
}
