//! Memory-mapped PCI configuration space (PCI Firmware Specification 3.3, 4.1.2).

use bulkhead_core::addr::Hpa;
use heapless::Vec;

use super::reader::{u8_at, u16_at, u64_at};
use super::{Notes, push_or_note};

/// The configuration space of some buses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConfigSpace {
    /// Where bus 0 would be; each bus takes 1 MiB.
    pub base: Hpa,
    /// PCI segment.
    pub segment: u16,
    /// First bus.
    pub first_bus: u8,
    /// Last bus.
    pub last_bus: u8,
}

/// Adds what `table` says; `None` where it is damaged.
pub(super) fn read(
    table: &[u8],
    spaces: &mut Vec<ConfigSpace, 8>,
    notes: &mut Notes,
) -> Option<()> {
    for entry in table.get(44..)?.chunks_exact(16) {
        let space = ConfigSpace {
            base: Hpa::new(u64_at(entry, 0)?),
            segment: u16_at(entry, 8)?,
            first_bus: u8_at(entry, 10)?,
            last_bus: u8_at(entry, 11)?,
        };
        if space.first_bus > space.last_bus {
            return None;
        }
        push_or_note(spaces, space, "PCI configuration spaces", notes);
    }
    Some(())
}
