//! The IOMMUs of this machine: the driver on real registers and the hypervisor's own frames.

use alloc::vec::Vec;

use bulkhead_core::addr::{Gpa, HpaRange, PageSize};
use bulkhead_core::fault::ResourceError;
use bulkhead_core::frames::{FrameAllocator, Owner, Placement};
use bulkhead_core::id::{ApicId, Vector};
use bulkhead_core::paging::{MemoryType, Permissions};

use super::amd::{
    DEVICE_TABLE_BYTES, Domain, DomainId, INTERRUPTS, Iommu, IommuError, REGISTER_BYTES,
};
use super::ivrs::{Ivrs, Requesters};
use crate::mmio::Mmio;
use crate::pool::Tables;
use crate::{space, warn};

/// Where devices send interrupt messages; the data says which.
const MESSAGE_ADDRESS: u32 = 0xfee0_0000;

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

/// All devices of the machine, confined to the memory of the one partition that owns them.
#[derive(Debug)]
pub struct ConfinedDevices {
    iommu: MachineIommu,
    domain: Domain,
    /// What the entries of the domain's interrupt table stand for. They stay when a driver lets an
    /// interrupt go: its vector is then the next driver's, or nobody's, and either way harmless.
    routes: Vec<(ApicId, Vector)>,
}

/// Where a message that a driver programs into its device leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Route {
    /// Messages are not controlled: it says itself where it goes.
    Direct,
    /// To this CPU and vector.
    To(ApicId, Vector),
    /// Nowhere.
    Nowhere,
}

impl ConfinedDevices {
    /// Starts every IOMMU and gives all devices to the partition with number `owner`, whose RAM is
    /// `ram` at the same guest-physical addresses. Memory that the firmware shares with devices
    /// stays in their reach.
    ///
    /// The registers of the units ([`registers`]) must not be given to any
    /// partition.
    ///
    /// # Errors
    /// [`IommuError`]; then devices may reach everything, as without IOMMU.
    pub fn start(
        description: Ivrs,
        frames: &mut FrameAllocator<'_>,
        owner: u16,
        ram: impl IntoIterator<Item = HpaRange>,
    ) -> Result<Self, IommuError> {
        const FULL: ResourceError = ResourceError::TableFull("DMA domains");
        let id = DomainId::for_owner(owner).ok_or(FULL)?;
        let mut iommu = start(description, frames)?;
        let mut domain = match iommu.create_domain(id, &mut Tables) {
            Ok(domain) => domain,
            Err(error) => {
                iommu.stop(None, &mut Tables);
                return Err(error.into());
            }
        };
        match give_all(&mut iommu, &mut domain, ram) {
            Ok(()) => Ok(Self {
                iommu,
                domain,
                routes: Vec::new(),
            }),
            Err(error) => {
                iommu.stop(Some(domain), &mut Tables);
                Err(error)
            }
        }
    }

    /// Logs what the units have seen devices do that they may not. Call it now and then: it costs
    /// two register reads for each unit.
    pub fn report(&mut self) {
        self.iommu
            .drain_events(|unit, event| warn!("IOMMU {unit}: {event}"));
    }

    /// The message (address, data) with which devices raise `vector` on the CPU `target`; `None`
    /// where messages are not controlled, or no further one can be allowed.
    pub fn message(&mut self, target: ApicId, vector: Vector) -> Option<(u32, u32)> {
        if !self.iommu.controls_interrupts() {
            return None;
        }
        let route = (target, vector);
        let index = match self.routes.iter().position(|known| *known == route) {
            Some(index) => index,
            None => self.add_route(route)?,
        };
        Some((MESSAGE_ADDRESS, index as u32))
    }

    fn add_route(&mut self, route: (ApicId, Vector)) -> Option<usize> {
        let index = self.routes.len();
        let entry = u8::try_from(index).ok().filter(|_| index < INTERRUPTS)?;
        let result = self
            .iommu
            .route_interrupt(&self.domain, entry, route.0, route.1);
        if let Err(error) = result {
            warn!("an interrupt of a device cannot be allowed: {error}");
            return None;
        }
        self.routes.push(route);
        Some(index)
    }

    /// The reverse of [`ConfinedDevices::message`].
    pub fn route_of(&self, address: u32, data: u32) -> Route {
        if !self.iommu.controls_interrupts() {
            return Route::Direct;
        }
        let index = usize::try_from(data).ok();
        let route = index
            .filter(|_| address == MESSAGE_ADDRESS)
            .and_then(|index| self.routes.get(index));
        route.map_or(Route::Nowhere, |(target, vector)| {
            Route::To(*target, *vector)
        })
    }

    /// The driver and the domain, to change what devices reach.
    pub fn parts(&mut self) -> (&mut MachineIommu, &mut Domain) {
        (&mut self.iommu, &mut self.domain)
    }
}

/// Lets every device reach `ram` and what the firmware shares with devices.
fn give_all(
    iommu: &mut MachineIommu,
    domain: &mut Domain,
    ram: impl IntoIterator<Item = HpaRange>,
) -> Result<(), IommuError> {
    for range in ram {
        let at = Gpa::new(range.start.as_u64());
        let bytes = range.bytes();
        iommu.map(domain, &mut Tables, at, bytes, range.start, Permissions::RW)?;
    }
    iommu.map_shared(domain, Requesters::ALL, &mut Tables)?;
    iommu.attach_all(domain)
}

/// Where the units' registers are: ranges that no partition may touch.
pub fn registers(description: &Ivrs) -> impl Iterator<Item = HpaRange> + '_ {
    // With performance counters a unit has 512 KiB of registers (48882, 3.4).
    const MOST_BYTES: u64 = 512 << 10;
    let ranges = description.units.iter();
    ranges.filter_map(|unit| HpaRange::new(unit.registers, MOST_BYTES))
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
