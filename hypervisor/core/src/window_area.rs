//! Where in its guest-physical space the management partition sees the memory of others.
//!
//! The area lies above all RAM, away from the registers of devices, and below what the CPU's physical addresses and the lower half
//! of an address space of four levels reach, so that management can map it one to one. It is cut into slots of 1 GiB, so that the large pages of the partitions' own tables fit, and the tables below
//! a slot belong to one window and go with it. Behind the lock of [`crate::machine::Works`].

use alloc::vec::Vec;

use crate::addr::{Gpa, HpaRange};
use crate::fault::ResourceError;
use crate::machine::MAX_PARTITIONS;

/// Bytes of a slot.
pub const SLOT: u64 = 1 << 30;
/// The lower half of an address space of four levels.
const CANONICAL_BITS: u8 = 47;

/// A part of the area that belongs to one partition's memory: whole slots.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WindowRange {
    /// First address.
    pub base: Gpa,
    /// Bytes, a multiple of [`SLOT`].
    pub bytes: u64,
}

impl WindowRange {
    fn end(&self) -> u64 {
        self.base.as_u64().saturating_add(self.bytes)
    }
}

/// The area, and what of it is taken, in the order of addresses.
#[derive(Debug, Default)]
pub struct WindowArea {
    start: u64,
    end: u64,
    taken: Vec<WindowRange>,
}

impl WindowArea {
    /// The upper three quarters of the largest gap above `ram_end` that no range of `devices` touches. The lower quarter is left
    /// for registers that management moves there. Without room for a slot it is empty.
    pub fn choose(
        physical_bits: u8,
        ram_end: u64,
        devices: impl IntoIterator<Item = HpaRange>,
    ) -> Self {
        let limit = 1_u64 << physical_bits.min(CANONICAL_BITS);
        let mut ranges: Vec<(u64, u64)> = devices
            .into_iter()
            .map(|range| (range.start.as_u64(), range.end.as_u64()))
            .collect();
        ranges.push((limit, u64::MAX));
        ranges.sort_unstable();
        // Nothing of the PC's devices lies between 4 GiB and what is listed.
        let mut from = ram_end.max(4 << 30);
        let mut best = (0, 0);
        for (start, end) in ranges {
            if start.saturating_sub(from) > best.1 {
                best = (from, start.saturating_sub(from));
            }
            from = from.max(end);
        }
        let (gap, bytes) = best;
        let end = gap.saturating_add(bytes) / SLOT * SLOT;
        let start = gap
            .saturating_add(bytes / 4)
            .checked_next_multiple_of(SLOT)
            .unwrap_or(end)
            .min(end);
        Self {
            start,
            end,
            taken: Vec::with_capacity(MAX_PARTITIONS),
        }
    }

    /// Bytes of the area.
    pub const fn bytes(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Its first address.
    pub const fn start(&self) -> Gpa {
        Gpa::new(self.start)
    }

    /// Takes the lowest slots that are free for `bytes` bytes.
    ///
    /// # Errors
    /// No gap is large enough; nothing has changed.
    pub fn take(&mut self, bytes: u64) -> Result<WindowRange, ResourceError> {
        const FULL: ResourceError = ResourceError::TableFull("windows onto partitions");
        let bytes = bytes.checked_next_multiple_of(SLOT).ok_or(FULL)?;
        let mut base = self.start;
        let mut index = self.taken.len();
        for (number, other) in self.taken.iter().enumerate() {
            if other.base.as_u64().saturating_sub(base) >= bytes {
                index = number;
                break;
            }
            base = other.end();
        }
        if bytes == 0 || base.checked_add(bytes).is_none_or(|end| end > self.end) {
            return Err(FULL);
        }
        self.taken.try_reserve(1).map_err(|_| FULL)?;
        let range = WindowRange {
            base: Gpa::new(base),
            bytes,
        };
        self.taken.insert(index, range);
        Ok(range)
    }

    /// Gives slots back.
    pub fn give(&mut self, range: WindowRange) {
        self.taken.retain(|other| *other != range);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::Hpa;

    const GIB: u64 = 1 << 30;

    fn range(start: u64, end: u64) -> HpaRange {
        HpaRange {
            start: Hpa::new(start),
            end: Hpa::new(end),
        }
    }

    #[test]
    fn the_area_lies_above_ram_and_away_from_devices() {
        // A small machine of 40 bits without registers above 4 GiB.
        let area = WindowArea::choose(40, 2 * GIB, []);
        assert_eq!((area.start, area.end), (259 * GIB, 1024 * GIB));
        // Firmware put registers at the top.
        let area = WindowArea::choose(40, 6 * GIB, [range(0xfd_0000_0000, 0x100_0000_0000)]);
        assert_eq!((area.start, area.end), (258 * GIB, 1012 * GIB));
        // 700 GiB of RAM.
        let area = WindowArea::choose(40, 702 * GIB, [range(703 * GIB, 704 * GIB)]);
        assert_eq!((area.start, area.end), (784 * GIB, 1024 * GIB));
        // Registers in the middle: the larger gap counts.
        let devices = [range(600 * GIB, 601 * GIB), range(32 * GIB, 64 * GIB)];
        let area = WindowArea::choose(40, 0, devices);
        assert_eq!((area.start, area.end), (198 * GIB, 600 * GIB));
        // Page tables end before the physical addresses do.
        let area = WindowArea::choose(52, 2 * GIB, []);
        assert_eq!(area.end, 1 << 47);
        // 36 bits: room for small guests all the same.
        let area = WindowArea::choose(36, 2 * GIB, []);
        assert_eq!(area.bytes() / GIB, 45);
        // No room at all.
        assert!(WindowArea::choose(32, GIB, []).take(1).is_err());
        assert!(WindowArea::choose(40, 1024 * GIB, []).take(1).is_err());
    }

    #[test]
    fn the_lowest_gap_that_fits_is_taken_and_can_be_given_back() {
        let mut area = WindowArea::choose(36, 0, []);
        let first = area.take(1).unwrap();
        let second = area.take(2 * GIB + 1).unwrap();
        let third = area.take(GIB).unwrap();
        assert_eq!(first.base, area.start());
        assert_eq!(second.bytes, 3 * GIB);
        assert_eq!(second.base.as_u64(), first.end());
        assert_eq!(third.base.as_u64(), second.end());
        area.give(second);
        assert_eq!(area.take(4 * GIB).unwrap().base.as_u64(), third.end());
        assert_eq!(area.take(2 * GIB).unwrap().base, second.base);
        assert_eq!(area.take(GIB).unwrap().bytes, GIB);
        assert!(area.take(0).is_err());
        assert!(area.take(u64::MAX).is_err());
        let slots = area.bytes() / GIB;
        let mut full = WindowArea::choose(36, 0, []);
        for _ in 0..slots {
            full.take(1).unwrap();
        }
        assert!(full.take(1).is_err());
    }
}
