//! Registers through configuration space, for software that cannot reach BARs yet (4.1.4.9).

use vmm_pci::{Outbox, Width};
use vmm_ram::GuestRam;

use super::VirtioPci;
use crate::device::VirtioDevice;
use crate::layout::place;

/// Offsets from the data: of the BAR's number, of the offset, of the length.
const BAR_BACK: usize = 12;
const OFFSET_BACK: usize = 8;
const LENGTH_BACK: usize = 4;
const DATA_BYTES: usize = 4;

impl<D: VirtioDevice> VirtioPci<D> {
    /// Whether an access to configuration space touches the data of the capability.
    pub(super) fn is_pci_access(&self, offset: u16, width: Width) -> bool {
        let start = usize::from(offset);
        start < self.pci_access + DATA_BYTES && self.pci_access < start + width as usize
    }

    /// Reads the register that is chosen into the data.
    pub(super) fn read_through<R: GuestRam>(&mut self, ram: &R, _out: &mut Outbox) {
        if let Some((offset, width)) = self.chosen() {
            let value = self.read_bar(offset, width, ram).to_le_bytes();
            let value = value.get(..width as usize).unwrap_or_default();
            self.function.put(self.pci_access, value);
        }
    }

    /// Writes the data to the register that is chosen.
    pub(super) fn write_through<R: GuestRam>(&mut self, ram: &R, out: &mut Outbox) {
        if let Some((offset, width)) = self.chosen() {
            let value = self.function.read(self.pci_access as u16, width);
            self.write_bar(offset, width, value, ram, out);
        }
    }

    /// The register: aligned, of 1, 2 or 4 bytes, and in the BAR.
    fn chosen(&self) -> Option<(u64, Width)> {
        let field = |back: usize, width| {
            let at = self.pci_access.checked_sub(back)?;
            Some(self.function.read(u16::try_from(at).ok()?, width))
        };
        let bar = field(BAR_BACK, Width::Byte)?;
        let offset = field(OFFSET_BACK, Width::Dword)?;
        let width = Width::from_bytes(field(LENGTH_BACK, Width::Dword)?)?;
        let fits = bar == 0
            && width <= Width::Dword
            && offset.is_multiple_of(width.bytes())
            && offset < u64::from(place::BAR_BYTES);
        fits.then_some((offset, width))
    }
}
