//! Device registers and DMA memory behind the drivers' ports.

use alloc::alloc::{Layout, alloc_zeroed};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering, fence};

use mgmt_hypercall::EventWords;
use mgmt_pci::Window;
use mgmt_platform::{Memory, Platform, Registers};

use crate::paging::PageTables;

const PAGE: usize = 4096;

/// A range of device registers.
pub struct Mmio {
    base: NonNull<u8>,
    length: usize,
}

impl Mmio {
    /// Maps the registers; `None` where they cannot be (they would overlie our RAM).
    pub fn map(tables: &mut PageTables, window: Window) -> Option<Self> {
        tables.map_device(window.base, window.length)?;
        Some(Mmio {
            base: NonNull::new(window.base as *mut u8)?,
            length: usize::try_from(window.length).ok()?,
        })
    }

    fn register<T>(&self, offset: usize) -> *mut T {
        let end = offset.checked_add(size_of::<T>());
        let inside = end.is_some_and(|end| end <= self.length);
        assert!(
            inside && offset.is_multiple_of(size_of::<T>()),
            "bug: register {offset:#x} of a range of {:#x}",
            self.length
        );
        // SAFETY: the offset lies inside the mapped range.
        unsafe { self.base.as_ptr().add(offset).cast() }
    }
}

macro_rules! access {
    ($read:ident, $write:ident, $type:ty) => {
        fn $read(&self, offset: usize) -> $type {
            // SAFETY: `register` gives an aligned address of mapped device registers.
            unsafe { self.register::<$type>(offset).read_volatile() }
        }

        fn $write(&self, offset: usize, value: $type) {
            // SAFETY: as for the read.
            unsafe { self.register::<$type>(offset).write_volatile(value) }
        }
    };
}

impl Registers for Mmio {
    fn length(&self) -> usize {
        self.length
    }

    access!(read8, write8, u8);
    access!(read16, write16, u16);
    access!(read32, write32, u32);
}

/// Memory that devices may access. It is never freed: a device that misbehaves could still write to it.
pub struct DmaMemory {
    base: NonNull<u8>,
    length: usize,
}

impl DmaMemory {
    /// Zeroed memory from the heap, page-aligned.
    pub fn allocate(bytes: usize) -> Option<Self> {
        let layout = Layout::from_size_align(bytes.max(1), PAGE).ok()?;
        // SAFETY: the size is not 0.
        let base = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        Some(DmaMemory {
            base,
            length: bytes,
        })
    }

    fn at(&self, offset: usize, length: usize) -> *mut u8 {
        let inside = offset
            .checked_add(length)
            .is_some_and(|end| end <= self.length);
        assert!(
            inside,
            "bug: bytes {offset:#x} + {length:#x} of DMA memory of {:#x}",
            self.length
        );
        // SAFETY: inside the allocation.
        unsafe { self.base.as_ptr().add(offset) }
    }

    fn index(&self, offset: usize) -> &AtomicU16 {
        let pointer = self.at(offset, 2).cast::<u16>();
        assert!(pointer.is_aligned(), "bug: index at {offset:#x}");
        // SAFETY: aligned, inside memory that is never freed; the device accesses it atomically as well.
        unsafe { AtomicU16::from_ptr(pointer) }
    }
}

impl DmaMemory {
    /// Loads a number that another partition changes, with acquire.
    pub fn load32(&self, offset: usize) -> u32 {
        self.counter(offset).load(Ordering::Acquire)
    }

    /// Stores a number that another partition reads, with release.
    pub fn store32(&self, offset: usize, value: u32) {
        self.counter(offset).store(value, Ordering::Release);
    }

    fn counter(&self, offset: usize) -> &AtomicU32 {
        let pointer = self.at(offset, 4).cast::<u32>();
        assert!(pointer.is_aligned(), "bug: counter at {offset:#x}");
        // SAFETY: aligned, inside memory that is never freed; the hypervisor accesses it atomically as well.
        unsafe { AtomicU32::from_ptr(pointer) }
    }
}

impl Memory for DmaMemory {
    fn address(&self) -> u64 {
        // Guest-virtual, guest-physical and machine addresses are the same here.
        self.base.as_ptr() as u64
    }

    fn read(&self, offset: usize, into: &mut [u8]) {
        let from = self.at(offset, into.len());
        // SAFETY: `at` checks the range; `into` is not DMA memory, so the two do not overlap. The drivers read what the
        // device has handed over; a device that still writes can only spoil the bytes.
        unsafe { from.copy_to_nonoverlapping(into.as_mut_ptr(), into.len()) }
    }

    fn write(&self, offset: usize, from: &[u8]) {
        let to = self.at(offset, from.len());
        // SAFETY: as for `read`.
        unsafe { to.copy_from_nonoverlapping(from.as_ptr(), from.len()) }
    }

    fn load16(&self, offset: usize) -> u16 {
        self.index(offset).load(Ordering::Acquire)
    }

    fn store16(&self, offset: usize, value: u16) {
        self.index(offset).store(value, Ordering::Release);
    }

    fn fence(&self) {
        fence(Ordering::SeqCst);
    }
}

/// The drivers' platform.
#[derive(Clone, Copy)]
pub struct Machine;

impl Platform for Machine {
    type Registers = Mmio;
    type Memory = DmaMemory;

    fn memory(&self, bytes: usize) -> Option<DmaMemory> {
        DmaMemory::allocate(bytes)
    }
}

/// A page of words that the hypervisor changes as well.
pub struct SharedWords(DmaMemory);

impl SharedWords {
    /// The words of this page.
    pub fn new(page: DmaMemory) -> Self {
        SharedWords(page)
    }
}

impl EventWords for SharedWords {
    fn exchange(&self, index: u16) -> u64 {
        let pointer = self.0.at(usize::from(index) * 8, 8).cast::<u64>();
        // SAFETY: aligned, since the page is, inside memory that is never freed; the hypervisor accesses it atomically
        // as well.
        let word = unsafe { AtomicU64::from_ptr(pointer) };
        word.swap(0, Ordering::SeqCst)
    }
}
