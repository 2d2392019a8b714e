//! The machine, ready: what bring-up hands to the partition machinery.

use alloc::boxed::Box;
use alloc::vec::Vec;

use bulkhead_boot::BootInfo;
use bulkhead_core::addr::HpaRange;
use bulkhead_core::frames::{FrameAllocator, NodeId};
use bulkhead_core::time::Hertz;
use bulkhead_hw::acpi::Acpi;
use bulkhead_hw::numa::Nodes;
use bulkhead_hw::percpu::PerCpu;
use bulkhead_hw::probe::{CpuFeatures, CpuIdentity, Virtualization};

use super::options::Options;

/// A CPU that takes part.
#[derive(Clone, Copy)]
pub struct Cpu {
    /// Its block.
    pub block: &'static PerCpu,
    /// Its NUMA node.
    pub node: NodeId,
}

/// The machine, ready. All CPUs are up; the boot CPU is the first.
pub struct Platform {
    /// What the boot loader said. Memory in `boot.reserved` is not in `frames`.
    pub boot: Box<BootInfo>,
    /// The parsed command line.
    pub options: Options,
    /// The CPU's name.
    pub identity: CpuIdentity,
    /// The CPU's general features.
    pub features: CpuFeatures,
    /// The CPU's virtualization.
    pub virtualization: Virtualization,
    /// What ACPI says.
    pub acpi: Box<Acpi>,
    /// NUMA nodes.
    pub nodes: Nodes,
    /// The CPUs, in the order of their numbers.
    pub cpus: Vec<Cpu>,
    /// All memory that is not in use.
    pub frames: FrameAllocator<'static>,
    /// The hypervisor's first memory: heap and pool.
    pub foundation: HpaRange,
    /// Bytes of RAM that the firmware reported usable.
    pub memory_bytes: u64,
    /// The TSC's rate.
    pub tsc: Hertz,
    /// The rate of the local APICs' timers.
    pub apic_timer: Hertz,
    /// The time when the TSC was 0, in seconds since 1970, where it is known.
    pub boot_time: Option<i64>,
}
