//! Records about the machine and its partitions.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// NUMA nodes that the records tell apart: the first ones. What belongs to others is in the sums only.
pub const NODES: usize = 8;
/// Physical CPUs whose node the records tell.
pub const NODE_CPUS: usize = 256;

/// The machine, as [`crate::hypercall::Number::HostInfo`] gives it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct HostInfo {
    /// [`crate::VERSION`].
    pub version: u32,
    /// Physical CPUs that run partitions.
    pub cpus: u32,
    /// Bytes of RAM that the firmware reported usable.
    pub memory_bytes: u64,
    /// Bytes that may be given to partitions.
    pub guest_memory_bytes: u64,
    /// Of those, bytes not given to any.
    pub guest_memory_free: u64,
    /// Bytes that the hypervisor keeps for itself. They grow by guests' memory where tables run short, and never shrink.
    pub hypervisor_bytes: u64,
    /// TSC rate in Hz.
    pub tsc_hz: u64,
    /// Host TSC now.
    pub tsc: u64,
    /// CPU brand string, UTF-8, zero-padded.
    pub cpu_brand: [u8; 48],
    /// NUMA nodes.
    pub nodes: u32,
    /// 1 where an IOMMU confines devices.
    pub iommu: u32,
    /// The hypervisor's version, UTF-8, zero-padded.
    pub hypervisor_version: [u8; 32],
    /// Bytes that the hypervisor keeps for itself and does not use now: heap and frames for tables.
    pub hypervisor_free_bytes: u64,
    /// Bytes of `guest_memory_free` by NUMA node.
    pub node_free: [u64; NODES],
    /// The NUMA node of each physical CPU.
    pub cpu_nodes: [u8; NODE_CPUS],
}

/// A partition, as [`crate::hypercall::Number::PartitionInfo`] gives it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct PartitionInfo {
    /// Its id.
    pub id: u32,
    /// [`PartitionState`].
    pub state: u32,
    /// Number of vCPUs.
    pub vcpus: u32,
    /// Times it was started again.
    pub restarts: u32,
    /// Bytes of RAM.
    pub memory_bytes: u64,
    /// Exits from guest mode, all vCPUs.
    pub exits: u64,
    /// TSC ticks spent in guest mode and on its behalf, all vCPUs.
    pub run_ticks: u64,
    /// Its name, UTF-8, zero-padded.
    pub name: [u8; 64],
    /// What management gave in [`crate::partition::PartitionRequest`], so that it knows its systems again.
    pub cookie: [u8; 16],
    /// [`PartitionOrigin`].
    pub origin: u32,
    /// 1 where no vCPU is in guest mode and none will be before management acts on the partition: a stop or a pause is through.
    pub settled: u32,
    /// Its weight as it was asked for; see [`crate::partition::PartitionRequest`].
    pub weight: u32,
    /// Percent of one physical CPU that it is promised.
    pub reservation_percent: u32,
    /// Percent of one physical CPU that it gets at most; 0: no limit.
    pub limit_percent: u32,
    /// Its vCPUs that are present, the first of `vcpus`.
    pub present_vcpus: u32,
    /// The physical CPUs that its vCPUs that are present are on, or on their way to, a bit each.
    pub cpus: [u64; 4],
    /// Bytes of `memory_bytes` by NUMA node.
    pub node_memory: [u64; NODES],
}

/// What a vCPU has used since its partition was made, as [`crate::hypercall::Number::VcpuUsage`] gives it. [`PartitionInfo`] has
/// the sums.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct VcpuUsage {
    /// Exits from guest mode.
    pub exits: u64,
    /// TSC ticks spent in guest mode and on its behalf.
    pub run_ticks: u64,
}

/// Who made a partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum PartitionOrigin {
    /// The boot configuration; it is there as long as the machine runs.
    Configuration = 0,
    /// [`crate::hypercall::Number::PartitionCreate`].
    Management = 1,
}

/// State of a partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum PartitionState {
    /// Its vCPUs may run.
    Running = 1,
    /// Ended by itself or by management.
    Stopped = 2,
    /// Stopped by the hypervisor; there is a crash record.
    Crashed = 3,
    /// Management took its vCPUs out of guest mode; it goes on where it was.
    Paused = 4,
    /// Stopped because it asked for a reset.
    Reset = 5,
}
