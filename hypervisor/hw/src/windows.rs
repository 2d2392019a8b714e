//! Windows: short-lived mappings of frames that are not the hypervisor's, one CPU each.
//!
//! A CPU maps and unmaps in its own page table only, so no other CPU ever needs a flush.

use core::cell::Cell;
use core::marker::PhantomData;
use core::sync::atomic::{AtomicU64, Ordering};

use bulkhead_core::addr::{Hpa, Hva, PAGE_SIZE, PageSize};
use bulkhead_core::id::CpuId;

use crate::layout::{WINDOW_STRIDE, WINDOWS};
use crate::percpu::PerCpu;
use crate::registers;

/// Windows of a CPU that may be open at a time.
const SLOTS: u32 = 8;

/// Present, writable, accessed, dirty, no-execute, write-back.
const ENTRY: u64 = 1 | 1 << 1 | 1 << 5 | 1 << 6 | 1 << 63;

/// The windows of one CPU.
pub(crate) struct Windows {
    base: Hva,
    /// Address of the page table behind the windows; 0 before there is one.
    table: Cell<usize>,
    /// A bit for each window that is open.
    open: Cell<u32>,
}

impl Windows {
    pub(crate) const fn new(cpu: CpuId) -> Self {
        Windows {
            base: Hva::new(WINDOWS + cpu.0 as u64 * WINDOW_STRIDE),
            table: Cell::new(0),
            open: Cell::new(0),
        }
    }

    /// Gives the windows their page table.
    ///
    /// # Safety
    /// `table` must be the mapped page table that translates the first pages from the windows'
    /// base, empty, and of no other use.
    pub(crate) unsafe fn attach(&self, table: Hva) {
        self.table.set(table.as_u64() as usize);
    }

    fn entry(&self, slot: u32) -> Option<&AtomicU64> {
        let table = self.table.get();
        if table == 0 {
            return None;
        }
        let address = table + slot as usize * 8;
        // SAFETY: `attach` was given a page of 512 entries for good, and slot is below 512.
        Some(unsafe { &*core::ptr::with_exposed_provenance(address) })
    }
}

/// A frame, mapped for as long as this lives. Stays on the CPU that opened it.
///
/// The frame may change at any time (a guest or a device may write to it), so there are no
/// references into it, only copies.
#[derive(Debug)]
pub struct Window {
    address: usize,
    slot: u32,
    not_send: PhantomData<*mut u8>,
}

impl Window {
    /// Maps the page at `frame`, which is aligned down; `None` where all windows are open.
    ///
    /// # Safety
    /// The frame must be RAM, and writing to it through the window must not break memory safety:
    /// it must not be memory that the hypervisor itself uses.
    pub unsafe fn open(frame: Hpa) -> Option<Window> {
        let windows = &PerCpu::from_stack().windows;
        let slot = windows.open.get().trailing_ones();
        if slot >= SLOTS {
            return None;
        }
        let entry = windows.entry(slot)?;
        windows.open.set(windows.open.get() | 1 << slot);
        let page = windows.base.wrapping_add(u64::from(slot) * PAGE_SIZE);
        // The entry was absent and flushed, so no CPU holds a translation for the page.
        entry.store(
            frame.align_down(PageSize::Size4K).as_u64() | ENTRY,
            Ordering::Release,
        );
        Some(Window {
            address: page.as_u64() as usize,
            slot,
            not_send: PhantomData,
        })
    }

    /// The page's address, for accesses that must be of one width.
    pub fn as_ptr(&self) -> *mut u8 {
        core::ptr::with_exposed_provenance_mut(self.address)
    }

    /// Copies from the page; false where the range leaves it.
    #[must_use]
    pub fn read(&self, offset: usize, target: &mut [u8]) -> bool {
        if !fits(offset, target.len()) {
            return false;
        }
        // SAFETY: source is mapped and inside the page; target is a Rust reference elsewhere.
        unsafe {
            core::ptr::copy_nonoverlapping(
                self.as_ptr().add(offset),
                target.as_mut_ptr(),
                target.len(),
            );
        }
        true
    }

    /// Copies to the page; false where the range leaves it.
    #[must_use]
    pub fn write(&self, offset: usize, source: &[u8]) -> bool {
        if !fits(offset, source.len()) {
            return false;
        }
        // SAFETY: target is mapped, inside the page, and vouched for by the opener.
        unsafe {
            core::ptr::copy_nonoverlapping(
                source.as_ptr(),
                self.as_ptr().add(offset),
                source.len(),
            );
        }
        true
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        let windows = &PerCpu::from_stack().windows;
        if let Some(entry) = windows.entry(self.slot) {
            entry.store(0, Ordering::Release);
            registers::flush_page(Hva::new(self.address as u64));
            windows.open.set(windows.open.get() & !(1 << self.slot));
        }
    }
}

fn fits(offset: usize, length: usize) -> bool {
    offset
        .checked_add(length)
        .is_some_and(|end| end <= PAGE_SIZE as usize)
}
