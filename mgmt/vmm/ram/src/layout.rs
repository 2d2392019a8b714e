//! [`RamLayout`]: where a guest's RAM lies.

use bulkhead_abi::partition::{HOLE_END, HOLE_START};

use crate::Gpa;

/// A run of RAM without holes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RamRange {
    /// Its first byte.
    pub start: Gpa,
    /// Its bytes, at least 1.
    pub bytes: u64,
}

impl RamRange {
    /// The first address behind it.
    pub const fn end(self) -> Gpa {
        Gpa(self.start.0.saturating_add(self.bytes))
    }

    /// Whether all of `bytes` from `at` on lie in it.
    pub const fn contains(self, at: Gpa, bytes: u64) -> bool {
        match at.0.checked_sub(self.start.0) {
            Some(offset) => offset <= self.bytes && bytes <= self.bytes - offset,
            None => false,
        }
    }
}

/// Where the RAM of a partition that management made lies: from 0 to 3 GiB, the rest from 4 GiB on
/// (`bulkhead_abi::partition::HOLE_START`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RamLayout {
    /// All of its RAM.
    pub bytes: u64,
}

impl RamLayout {
    /// RAM below the hole.
    pub const fn low(self) -> Option<RamRange> {
        let bytes = if self.bytes < HOLE_START {
            self.bytes
        } else {
            HOLE_START
        };
        range(0, bytes)
    }

    /// RAM above the hole.
    pub const fn high(self) -> Option<RamRange> {
        range(HOLE_END, self.bytes.saturating_sub(HOLE_START))
    }

    /// Its runs of RAM from the lowest address on.
    pub fn ranges(self) -> impl Iterator<Item = RamRange> {
        self.low().into_iter().chain(self.high())
    }

    /// Whether all of `bytes` from `at` on are RAM, in one range.
    pub fn contains(self, at: Gpa, bytes: u64) -> bool {
        self.ranges().any(|range| range.contains(at, bytes))
    }

    /// The first address above all RAM.
    pub const fn end(self) -> Gpa {
        match (self.high(), self.low()) {
            (Some(range), _) | (None, Some(range)) => range.end(),
            (None, None) => Gpa(0),
        }
    }
}

const fn range(start: u64, bytes: u64) -> Option<RamRange> {
    if bytes == 0 {
        return None;
    }
    Some(RamRange {
        start: Gpa(start),
        bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn ram_goes_on_above_the_hole() {
        let small = RamLayout { bytes: 16 << 20 };
        assert_eq!(small.ranges().count(), 1);
        assert_eq!(small.end(), Gpa(16 << 20));
        assert_eq!(RamLayout { bytes: 3 * GIB }.high(), None);

        let big = RamLayout { bytes: 5 * GIB };
        let ranges: Vec<_> = big.ranges().collect();
        assert_eq!(ranges[0].end(), Gpa(3 * GIB));
        assert_eq!(ranges[1].start, Gpa(4 * GIB));
        assert_eq!(big.end(), Gpa(6 * GIB));
        assert_eq!(RamLayout { bytes: 0 }.ranges().count(), 0);
    }

    #[test]
    fn an_access_must_lie_in_one_range() {
        let layout = RamLayout { bytes: 5 * GIB };
        assert!(layout.contains(Gpa(3 * GIB - 4), 4));
        assert!(!layout.contains(Gpa(3 * GIB - 4), 5));
        assert!(!layout.contains(Gpa(3 * GIB + 4), 4));
        assert!(layout.contains(Gpa(4 * GIB), 2 * GIB));
        assert!(!layout.contains(Gpa(4 * GIB), 2 * GIB + 1));
        assert!(!layout.contains(Gpa(u64::MAX), 2));
        assert!(!layout.contains(Gpa(8), u64::MAX));
    }
}
