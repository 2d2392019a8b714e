//! AMD's IOMMU (specification 48882, revision 3): device table, domains, commands, events.
//!
//! All units share one device table and the domains' page tables; each has its own command buffer
//! and event log. The owner of [`Iommu`] serialises calls.
//!
//! Invariants:
//! - A device that is not attached can neither read nor write memory, from before the units are
//!   enabled. A device table entry is valid at any time; changes pass through the blocked state.
//! - What a device could reach is given to others only after the units have confirmed the
//!   invalidation.

mod command;
mod device_table;
mod event;
mod format;
mod interrupts;
mod registers;
mod setup;
mod unit;

use alloc::vec::Vec;
use core::fmt;

use bulkhead_core::addr::{Gpa, Hpa, PAGE_SIZE, PageSize};
use bulkhead_core::fault::ResourceError;
use bulkhead_core::id::{ApicId, Bdf, Vector};
use bulkhead_core::paging::{
    Attributes, Flush, Flushed, MapError, MemoryType, PageTable, Permissions, TableFrames,
    TableMemory,
};

pub use device_table::DEVICE_TABLE_BYTES;
pub use event::{Event, EventKind};
pub use format::AmdVi;
pub use interrupts::INTERRUPTS;
pub use registers::{REGISTER_BYTES, Register, Registers};

use command::Command;
use device_table::{DeviceTable, Grant};
use interrupts::InterruptTable;
use unit::Unit;

use super::ivrs::{Ivrs, Requesters};

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;

/// The number of a domain, which tags its translations in the units' caches. 0 is not used.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct DomainId(u16);

impl DomainId {
    /// The domain of devices that belong to nobody.
    const BLOCKED: DomainId = DomainId(1);

    /// A domain for the owner with this number, the partition's for example; `None` where the
    /// numbers are used up.
    pub const fn for_owner(number: u16) -> Option<Self> {
        match number.checked_add(2) {
            Some(id) => Some(DomainId(id)),
            None => None,
        }
    }

    /// The number that the hardware knows.
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// What devices of one owner can reach, and which interrupts they can raise. Addresses are the
/// owner's guest-physical ones.
#[derive(Debug)]
pub struct Domain {
    id: DomainId,
    table: PageTable<AmdVi>,
    interrupts: InterruptTable,
}

impl Domain {
    fn new(id: DomainId, frames: &mut impl TableFrames) -> Result<Self, ResourceError> {
        let interrupts = InterruptTable::new(frames.allocate()?);
        match PageTable::new(AmdVi, frames) {
            Ok(table) => Ok(Domain {
                id,
                table,
                interrupts,
            }),
            Err(error) => {
                frames.free(interrupts.base());
                Err(error)
            }
        }
    }

    /// Frees the tables, which no unit may use any more.
    fn free(self, memory: &mut impl TableMemory, frames: &mut impl TableFrames) {
        self.table.destroy(Flushed::attest(), memory, frames);
        frames.free(self.interrupts.base());
    }

    fn grant(&self) -> Grant {
        Grant::Domain(self.id, self.table.root(), self.interrupts)
    }

    /// Its number.
    pub fn id(&self) -> DomainId {
        self.id
    }

    /// The page tables, to look at.
    pub fn table(&self) -> &PageTable<AmdVi> {
        &self.table
    }
}

/// Why an operation failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IommuError {
    /// A unit did not confirm a command in time. Devices may still use what they could reach
    /// before, so nothing of it was freed.
    NoCompletion(Bdf),
    /// The mapping was refused; nothing has changed.
    Map(MapError<Gpa>),
    /// Memory ran out; nothing has changed.
    Resource(ResourceError),
    /// The CPU's APIC id does not fit an interrupt table entry.
    CpuOutOfReach(ApicId),
    /// The machine has no unit that can be used.
    NoUnits,
}

impl From<MapError<Gpa>> for IommuError {
    fn from(error: MapError<Gpa>) -> Self {
        IommuError::Map(error)
    }
}

impl From<ResourceError> for IommuError {
    fn from(error: ResourceError) -> Self {
        IommuError::Resource(error)
    }
}

impl fmt::Display for IommuError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IommuError::NoCompletion(unit) => write!(f, "the IOMMU {unit} does not answer"),
            IommuError::Map(error) => write!(f, "mapping for devices failed: {error}"),
            IommuError::Resource(error) => error.fmt(f),
            IommuError::CpuOutOfReach(apic) => {
                write!(
                    f,
                    "devices cannot send interrupts to the CPU with APIC id {apic}"
                )
            }
            IommuError::NoUnits => f.write_str("the machine describes no IOMMU"),
        }
    }
}

