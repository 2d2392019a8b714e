//! What devices can reach: the management partition's RAM and nothing else, where the machine has an IOMMU.
//!
//! Where it has one that cannot be used, the management partition does not start, unless `iommu=off` is on the command line:
//! whoever relies on the confinement must not lose it by a defect.
//!
//! Lock order: the lock here is a leaf; what it guards takes the frame pool's and the address
//! space's locks inside.

use core::fmt;

use bulkhead_core::addr::{HpaRange, PageSize};
use bulkhead_core::boot_image::Iommu;
use bulkhead_core::frames::FrameAllocator;
use bulkhead_core::guest_memory::GuestMemory;
use bulkhead_core::id::{ApicId, PartitionId, Vector};
use bulkhead_hw::acpi::TableLocation;
use bulkhead_hw::iommu::amd::IommuError;
use bulkhead_hw::iommu::ivrs::Ivrs;
use bulkhead_hw::iommu::machine::{self, ConfinedDevices, Route};
use bulkhead_hw::{info, pool, space, warn};
use spin::Mutex;

use super::shared::Shared;
use crate::bringup::IommuChoice;

static CONFINED: Mutex<Option<ConfinedDevices>> = Mutex::new(None);

/// Why devices would not be confined although the machine has an IOMMU.
pub enum Refusal {
    /// The firmware's description of it cannot be read.
    Description,
    /// It cannot be started.
    Start(IommuError),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Description => {
                f.write_str("the firmware's description of the IOMMU cannot be read")?;
            }
            Refusal::Start(error) => write!(f, "the IOMMU cannot be used: {error}")?,
        }
        f.write_str("; with iommu=off on the command line its devices would reach all memory")
    }
}

/// The firmware's description of the IOMMUs; `None` where there are none.
///
/// # Errors
/// It is unreadable, and the IOMMU was not switched off by option.
pub fn description(shared: &Shared) -> Result<Option<Ivrs>, Refusal> {
    let Some(table) = shared.acpi.ivrs else {
        return Ok(None);
    };
    match (read(table), shared.iommu) {
        (None, IommuChoice::WherePresent) => Err(Refusal::Description),
        (description, _) => Ok(description),
    }
}

fn read(table: TableLocation) -> Option<Ivrs> {
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
///
/// # Errors
/// The machine has an IOMMU that cannot be started, and it was not switched off by option.
pub fn confine(
    shared: &Shared,
    description: Option<Ivrs>,
    frames: &mut FrameAllocator<'static>,
    owner: PartitionId,
    memory: &GuestMemory,
) -> Result<Iommu, Refusal> {
    let Some(description) = description else {
        return Ok(Iommu::Absent);
    };
    if shared.iommu == IommuChoice::Off {
        warn!("the IOMMU is off by option: devices reach all memory");
        return Ok(Iommu::Absent);
    }
    for note in &description.notes {
        warn!("{note}");
    }
    let units = description.units.len();
    let ram = memory.ranges().iter().map(|range| range.machine);
    let devices =
        ConfinedDevices::start(description, frames, owner.0, ram).map_err(Refusal::Start)?;
    info!("IOMMU: all devices are confined to partition {owner} (units: {units})");
    *CONFINED.lock() = Some(devices);
    Ok(Iommu::Confines)
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
