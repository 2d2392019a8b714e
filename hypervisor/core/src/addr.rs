//! Addresses that cannot be mixed up: one newtype per address space.
//!
//! Used by every layer; an address of one space never turns into another without a translation.

use core::fmt;

/// Bytes in the smallest page, and in every page-table page.
pub const PAGE_SIZE: u64 = 4096;

/// The page sizes of the x86-64 page-table formats.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum PageSize {
    /// 4 KiB.
    Size4K,
    /// 2 MiB.
    Size2M,
    /// 1 GiB.
    Size1G,
}

impl PageSize {
    /// All sizes, smallest first.
    pub const ALL: [PageSize; 3] = [PageSize::Size4K, PageSize::Size2M, PageSize::Size1G];

    /// The size in bytes.
    pub const fn bytes(self) -> u64 {
        1 << self.shift()
    }

    /// The binary logarithm of the size in bytes.
    pub const fn shift(self) -> u32 {
        match self {
            PageSize::Size4K => 12,
            PageSize::Size2M => 21,
            PageSize::Size1G => 30,
        }
    }
}

macro_rules! address {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        #[repr(transparent)]
        pub struct $name(u64);

        impl $name {
            /// The address with this number.
            pub const fn new(address: u64) -> Self {
                Self(address)
            }

            /// The number.
            pub const fn as_u64(self) -> u64 {
                self.0
            }

            /// This address plus `bytes`; `None` where the sum does not fit 64 bits.
            pub const fn checked_add(self, bytes: u64) -> Option<Self> {
                match self.0.checked_add(bytes) {
                    Some(sum) => Some(Self(sum)),
                    None => None,
                }
            }

            /// This address plus `bytes`, modulo 2^64, as the address adders of the CPU do it.
            pub const fn wrapping_add(self, bytes: u64) -> Self {
                Self(self.0.wrapping_add(bytes))
            }

            /// Bytes from `base` up to this address; `None` where `base` is higher.
            pub const fn checked_offset_from(self, base: Self) -> Option<u64> {
                self.0.checked_sub(base.0)
            }

            /// The start of the page of this size that holds the address.
            pub const fn align_down(self, size: PageSize) -> Self {
                Self(self.0 & !(size.bytes() - 1))
            }

            /// The first start of a page of this size at or above the address; `None` past 2^64.
            pub const fn align_up(self, size: PageSize) -> Option<Self> {
                match self.0.checked_add(size.bytes() - 1) {
                    Some(sum) => Some(Self(sum).align_down(size)),
                    None => None,
                }
            }

            /// Whether a page of this size starts here.
            pub const fn is_aligned(self, size: PageSize) -> bool {
                self.0 & (size.bytes() - 1) == 0
            }

            /// The offset in the page of this size.
            pub const fn page_offset(self, size: PageSize) -> u64 {
                self.0 & (size.bytes() - 1)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:#x})"), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}", self.0)
            }
        }
    };
}

address! {
    /// A guest-virtual (linear) address.
    Gva
}
address! {
    /// A guest-physical address.
    Gpa
}
address! {
    /// A host-virtual address: the hypervisor's own address space.
    Hva
}
address! {
    /// A host-physical (machine) address.
    Hpa
}

/// A half-open range of host-physical memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct HpaRange {
    /// First byte.
    pub start: Hpa,
    /// First byte after the range.
    pub end: Hpa,
}

impl HpaRange {
    /// The range of `bytes` from `start`; `None` where its end does not fit 64 bits.
    pub const fn new(start: Hpa, bytes: u64) -> Option<Self> {
        match start.checked_add(bytes) {
            Some(end) => Some(Self { start, end }),
            None => None,
        }
    }

    /// Length in bytes.
    pub const fn bytes(&self) -> u64 {
        self.end.as_u64().saturating_sub(self.start.as_u64())
    }

    /// Whether the two ranges share a byte.
    pub const fn overlaps(&self, other: &HpaRange) -> bool {
        self.start.as_u64() < other.end.as_u64() && other.start.as_u64() < self.end.as_u64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alignment_follows_the_page_size() {
        let gpa = Gpa::new(0x4020_1fff);
        assert_eq!(gpa.align_down(PageSize::Size4K), Gpa::new(0x4020_1000));
        assert_eq!(gpa.align_down(PageSize::Size2M), Gpa::new(0x4020_0000));
        assert_eq!(gpa.align_down(PageSize::Size1G), Gpa::new(0x4000_0000));
        assert_eq!(gpa.align_up(PageSize::Size2M), Some(Gpa::new(0x4040_0000)));
        assert_eq!(Gpa::new(u64::MAX).align_up(PageSize::Size4K), None);
        assert_eq!(gpa.page_offset(PageSize::Size4K), 0xfff);
    }

    #[test]
    fn ranges_that_touch_do_not_overlap() {
        let low = HpaRange::new(Hpa::new(0), 0x1000).unwrap();
        let high = HpaRange::new(Hpa::new(0x1000), 0x1000).unwrap();
        assert!(!low.overlaps(&high));
        assert!(low.overlaps(&HpaRange::new(Hpa::new(0xfff), 1).unwrap()));
        assert_eq!(HpaRange::new(Hpa::new(u64::MAX), 2), None);
    }
}