/// All IOMMUs of the machine.
#[derive(Debug)]
pub struct Iommu<R, M> {
    units: Vec<Unit<R>>,
    memory: M,
    devices: DeviceTable,
    description: Ivrs,
    /// Empty tables, for devices without a domain.
    blocked: Domain,
}

impl<R: Registers, M: TableMemory> Iommu<R, M> {
    /// Makes a domain that reaches nothing.
    ///
    /// # Errors
    /// [`ResourceError`] where no frame is left.
    pub fn create_domain(
        &mut self,
        id: DomainId,
        frames: &mut impl TableFrames,
    ) -> Result<Domain, ResourceError> {
        Domain::new(id, frames)
    }

    /// Lets the domain's devices reach `bytes` of memory from `target` under the addresses from
    /// `start`.
    ///
    /// # Errors
    /// [`IommuError`]. After [`IommuError::NoCompletion`] the mapping stands.
    pub fn map(
        &mut self,
        domain: &mut Domain,
        frames: &mut impl TableFrames,
        start: Gpa,
        bytes: u64,
        target: Hpa,
        permissions: Permissions,
    ) -> Result<(), IommuError> {
        let attributes = Attributes::new(permissions, MemoryType::WriteBack);
        domain
            .table
            .map(&mut self.memory, frames, start, bytes, target, attributes)?;
        // Units may cache that an address was not mapped (capability bit NpCache).
        self.invalidate_domain(domain.id)
    }

    /// Takes memory away from the domain's devices; when it returns, no access to it is under way.
    ///
    /// # Errors
    /// [`IommuError`]. After [`IommuError::NoCompletion`] the memory must not be used again.
    pub fn unmap(
        &mut self,
        domain: &mut Domain,
        frames: &mut impl TableFrames,
        start: Gpa,
        bytes: u64,
    ) -> Result<(), IommuError> {
        let flush = domain.table.unmap(&mut self.memory, frames, start, bytes)?;
        self.settle(domain.id, flush, frames)
    }

    /// Maps the memory that firmware and some of `devices` share, at its own address.
    ///
    /// # Errors
    /// [`IommuError`]; what was mapped until then stays.
    pub fn map_shared(
        &mut self,
        domain: &mut Domain,
        devices: Requesters,
        frames: &mut impl TableFrames,
    ) -> Result<(), IommuError> {
        for block in self.description.shared.clone() {
            if !block.devices.overlaps(&devices) {
                continue;
            }
            let start = block.range.start.align_down(PageSize::Size4K);
            let Some(end) = block.range.end.align_up(PageSize::Size4K) else {
                return Err(MapError::OutOfRange.into());
            };
            let mut permissions = Permissions::empty();
            permissions.set(Permissions::READ, block.is_readable());
            permissions.set(Permissions::WRITE, block.is_writable());
            let bytes = end.as_u64() - start.as_u64();
            if bytes > 0 && !permissions.is_empty() {
                let at = Gpa::new(start.as_u64());
                self.map(domain, frames, at, bytes, start, permissions)?;
            }
        }
        Ok(())
    }

    /// Gives a device to a domain, together with all devices that share its requester id.
    ///
    /// # Errors
    /// [`IommuError::NoCompletion`].
    pub fn attach(&mut self, device: Bdf, domain: &Domain) -> Result<(), IommuError> {
        self.change(device, domain.grant())
    }

    /// Blocks a device, together with all devices that share its requester id.
    ///
    /// # Errors
    /// [`IommuError::NoCompletion`]; then the device may still reach what it could before.
    pub fn detach(&mut self, device: Bdf) -> Result<(), IommuError> {
        self.change(device, self.no_grant())
    }

    /// Gives every device to a domain: where one partition owns all of them.
    ///
    /// # Errors
    /// [`IommuError::NoCompletion`].
    pub fn attach_all(&mut self, domain: &Domain) -> Result<(), IommuError> {
        let grant = domain.grant();
        for device in 0..=u16::MAX {
            self.devices
                .write(&mut self.memory, Bdf(device), grant, &self.description);
        }
        self.forget_all()
    }

    /// Frees a domain to which no device is attached any more.
    ///
    /// # Errors
    /// [`IommuError::NoCompletion`]; then its tables are not freed.
    pub fn destroy_domain(
        &mut self,
        domain: Domain,
        frames: &mut impl TableFrames,
    ) -> Result<(), IommuError> {
        self.invalidate_domain(domain.id)?;
        domain.free(&mut self.memory, frames);
        Ok(())
    }

