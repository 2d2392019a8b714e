//! Starting the units, and stopping them.

use alloc::vec::Vec;

use bulkhead_core::addr::Hpa;
use bulkhead_core::id::Bdf;
use bulkhead_core::paging::{TableFrames, TableMemory};

use super::device_table::DeviceTable;
use super::unit::Unit;
use super::{Domain, DomainId, Iommu, IommuError, Registers, is_page_aligned};
use crate::iommu::ivrs::{Ivrs, UnitInfo};

impl<R: Registers, M: TableMemory> Iommu<R, M> {
    /// Starts all units with every device blocked.
    ///
    /// `device_table` is the first of [`DEVICE_TABLE_BYTES`](super::DEVICE_TABLE_BYTES) of
    /// page-aligned memory that the hypervisor owns and `memory` reaches; `open` gives the
    /// registers of a unit, `None` where they cannot be mapped.
    ///
    /// # Errors
    /// [`IommuError`]; then the units are off and all frames are back.
    pub fn start(
        description: Ivrs,
        memory: M,
        frames: &mut impl TableFrames,
        device_table: Hpa,
        mut open: impl FnMut(&UnitInfo) -> Option<R>,
    ) -> Result<Self, IommuError> {
        if description.units.is_empty() || !is_page_aligned(device_table) {
            return Err(IommuError::NoUnits);
        }
        let blocked = Domain::new(DomainId::BLOCKED, frames)?;
        let mut iommu = Iommu {
            units: Vec::new(),
            memory,
            devices: DeviceTable::new(device_table),
            description,
            blocked,
        };
        let started = iommu
            .collect(frames, &mut open)
            .and_then(|()| iommu.enable());
        match started {
            Ok(()) => Ok(iommu),
            Err(error) => {
                iommu.stop(None, frames);
                Err(error)
            }
        }
    }

    /// Turns all units off and frees their frames and the tables of `domains`. Devices reach all
    /// memory afterwards.
    pub fn stop(
        mut self,
        domains: impl IntoIterator<Item = Domain>,
        frames: &mut impl TableFrames,
    ) {
        for unit in &mut self.units {
            unit.disable();
        }
        while let Some(unit) = self.units.pop() {
            unit.dismantle(frames);
        }
        for domain in domains.into_iter().chain([self.blocked]) {
            domain.free(&mut self.memory, frames);
        }
    }

    fn collect(
        &mut self,
        frames: &mut impl TableFrames,
        open: &mut impl FnMut(&UnitInfo) -> Option<R>,
    ) -> Result<(), IommuError> {
        for info in self.description.units.iter() {
            // A unit that is left alone would let its devices through: all or none.
            let registers = open(info).ok_or(IommuError::NoCompletion(info.bdf))?;
            let unit = Unit::new(registers, info, frames)?;
            self.units.push(unit);
        }
        Ok(())
    }

    fn enable(&mut self) -> Result<(), IommuError> {
        let nothing = self.no_grant();
        for device in 0..=u16::MAX {
            self.devices
                .write(&mut self.memory, Bdf(device), nothing, &self.description);
        }
        for unit in &mut self.units {
            unit.enable(self.devices.register());
        }
        self.forget_all()
    }
}
