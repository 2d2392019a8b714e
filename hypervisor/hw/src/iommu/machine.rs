//! The IOMMUs of this machine: the driver on real registers and the hypervisor's own frames.

use bulkhead_core::addr::{HpaRange, PageSize};
use bulkhead_core::fault::ResourceError;
use bulkhead_core::frames::{FrameAllocator, Owner, Placement};
use bulkhead_core::paging::MemoryType;

use super::amd::{DEVICE_TABLE_BYTES, Iommu, IommuError, REGISTER_BYTES};
use super::ivrs::Ivrs;
use crate::mmio::Mmio;
use crate::pool::Tables;
use crate::space;

/// The driver on real hardware.
pub type MachineIommu = Iommu<Mmio<u64>, Tables>;

/// Starts every IOMMU that the firmware describes, with all devices blocked.
///
/// Call it once, in the final address space, before anything may do DMA. The device table takes
/// one block from `frames`; it stays taken after an error too, as a unit that did not answer may
/// still read it.
///
/// # Errors
/// [`IommuError`].
pub fn start(
    description: Ivrs,
    frames: &mut FrameAllocator<'_>,
) -> Result<MachineIommu, IommuError> {
    let table = device_table(frames)?;
    Iommu::start(description, Tables, &mut Tables, table.start, |unit| {
        // SAFETY: the firmware says that a unit's registers are there; nothing else maps them.
        let base = unsafe {
            space::map_device(unit.registers, REGISTER_BYTES as u64, MemoryType::Uncached)
        };
        // SAFETY: just mapped, for good. What the unit is told to access is the driver's
        // responsibility: its own rings and tables, and what a domain's owner may reach.
        base.ok()
            .map(|base| unsafe { Mmio::new(base, REGISTER_BYTES) })
    })
}

/// Memory for the device table, where [`Tables`] reaches it.
fn device_table(frames: &mut FrameAllocator<'_>) -> Result<HpaRange, ResourceError> {
    let block = frames
        .allocate_contiguous(
            Owner::Hypervisor,
            DEVICE_TABLE_BYTES,
            PageSize::Size2M,
            None,
            Placement::Anywhere,
        )
        .map_err(|_| ResourceError::HypervisorMemory)?;
    // SAFETY: the allocator gave the block to the hypervisor, so nothing else uses it.
    unsafe { space::map_direct(block) }.map_err(|_| ResourceError::HypervisorMemory)?;
    Ok(block)
}
