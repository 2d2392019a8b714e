//! The early identity map, as the entry code sets it up.

use bulkhead_boot::PhysicalBytes;
use bulkhead_core::addr::Hpa;

use super::image;

/// Physical memory through the identity map. Only until the final page tables are active.
pub struct EarlyMap {
    limit: u64,
}

impl EarlyMap {
    /// The map.
    ///
    /// # Safety
    /// The identity map must be active for as long as the value or any slice from it lives.
    pub unsafe fn new() -> Self {
        EarlyMap {
            limit: image::identity_bytes(),
        }
    }

    /// The first address that is out of reach.
    pub fn limit(&self) -> Hpa {
        Hpa::new(self.limit)
    }
}

impl PhysicalBytes for EarlyMap {
    fn slice(&self, start: Hpa, bytes: usize) -> Option<&[u8]> {
        let start = start.as_u64();
        let end = start.checked_add(bytes as u64)?;
        // A slice must not start at the null pointer; nothing of interest is there.
        if start == 0 || end > self.limit {
            return None;
        }
        // SAFETY: mapped, as the creator promised. It is RAM or firmware memory that nobody else
        // writes during bring-up: other CPUs sleep, and the loader has stopped the devices.
        Some(unsafe {
            core::slice::from_raw_parts(core::ptr::with_exposed_provenance(start as usize), bytes)
        })
    }
}
