//! What making a partition needs from the machine: tables, vCPUs of the backend, what CPUID tells.

use alloc::boxed::Box;
use alloc::sync::Arc;

use crate::cpu_shape::CpuShape;
use crate::cpuid::CpuidTable;
use crate::fault::ResourceError;
use crate::frames::FrameAllocator;
use crate::id::{CpuId, VcpuId};
use crate::machine::Adoption;
use crate::nested_space::NestedSpace;
use crate::partition::Partition;
use crate::pc_board::BoardConfig;

/// What the CPUs can do where a guest's TSC is to run at another rate than theirs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum TscScaling {
    /// Nothing.
    #[default]
    None,
    /// They scale it, in the range of [`crate::guest_tsc::TscScale`].
    Any,
}

/// Makes the parts of partitions; each physical CPU can, one of them at a time does ([`crate::machine::Works`]).
pub trait Maker {
    /// Whether the heap has so many bytes in one piece, with a margin for whatever else goes on.
    ///
    /// # Errors
    /// It has not.
    fn check_heap(&self, bytes: usize) -> Result<(), ResourceError>;

    /// Makes sure that `count` frames for tables are free, with memory of `frames` where needed; that stays the hypervisor's.
    ///
    /// # Errors
    /// There is none left.
    fn grow_tables(
        &mut self,
        count: u64,
        frames: &mut FrameAllocator<'static>,
    ) -> Result<(), ResourceError>;

    /// Nested tables with nothing mapped.
    ///
    /// # Errors
    /// No frame is left.
    fn new_space(&mut self) -> Result<Box<dyn NestedSpace>, ResourceError>;

    /// A vCPU of the partition that has not run yet, for its owner.
    ///
    /// # Errors
    /// The hypervisor's memory is exhausted.
    fn new_vcpu(
        &mut self,
        partition: &Arc<Partition>,
        vcpu: VcpuId,
    ) -> Result<Adoption, ResourceError>;

    /// What CPUID tells the vCPUs of a partition of this shape.
    fn cpuid_table(&self, shape: &CpuShape) -> CpuidTable;

    /// What the platform devices of a partition that is made now are made for.
    fn board(&self) -> BoardConfig;

    /// What the CPUs can do about rates of TSCs.
    fn tsc_scaling(&self) -> TscScaling;

    /// Whether this CPU exists and runs partitions.
    fn has_cpu(&self, cpu: CpuId) -> bool;

    /// Width of the CPU's physical addresses.
    fn physical_bits(&self) -> u8;
}
