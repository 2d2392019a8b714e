//! What devices can reach: the management partition's RAM and nothing else, where the machine has an IOMMU.
//!
//! Lock order: the lock here is a leaf; what it guards takes the frame pool's and the address
//! space's locks inside.

use bulkhead_core::addr::{HpaRange, PageSize};
use bulkhead_core::boot_image::Iommu;
use bulkhead_core::frames::FrameAllocator;
use bulkhead_core::guest_memory::GuestMemory;
use bulkhead_core::id::{ApicId, PartitionId, Vector};
use bulkhead_hw::iommu::ivrs::Ivrs;
use bulkhead_hw::iommu::machine::{self, ConfinedDevices, Route};
use bulkhead_hw::{error, info, pool, space, warn};
use spin::Mutex;

use super::shared::Shared;

static CONFINED: Mutex<Option<ConfinedDevices>> = Mutex::new(None);

/// The firmware's description of the IOMMUs; `None` where there are none, or it is unreadable.
pub fn description(shared: &Shared) -> Option<Ivrs> {
    let table = shared.acpi.ivrs?;
    let bytes = usize::try_from(table.bytes).ok()?;
    let start = table.address.align_down(PageSize::Size4K);
    let end = table
        .address
        .checked_add(u64::from(table.bytes))?
        .align_up(PageSize::Size4K)?;
    // SAFETY: firmware tables are in nobody's memory: the frame allocator has only what the
    // firmware calls usable.
    unsafe { space::map_direct(HpaRange { start, end }) }.ok()?;
    let address = pool::address_of(table.address).as_u64() as usize;
    // SAFETY: just mapped, for good; nobody writes to the firmware's tables.
    let table =
        unsafe { core::slice::from_raw_parts(core::ptr::with_exposed_provenance(address), bytes) };
    Ivrs::parse(table)
}

/// Gives all devices to the partition `owner`, with its RAM as all that they reach.
pub fn confine(
    description: Option<Ivrs>,
    frames: &mut FrameAllocator<'static>,
    owner: PartitionId,
    memory: &GuestMemory,
) -> Iommu {
    let Some(description) = description else {
        return Iommu::Absent;
    };
    for note in &description.notes {
        warn!("{note}");
    }
    let units = description.units.len();
    let ram = memory.ranges().iter().map(|range| range.machine);
    match ConfinedDevices::start(description, frames, owner.0, ram) {
        Ok(devices) => {
            info!("IOMMU: all devices are confined to partition {owner} (units: {units})");
            *CONFINED.lock() = Some(devices);
            Iommu::Confines
        }
        Err(refusal) => {
            error!("devices are not confined: {refusal}");
            Iommu::Absent
        }
    }
}

/// Whether devices are confined.
pub fn state() -> Iommu {
    match *CONFINED.lock() {
        Some(_) => Iommu::Confines,
        None => Iommu::Absent,
    }
}

/// The message with which devices raise `vector` on the CPU `target`, where messages are controlled.
pub fn message(target: ApicId, vector: Vector) -> Option<(u32, u32)> {
    CONFINED.lock().as_mut()?.message(target, vector)
}

/// Where a message of the management partition's drivers leads.
pub fn route_of(address: u32, data: u32) -> Route {
    match CONFINED.lock().as_ref() {
        Some(devices) => devices.route_of(address, data),
        None => Route::Direct,
    }
}

/// Logs what devices tried outside of their bounds. Cheap, and skipped where another CPU does it.
pub fn report() {
    if let Some(mut confined) = CONFINED.try_lock()
        && let Some(devices) = confined.as_mut()
    {
        devices.report();
    }
}

/// The registers of the IOMMUs, which no partition may reach.
pub fn registers(description: &Ivrs) -> impl Iterator<Item = HpaRange> + '_ {
    machine::registers(description)
}
