//! The partition's own page tables: identity-mapped, writable or executable but not both, devices uncached on demand.
//!
//! The tables that the hypervisor provides at the start map everything writable and executable; these replace them.

use alloc::alloc::{Layout, alloc_zeroed, handle_alloc_error};

use mgmt_start::Region;
use x86_64::PhysAddr;
use x86_64::registers::control::{Cr0, Cr0Flags, Cr3, Cr3Flags, Efer, EferFlags};
use x86_64::structures::paging::PhysFrame;

use crate::entry::ImageBounds;

const PRESENT: u64 = 1;
const WRITABLE: u64 = 1 << 1;
const UNCACHED: u64 = 1 << 4 | 1 << 3;
const LARGE: u64 = 1 << 7;
const NO_EXECUTE: u64 = 1 << 63;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

const PAGE: u64 = 4096;
const LARGE_PAGE: u64 = 2 << 20;

/// What may be done with a range.
#[derive(Clone, Copy)]
enum Use {
    Code,
    Constants,
    Memory,
    Device,
}

impl Use {
    fn bits(self) -> u64 {
        PRESENT
            | match self {
                Use::Code => 0,
                Use::Constants => NO_EXECUTE,
                Use::Memory => WRITABLE | NO_EXECUTE,
                Use::Device => WRITABLE | NO_EXECUTE | UNCACHED,
            }
    }
}

type Table = [u64; 512];

/// The tables in use. There is one: it is not `Clone`, and its owner is the composition root.
pub struct PageTables {
    root: &'static mut Table,
    ram: Region,
}

fn new_table() -> &'static mut Table {
    let layout = Layout::new::<Table>()
        .align_to(PAGE as usize)
        .unwrap_or(Layout::new::<Table>());
    // SAFETY: the layout's size is not 0.
    let pointer = unsafe { alloc_zeroed(layout) }.cast::<Table>();
    if pointer.is_null() {
        handle_alloc_error(layout);
    }
    // SAFETY: fresh memory of the right size, zero being a valid entry; it is never freed.
    unsafe { &mut *pointer }
}

/// The entry of the table of `level` (0 to 3) for an address.
fn entry(table: &mut Table, address: u64, level: u32) -> Option<&mut u64> {
    table.get_mut((address >> (12 + 9 * level)) as usize & 511)
}

/// The table that `entry` leads to; made where there is none. `None` where a large page is in the way.
fn next(entry: &mut u64) -> Option<&mut Table> {
    if *entry & PRESENT == 0 {
        *entry = new_table() as *mut Table as u64 | PRESENT | WRITABLE;
    }
    if *entry & LARGE != 0 {
        return None;
    }
    // SAFETY: present entries without the large bit were made above and lead to tables of our own, identity-mapped, each
    // reached from one entry only.
    Some(unsafe { &mut *((*entry & ADDRESS) as *mut Table) })
}

impl PageTables {
    /// Builds the tables for the image and the RAM around it, and puts them to use.
    ///
    /// # Safety
    /// Called once, with the heap up, on page tables that map the first 512 GiB one to one; `ram` is the partition's RAM
    /// and holds the image.
    pub unsafe fn install(ram: Region) -> Self {
        let image = ImageBounds::get();
        let mut tables = PageTables {
            root: new_table(),
            ram,
        };
        let end = image.end.next_multiple_of(PAGE);
        tables.map(ram.base, image.start, Use::Memory);
        tables.map(image.start, image.text_end, Use::Code);
        tables.map(image.text_end, image.rodata_end, Use::Constants);
        tables.map(image.rodata_end, image.stack_guard, Use::Memory);
        tables.map(image.stack_bottom, end, Use::Memory);
        tables.map(end, ram.end(), Use::Memory);

        let root = PhysFrame::containing_address(PhysAddr::new(&raw const *tables.root as u64));
        // SAFETY: the bits turn on what the entries use (no-execute) and make the read-only ones hold for us as well;
        // the tables map all that is in use at its present address.
        unsafe {
            Efer::update(|efer| efer.insert(EferFlags::NO_EXECUTE_ENABLE));
            Cr0::update(|cr0| cr0.insert(Cr0Flags::WRITE_PROTECT));
            Cr3::write(root, Cr3Flags::empty());
        }
        tables
    }

    /// Maps [from, to), page-aligned, with the largest pages that fit. What is mapped already stays as it is.
    fn map(&mut self, from: u64, to: u64, what: Use) {
        let mut at = from;
        while at < to {
            let large = at.is_multiple_of(LARGE_PAGE) && to - at >= LARGE_PAGE;
            at += self.map_page(at, large, what.bits());
        }
    }

    /// Maps the page at `address`, large if asked for and possible. Returns its size.
    fn map_page(&mut self, address: u64, large: bool, bits: u64) -> u64 {
        let directory = entry(self.root, address, 3)
            .and_then(next)
            .and_then(|table| entry(table, address, 2))
            .and_then(next);
        let Some(slot) = directory.and_then(|table| entry(table, address, 1)) else {
            return PAGE;
        };
        if large && *slot == 0 {
            *slot = address | bits | LARGE;
            return LARGE_PAGE;
        }
        if let Some(slot) = next(slot).and_then(|table| entry(table, address, 0))
            && *slot == 0
        {
            *slot = address | bits;
        }
        PAGE
    }

    /// Maps a device's registers, if they are none of our RAM: a device must not be able to make us treat memory as
    /// registers.
    pub fn map_device(&mut self, base: u64, length: u64) -> Option<()> {
        let end = base.checked_add(length)?.checked_next_multiple_of(PAGE)?;
        let outside = end <= self.ram.base || base >= self.ram.end();
        // Beyond 512 GiB the image has no need to reach, and the address must be canonical.
        (outside && length > 0 && end <= 1 << 47).then(|| {
            self.map(base & !(PAGE - 1), end, Use::Device);
        })
    }

    /// Maps memory that can only be read, and is none of our RAM.
    pub fn map_constants(&mut self, base: u64, length: u64) -> Option<()> {
        let end = base.checked_add(length)?.checked_next_multiple_of(PAGE)?;
        let outside = end <= self.ram.base || base >= self.ram.end();
        (outside && length > 0 && end <= 1 << 47).then(|| {
            self.map(base & !(PAGE - 1), end, Use::Constants);
        })
    }

    /// Maps memory of another partition at the addresses where the hypervisor shows it. The mapping stays when the
    /// memory has gone: whatever the hypervisor shows there later is such memory again.
    pub fn map_window(&mut self, base: u64, length: u64) -> Option<()> {
        let end = base.checked_add(length)?.checked_next_multiple_of(PAGE)?;
        let outside = end <= self.ram.base || base >= self.ram.end();
        (outside && length > 0 && end <= 1 << 47).then(|| {
            self.map(base & !(PAGE - 1), end, Use::Memory);
        })
    }
}
