//! A partition's RAM: where its guest-physical memory lies in the machine.
//!
//! The ranges are fixed when the partition is made, so they are read without a lock.

use alloc::vec::Vec;
use core::fmt;

use bulkhead_abi::partition::{HOLE_END, HOLE_START};

use crate::addr::{Gpa, Hpa, HpaRange, PAGE_SIZE};
use crate::fault::ResourceError;
use crate::host::Host;

/// One run of RAM.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RamRange {
    /// First guest-physical address.
    pub gpa: Gpa,
    /// The machine memory behind it.
    pub machine: HpaRange,
}

impl RamRange {
    /// The address after its last byte.
    pub fn end(&self) -> Gpa {
        self.gpa.wrapping_add(self.machine.bytes())
    }
}

/// The address is not RAM of the partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotRam(pub Gpa);

impl fmt::Display for NotRam {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the partition has no memory at {}", self.0)
    }
}

/// All RAM of a partition.
#[derive(Debug, Default)]
pub struct GuestMemory {
    ranges: Vec<RamRange>,
}

impl GuestMemory {
    /// RAM of these ranges, which do not overlap in either address space.
    pub fn new(ranges: Vec<RamRange>) -> Self {
        Self { ranges }
    }

    /// RAM of these pieces of machine memory from address 0 upwards, with the hole below 4 GiB where PCs have their
    /// devices and interrupt controllers.
    ///
    /// # Errors
    /// The hypervisor's memory is exhausted.
    pub fn with_pc_hole(pieces: &[HpaRange]) -> Result<Self, ResourceError> {
        let mut ranges = Vec::new();
        // The hole divides one piece at most.
        ranges
            .try_reserve_exact(pieces.len().saturating_add(1))
            .map_err(|_| ResourceError::HypervisorMemory)?;
        let mut gpa = 0;
        for piece in pieces {
            let mut machine = *piece;
            if gpa < HOLE_START && machine.bytes() > HOLE_START - gpa {
                let border = machine.start.wrapping_add(HOLE_START - gpa);
                let below = HpaRange {
                    start: machine.start,
                    end: border,
                };
                ranges.push(RamRange {
                    gpa: Gpa::new(gpa),
                    machine: below,
                });
                machine.start = border;
                gpa = HOLE_START;
            }
            if gpa == HOLE_START {
                gpa = HOLE_END;
            }
            ranges.push(RamRange {
                gpa: Gpa::new(gpa),
                machine,
            });
            gpa = gpa.saturating_add(machine.bytes());
        }
        Ok(Self { ranges })
    }

    /// The ranges.
    pub fn ranges(&self) -> &[RamRange] {
        &self.ranges
    }

    /// Bytes in all.
    pub fn bytes(&self) -> u64 {
        self.ranges.iter().map(|range| range.machine.bytes()).sum()
    }

    /// The machine address of a byte of RAM, and how many bytes follow it in its range.
    ///
    /// # Errors
    /// [`NotRam`].
    pub fn locate(&self, gpa: Gpa) -> Result<(Hpa, u64), NotRam> {
        self.ranges
            .iter()
            .find_map(|range| {
                let offset = gpa.checked_offset_from(range.gpa)?;
                let left = range.machine.bytes().checked_sub(offset)?;
                (left > 0).then(|| (range.machine.start.wrapping_add(offset), left))
            })
            .ok_or(NotRam(gpa))
    }

    /// The machine frame of a page that must be RAM and start at `gpa`.
    ///
    /// # Errors
    /// [`NotRam`], also for an address that is not on a page border.
    pub fn frame(&self, gpa: Gpa) -> Result<Hpa, NotRam> {
        match self.locate(gpa)? {
            (hpa, left) if left >= PAGE_SIZE && gpa.as_u64() & (PAGE_SIZE - 1) == 0 => Ok(hpa),
            _ => Err(NotRam(gpa)),
        }
    }

    /// Copies guest memory out.
    ///
    /// # Errors
    /// [`NotRam`] with the first address that is not; bytes before it were copied.
    pub fn read(&self, host: &mut impl Host, gpa: Gpa, bytes: &mut [u8]) -> Result<(), NotRam> {
        let mut at = gpa;
        let mut rest = bytes;
        while !rest.is_empty() {
            let (hpa, chunk) = self.chunk(at, rest.len())?;
            let (now, later) = rest.split_at_mut(chunk);
            host.read(hpa, now);
            at = at.wrapping_add(chunk as u64);
            rest = later;
        }
        Ok(())
    }

