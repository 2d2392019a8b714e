//! Partitions that management makes: what it asks for, and the state their first vCPU starts in.

use crate::host::NODES;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Where the guest-physical hole of PCs begins in every partition that management makes: RAM lies below it, and goes on at
/// 4 GiB.
pub const HOLE_START: u64 = 3 << 30;
/// Where it ends.
pub const HOLE_END: u64 = 4 << 30;

/// Most vCPUs of a partition.
pub const MAX_VCPUS: u32 = 64;

/// What `hypercall::Number::PartitionCreate` makes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct PartitionRequest {
    /// Its name for the console and the log, UTF-8, zero-padded; need not be unique.
    pub name: [u8; 64],
    /// Bytes of RAM, a multiple of 2 MiB.
    pub memory_bytes: u64,
    /// Number of vCPUs that it may have, at most [`MAX_VCPUS`]. An APIC id holds the numbers of socket, core and thread in fields that are
    /// just wide enough: ids are 0, 1, 2 and so on unless a count is not a power of two.
    pub vcpus: u32,
    /// How CPUID shows them: threads of a core.
    pub threads_per_core: u16,
    /// Cores of a socket. `vcpus` is a multiple of `threads_per_core * cores_per_socket`.
    pub cores_per_socket: u16,
    /// The physical CPUs that may run the vCPUs, a bit each; all zero: any.
    pub cpus: [u64; 4],
    /// Whatever management knows it by, for instance a UUID; `crate::host::PartitionInfo` gives it back.
    pub cookie: [u8; 16],
    /// Its weight among systems that want the same physical CPU, 1 to 10000, divided among its vCPUs that are present; 0: 100 for each of them.
    pub weight: u32,
    /// What it gets whenever it wants it, in percent of one physical CPU, divided among its vCPUs: at most 90 for each, as no CPU
    /// promises more.
    pub reservation_percent: u32,
    /// What all its vCPUs together get at most, in percent of one physical CPU, up to 6400; 0: as much as there is.
    pub limit_percent: u32,
    /// The vCPUs that are present when it is made, the first of `vcpus`; 0: all. `hypercall::Number::PartitionVcpus` changes
    /// that.
    pub present_vcpus: u32,
    /// Blocks of 2 MiB of its RAM from each of the first NUMA nodes, `memory_bytes` together; all zero: from any node.
    pub node_blocks: [u32; NODES],
}

/// Stands for all vCPUs of a partition where a hypercall asks for one.
pub const ALL_VCPUS: u32 = u32::MAX;

/// A segment register (APM 2 4.5.3: attributes as the descriptor has them, bits 47:40 and 55:52 packed to 12 bits).
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct BootSegment {
    /// Base address.
    pub base: u64,
    /// Limit in bytes.
    pub limit: u32,
    /// Selector.
    pub selector: u16,
    /// Bits 7:0 type, S, DPL, P; bits 11:8 AVL, L, D/B, G.
    pub attributes: u16,
}

/// The state that vCPU 0 starts in (`hypercall::Number::BootState`). What is not named here is as after INIT;
/// interrupts are off.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct BootState {
    /// RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8 to R15.
    pub registers: [u64; 16],
    /// RIP.
    pub rip: u64,
    /// CR0; PE and PG choose the mode.
    pub cr0: u64,
    /// CR3.
    pub cr3: u64,
    /// CR4.
    pub cr4: u64,
    /// EFER; LMA follows from LME and PG.
    pub efer: u64,
    /// CS.
    pub cs: BootSegment,
    /// DS, ES, FS, GS and SS.
    pub data: BootSegment,
    /// GDTR base.
    pub gdt_base: u64,
    /// GDTR limit.
    pub gdt_limit: u64,
}

const _: () = assert!(size_of::<PartitionRequest>() == 64 + 16 + 32 + 64);
const _: () = assert!(size_of::<BootState>() == 16 * 8 + 5 * 8 + 2 * 16 + 16);
