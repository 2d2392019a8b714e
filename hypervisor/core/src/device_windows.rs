//! Which machine addresses the management partition may reach as device memory.
//!
//! Everything that is neither memory nor the hypervisor's own hardware: BARs are assigned and moved by the partition
//! itself, so the windows are ranges, and pages enter the nested tables when they are first touched.

use alloc::vec::Vec;

use crate::addr::{Gpa, Hpa, HpaRange, PageSize};

/// The windows, minus what is denied.
#[derive(Debug, Default)]
pub struct DeviceWindows {
    windows: Vec<HpaRange>,
    denied: Vec<HpaRange>,
}

impl DeviceWindows {
    /// Nothing is allowed.
    pub const fn none() -> Self {
        Self {
            windows: Vec::new(),
            denied: Vec::new(),
        }
    }

    /// `windows` without every page that `denied` touches.
    pub fn new(windows: Vec<HpaRange>, denied: Vec<HpaRange>) -> Self {
        Self { windows, denied }
    }

    /// What to map when `gpa` is touched: the 2 MiB page around it where all of that is allowed, else the 4 KiB page.
    pub fn page_for(&self, gpa: Gpa) -> Option<HpaRange> {
        [PageSize::Size2M, PageSize::Size4K]
            .into_iter()
            .find_map(|size| {
                let start = Hpa::new(gpa.as_u64()).align_down(size);
                let page = HpaRange::new(start, size.bytes())?;
                let inside =
                    |window: &HpaRange| window.start <= page.start && page.end <= window.end;
                let denied = self.denied.iter().any(|range| range.overlaps(&page));
                (!denied && self.windows.iter().any(inside)).then_some(page)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_with_the_hypervisors_hardware_are_never_given() {
        let range = |start, bytes| HpaRange::new(Hpa::new(start), bytes).unwrap();
        let windows = DeviceWindows::new(
            vec![
                range(0x8000_0000, 0x7ec0_0000),
                range(0xfe00_0000, 0xf0_0000),
            ],
            vec![range(0xfe20_1234, 4), range(0xfee0_0000, 0x1000)],
        );
        assert_eq!(
            windows.page_for(Gpa::new(0x8012_3456)),
            Some(range(0x8000_0000, 0x20_0000))
        );
        assert_eq!(
            windows.page_for(Gpa::new(0xfe20_0010)),
            Some(range(0xfe20_0000, 0x1000))
        );
        assert_eq!(windows.page_for(Gpa::new(0xfe20_1000)), None);
        assert_eq!(windows.page_for(Gpa::new(0xfee0_0300)), None);
        assert_eq!(windows.page_for(Gpa::new(0x7fff_f000)), None);
        assert_eq!(windows.page_for(Gpa::new(u64::MAX)), None);
    }
}