    /// Copies into guest memory.
    ///
    /// # Errors
    /// [`NotRam`] with the first address that is not; bytes before it were copied.
    pub fn write(&self, host: &mut impl Host, gpa: Gpa, bytes: &[u8]) -> Result<(), NotRam> {
        let mut at = gpa;
        let mut rest = bytes;
        while !rest.is_empty() {
            let (hpa, chunk) = self.chunk(at, rest.len())?;
            let (now, later) = rest.split_at(chunk);
            host.write(hpa, now);
            at = at.wrapping_add(chunk as u64);
            rest = later;
        }
        Ok(())
    }

    /// Zeroes all RAM.
    pub fn clear(&self, host: &mut impl Host) {
        for range in &self.ranges {
            let mut frame = range.machine.start;
            while frame < range.machine.end {
                host.zero(frame);
                frame = frame.wrapping_add(PAGE_SIZE);
            }
        }
    }

    /// Zeroes at most `most` bytes of RAM from `from` on, both whole pages: where to go on, `None` after the last byte.
    ///
    /// # Errors
    /// [`NotRam`] where no RAM begins at or follows `from`, or for an address off the page border.
    pub fn clear_piece(
        &self,
        host: &mut impl Host,
        from: Gpa,
        most: u64,
    ) -> Result<Option<Gpa>, NotRam> {
        if from.as_u64() & (PAGE_SIZE - 1) != 0 {
            return Err(NotRam(from));
        }
        let range = self
            .ranges
            .iter()
            .find(|range| from < range.end())
            .ok_or(NotRam(from))?;
        let start = from.max(range.gpa);
        let (first, left) = self.locate(start)?;
        let bytes = left.min(most);
        for offset in (0..bytes).step_by(PAGE_SIZE as usize) {
            host.zero(first.wrapping_add(offset));
        }
        let next = start.wrapping_add(bytes);
        Ok((next < self.end()).then_some(next))
    }

    /// The address after the last byte of RAM.
    pub fn end(&self) -> Gpa {
        self.ranges
            .iter()
            .map(RamRange::end)
            .max()
            .unwrap_or(Gpa::new(0))
    }

    /// Where `at` is, and how many of `wanted` bytes lie in its frame.
    fn chunk(&self, at: Gpa, wanted: usize) -> Result<(Hpa, usize), NotRam> {
        let (hpa, left) = self.locate(at)?;
        let in_frame = PAGE_SIZE - (hpa.as_u64() & (PAGE_SIZE - 1));
        Ok((hpa, (wanted as u64).min(left).min(in_frame) as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory() -> GuestMemory {
        let range = |gpa, hpa, bytes| RamRange {
            gpa: Gpa::new(gpa),
            machine: HpaRange::new(Hpa::new(hpa), bytes).unwrap(),
        };
        GuestMemory::new(vec![
            range(0, 0x20_0000, 0x8000),
            range(0x10_0000, 0x80_0000, 0x1000),
        ])
    }

    #[test]
    fn large_memory_goes_around_the_hole_of_the_pc() {
        const GIB: u64 = 1 << 30;
        let piece = |start: u64, bytes| HpaRange::new(Hpa::new(start), bytes).unwrap();
        let layout = |pieces: &[HpaRange]| -> Vec<(u64, u64, u64)> {
            GuestMemory::with_pc_hole(pieces)
                .unwrap()
                .ranges()
                .iter()
                .map(|r| (r.gpa.as_u64(), r.machine.start.as_u64(), r.machine.bytes()))
                .collect()
        };
        assert_eq!(layout(&[piece(GIB, 3 * GIB)]), [(0, GIB, 3 * GIB)]);
        assert_eq!(
            layout(&[piece(GIB, 3 * GIB), piece(8 * GIB, GIB)]),
            [(0, GIB, 3 * GIB), (4 * GIB, 8 * GIB, GIB)]
        );
        assert_eq!(
            layout(&[piece(GIB, 2 * GIB), piece(8 * GIB, 4 * GIB)]),
            [
                (0, GIB, 2 * GIB),
                (2 * GIB, 8 * GIB, GIB),
                (4 * GIB, 9 * GIB, 3 * GIB)
            ]
        );
    }

    #[test]
    fn addresses_are_located_in_their_range_only() {
        let memory = memory();
        assert_eq!(
            memory.locate(Gpa::new(0x7fff)),
            Ok((Hpa::new(0x20_7fff), 1))
        );
        assert_eq!(
            memory.locate(Gpa::new(0x8000)),
            Err(NotRam(Gpa::new(0x8000)))
        );
        assert_eq!(memory.frame(Gpa::new(0x10_0000)), Ok(Hpa::new(0x80_0000)));
        assert_eq!(
            memory.frame(Gpa::new(0x10_0800)),
            Err(NotRam(Gpa::new(0x10_0800)))
        );
        assert_eq!(memory.bytes(), 0x9000);
    }
}
