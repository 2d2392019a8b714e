//! A guest's memory as this partition reaches it: the window that the hypervisor maps for `MemoryWindow`.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU16, Ordering};

use vmm_ram::{Gpa, GuestRam, NotRam, RamLayout};

use crate::paging::PageTables;

/// The window of one guest. It must go before the partition is destroyed, which takes the memory away.
pub struct GuestWindow {
    base: NonNull<u8>,
    layout: RamLayout,
}

impl GuestWindow {
    /// Maps the window at `base`, as the hypervisor returned it, over a guest's RAM; `None` where no address space is left.
    pub fn map(tables: &mut PageTables, base: u64, layout: RamLayout) -> Option<Self> {
        for range in layout.ranges() {
            tables.map_window(base.checked_add(range.start.0)?, range.bytes)?;
        }
        Some(GuestWindow {
            base: NonNull::new(base as *mut u8)?,
            layout,
        })
    }

    fn at(&self, at: Gpa, bytes: u64) -> Result<*mut u8, NotRam> {
        if !self.layout.contains(at, bytes) {
            return Err(NotRam { at, bytes });
        }
        // SAFETY: the address lies in the window, which is mapped wherever the guest has RAM.
        Ok(unsafe { self.base.as_ptr().add(at.0 as usize) })
    }

    fn index(&self, at: Gpa) -> Result<&AtomicU16, NotRam> {
        let pointer = self.at(at, 2)?.cast::<u16>();
        if !pointer.is_aligned() {
            return Err(NotRam { at, bytes: 2 });
        }
        // SAFETY: aligned, inside the window, which stays mapped as long as `self`; everybody else who writes there is
        // another partition.
        Ok(unsafe { AtomicU16::from_ptr(pointer) })
    }
}

impl GuestRam for GuestWindow {
    fn read(&self, at: Gpa, into: &mut [u8]) -> Result<(), NotRam> {
        if into.is_empty() {
            return Ok(());
        }
        let from = self.at(at, into.len() as u64)?;
        // SAFETY: `at` checks the range; `into` is our own memory, which no window overlies. A guest that writes at the same
        // time can only spoil the bytes.
        unsafe { from.copy_to_nonoverlapping(into.as_mut_ptr(), into.len()) }
        Ok(())
    }

    fn write(&self, at: Gpa, from: &[u8]) -> Result<(), NotRam> {
        if from.is_empty() {
            return Ok(());
        }
        let to = self.at(at, from.len() as u64)?;
        // SAFETY: as for `read`.
        unsafe { to.copy_from_nonoverlapping(from.as_ptr(), from.len()) }
        Ok(())
    }

    fn load_u16(&self, at: Gpa) -> Result<u16, NotRam> {
        Ok(self.index(at)?.load(Ordering::Acquire))
    }

    fn store_u16(&self, at: Gpa, value: u16) -> Result<(), NotRam> {
        self.index(at)?.store(value, Ordering::Release);
        Ok(())
    }

    fn zero(&self, at: Gpa, bytes: u64) -> Result<(), NotRam> {
        if bytes == 0 {
            return Ok(());
        }
        let to = self.at(at, bytes)?;
        // SAFETY: as for `read`.
        unsafe { to.write_bytes(0, bytes as usize) }
        Ok(())
    }
}