    /// Whether devices can raise only the interrupts that [`Iommu::route_interrupt`] gives them:
    /// where the firmware says which ids the hypervisor's own interrupt sources use.
    pub fn controls_interrupts(&self) -> bool {
        self.description.describes_interrupts()
    }

    /// Lets the domain's devices raise `vector` on the CPU `target`, by a message to
    /// `0xfee0_0000` whose data is `index`.
    ///
    /// # Errors
    /// [`IommuError`]. After [`IommuError::NoCompletion`] the old route may still be in use.
    pub fn route_interrupt(
        &mut self,
        domain: &Domain,
        index: u8,
        target: ApicId,
        vector: Vector,
    ) -> Result<(), IommuError> {
        if !domain
            .interrupts
            .set(&mut self.memory, index, target, vector)
        {
            return Err(IommuError::CpuOutOfReach(target));
        }
        for unit in &mut self.units {
            if unit.forgets_at_once() {
                unit.submit(&mut self.memory, Command::InvalidateAll)?;
            } else {
                for device in 0..=u16::MAX {
                    let device = Bdf(device);
                    if self.devices.domain_of(&self.memory, device) == domain.id {
                        let command = Command::InvalidateInterrupts(device);
                        unit.submit(&mut self.memory, command)?;
                    }
                }
            }
        }
        self.await_all()
    }

    /// Hands out everything that the units have logged, with the unit that did.
    pub fn drain_events(&mut self, mut sink: impl FnMut(Bdf, Event)) {
        for unit in &mut self.units {
            let bdf = unit.bdf();
            unit.drain_events(&mut self.memory, |event| sink(bdf, event));
        }
    }

    /// The firmware's description.
    pub fn description(&self) -> &Ivrs {
        &self.description
    }

    fn no_grant(&self) -> Grant {
        Grant::Nothing(self.blocked.id, self.blocked.table.root())
    }

    fn change(&mut self, device: Bdf, grant: Grant) -> Result<(), IommuError> {
        let requester = self.description.requester_of(device);
        for id in [device, requester] {
            // Between two domains, block: nothing may be cached from a mixture of both.
            let blocked = self.no_grant();
            self.replace(id, blocked)?;
            if grant != blocked {
                self.replace(id, grant)?;
            }
            if device == requester {
                break;
            }
        }
        Ok(())
    }

    /// Pays the debt of an edit: the flush, and then the release of unlinked tables.
    fn settle(
        &mut self,
        domain: DomainId,
        flush: Flush,
        frames: &mut impl TableFrames,
    ) -> Result<(), IommuError> {
        if flush.is_needed() {
            self.invalidate_domain(domain)?;
        }
        flush.release(Flushed::attest(), &mut self.memory, frames);
        Ok(())
    }

    fn invalidate_domain(&mut self, domain: DomainId) -> Result<(), IommuError> {
        self.on_all_units(&[Command::InvalidateDomain(domain)])
    }

    /// Writes a device table entry and makes the units forget the one before, together with the
    /// translations of its domain: units may tag those with the device as well.
    fn replace(&mut self, device: Bdf, grant: Grant) -> Result<(), IommuError> {
        let before = self.devices.domain_of(&self.memory, device);
        self.devices
            .write(&mut self.memory, device, grant, &self.description);
        self.on_all_units(&[
            Command::InvalidateDevice(device),
            Command::InvalidateInterrupts(device),
            Command::InvalidateDomain(before),
        ])
    }

    fn forget_all(&mut self) -> Result<(), IommuError> {
        for unit in &mut self.units {
            unit.forget_all(&mut self.memory)?;
        }
        Ok(())
    }

    /// Runs commands on every unit, first started on all, then awaited.
    fn on_all_units(&mut self, commands: &[Command]) -> Result<(), IommuError> {
        for unit in &mut self.units {
            for command in commands {
                unit.submit(&mut self.memory, *command)?;
            }
        }
        self.await_all()
    }

    fn await_all(&mut self) -> Result<(), IommuError> {
        for unit in &mut self.units {
            unit.wait(&mut self.memory)?;
        }
        Ok(())
    }
}

/// Whether `table` can be the device table: whole pages.
const fn is_page_aligned(address: Hpa) -> bool {
    address.as_u64() & (PAGE_SIZE - 1) == 0
}
