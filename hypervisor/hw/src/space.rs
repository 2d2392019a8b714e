//! The hypervisor's address space, as [`crate::layout`] describes it: nothing is writable and
//! executable, and no guest memory is mapped but through windows.
//!
//! Lock order: the space's lock before the pool's.

use core::sync::atomic::{AtomicU64, Ordering};

use bulkhead_core::addr::{Hpa, HpaRange, Hva, PAGE_SIZE, PageSize};
use bulkhead_core::id::CpuId;
use bulkhead_core::paging::{
    Attributes, Entry, Flushed, Format, GigabytePages, LongMode, MapError, MemoryType, PageTable,
    Permissions, TableMemory, UserBit,
};
use spin::Mutex;

use crate::layout::{
    self, CPU_REGION_BYTES, DEVICES, DEVICES_END, DIRECT_MAP_BYTES, LOCAL_APIC, PER_CPU_OFFSET,
    Stack, WINDOW_STRIDE, WINDOWS,
};
use crate::msr::Msr;
use crate::percpu::PerCpu;
use crate::pool::{self, Tables};
use crate::probe::CpuFeatures;
use crate::registers;

/// What mapping in the hypervisor's space can fail with.
pub type SpaceError = MapError<Hva>;

static SPACE: Mutex<Option<PageTable<LongMode<Hva>>>> = Mutex::new(None);
static ROOT: AtomicU64 = AtomicU64::new(0);
/// Where the image's code starts and ends.
static CODE: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];
/// Where the next device goes.
static NEXT_DEVICE: Mutex<u64> = Mutex::new(DEVICES);

const CR4_MACHINE_CHECK: u64 = 1 << 6;
const CR4_SMEP: u64 = 1 << 20;
const CR0_WRITE_PROTECT: u64 = 1 << 16;

/// A part of the image and what it allows.
#[derive(Clone, Copy, Debug)]
pub struct ImagePart {
    /// Its first address, page-aligned.
    pub start: Hva,
    /// The address after it, page-aligned.
    pub end: Hva,
    /// What it allows.
    pub permissions: Permissions,
}

/// Builds the tables: the image, and the frames of `foundation` in the direct map.
///
/// # Errors
/// [`SpaceError`] where the pool runs out or an address is beyond what the tables can hold.
pub fn build(
    features: &CpuFeatures,
    image: &[ImagePart],
    foundation: HpaRange,
) -> Result<(), SpaceError> {
    let gigabytes = if features.gigabyte_pages {
        GigabytePages::Supported
    } else {
        GigabytePages::Absent
    };
    let format = LongMode::new(UserBit::ByPermission, gigabytes, features.physical_bits);
    let mut table = PageTable::new(format, &mut Tables)?;
    for part in image {
        if part.permissions == Permissions::RX {
            let [start, end] = &CODE;
            start.store(part.start.as_u64(), Ordering::Relaxed);
            end.store(part.end.as_u64(), Ordering::Relaxed);
        }
        let bytes = part.end.as_u64().saturating_sub(part.start.as_u64());
        let physical = part.start.as_u64().wrapping_sub(layout::IMAGE_BASE);
        table.map(
            &mut Tables,
            &mut Tables,
            part.start,
            bytes,
            Hpa::new(physical),
            Attributes::new(part.permissions, MemoryType::WriteBack),
        )?;
    }
    ROOT.store(table.root().as_u64(), Ordering::Relaxed);
    *SPACE.lock() = Some(table);
    // SAFETY: the foundation is the pool's own memory.
    unsafe { map_direct(foundation) }
}

/// The addresses of the image's code; empty before [`build`].
pub fn code() -> core::ops::Range<u64> {
    let [start, end] = &CODE;
    start.load(Ordering::Relaxed)..end.load(Ordering::Relaxed)
}

/// The root of the tables, for CR3.
pub fn root() -> Hpa {
    Hpa::new(ROOT.load(Ordering::Relaxed))
}

/// Switches the running CPU to the tables, or sets its registers up where it is on them already.
///
/// # Safety
/// After [`build`]; the running code and its stack must lie in the mapped image or in this CPU's
/// region. Nothing may use the identity map afterwards.
pub unsafe fn activate(features: &CpuFeatures) {
    // SAFETY: the tables map what is in use, says the caller. The page-attribute table changes
    // only entries that the early tables do not use. SMEP forbids what never happens here:
    // executing user pages.
    unsafe {
        Msr::PAT.write(LongMode::<Hva>::PAT);
        registers::set_cr0(registers::cr0() | CR0_WRITE_PROTECT);
        registers::set_cr3(root());
        // A machine check while these are not reported would stop the CPU without a word.
        let mut cr4 = registers::cr4();
        if features.machine_check {
            cr4 |= CR4_MACHINE_CHECK;
        }
        if features.smep {
            cr4 |= CR4_SMEP;
        }
        registers::set_cr4(cr4);
    }
}

fn map(
    start: Hva,
    bytes: u64,
    target: Hpa,
    permissions: Permissions,
    memory: MemoryType,
) -> Result<(), SpaceError> {
    match SPACE.lock().as_mut() {
        Some(table) => table.map(
            &mut Tables,
            &mut Tables,
            start,
            bytes,
            target,
            Attributes::new(permissions, memory),
        ),
        None => Err(MapError::OutOfRange),
    }
}

/// Maps memory of the hypervisor in the direct map.
///
/// # Errors
/// [`SpaceError`]; then nothing has changed.
///
/// # Safety
/// The range must be RAM that belongs to the hypervisor.
pub unsafe fn map_direct(range: HpaRange) -> Result<(), SpaceError> {
    if range.end.as_u64() > DIRECT_MAP_BYTES {
        return Err(MapError::TargetOutOfRange);
    }
    map(
        layout::direct(range.start),
        range.bytes(),
        range.start,
        Permissions::RW,
        MemoryType::WriteBack,
    )
}

/// Maps device registers (or a framebuffer) and gives the address of the first byte.
///
/// # Errors
/// [`SpaceError`] where tables or addresses run out.
///
/// # Safety
/// The range must be a device's, not RAM.
pub unsafe fn map_device(start: Hpa, bytes: u64, memory: MemoryType) -> Result<Hva, SpaceError> {
    let first = start.align_down(PageSize::Size4K);
    let end = start
        .checked_add(bytes)
        .and_then(|end| end.align_up(PageSize::Size4K))
        .ok_or(MapError::TargetOutOfRange)?;
    let length = end.as_u64() - first.as_u64();
    let mut next = NEXT_DEVICE.lock();
    let address = *next;
    let after = address
        .checked_add(length)
        .filter(|after| *after <= DEVICES_END)
        .ok_or(MapError::OutOfRange)?;
    map(Hva::new(address), length, first, Permissions::RW, memory)?;
    // A page stays free between devices, so that an overrun faults.
    *next = after + PAGE_SIZE;
    Ok(Hva::new(address + start.page_offset(PageSize::Size4K)))
}

/// Unmaps a part of the hypervisor's memory that is not needed any more.
///
/// # Errors
/// [`SpaceError`]; then nothing has changed.
///
/// # Safety
/// Nothing may use the range afterwards, and no other CPU may be up yet.
pub unsafe fn retire(start: Hva, bytes: u64) -> Result<(), SpaceError> {
    let mut space = SPACE.lock();
    let Some(table) = space.as_mut() else {
        return Err(MapError::OutOfRange);
    };
    let flush = table.unmap(&mut Tables, &mut Tables, start, bytes)?;
    // SAFETY: the same tables again, which drops this CPU's translations; there is no other CPU.
    unsafe { registers::set_cr3(root()) };
    flush.release(Flushed::attest(), &mut Tables, &mut Tables);
    Ok(())
}

/// Maps the registers of the local APICs.
///
/// # Errors
/// [`SpaceError`] where tables run out.
pub fn map_local_apic(base: Hpa) -> Result<(), SpaceError> {
    map(
        Hva::new(LOCAL_APIC),
        PAGE_SIZE,
        base,
        Permissions::RW,
        MemoryType::Uncached,
    )
}

/// Maps the region of `cpu`: stacks with guard pages, the per-CPU block, the windows' table.
///
/// # Errors
/// [`SpaceError`] where memory runs out.
pub fn map_cpu_region(cpu: CpuId) -> Result<(), SpaceError> {
    let region = layout::region(cpu);
    for stack in Stack::ALL {
        map_fresh(region.wrapping_add(stack.offset), stack.bytes)?;
    }
    map_fresh(
        region.wrapping_add(PER_CPU_OFFSET),
        CPU_REGION_BYTES - PER_CPU_OFFSET,
    )?;
    // One page, to make the tables down to the lowest level; `attach_windows` empties its entry.
    map_fresh(window_base(cpu), PAGE_SIZE)
}

fn map_fresh(start: Hva, bytes: u64) -> Result<(), SpaceError> {
    for offset in (0..bytes).step_by(PAGE_SIZE as usize) {
        let frame = pool::allocate()?;
        map(
            start.wrapping_add(offset),
            PAGE_SIZE,
            frame,
            Permissions::RW,
            MemoryType::WriteBack,
        )?;
    }
    Ok(())
}

/// Gives the windows of `block`'s CPU their page table. Once for each CPU, before it runs.
pub fn attach_windows(block: &PerCpu) {
    let base = window_base(block.cpu);
    let space = SPACE.lock();
    let Some(table) = space.as_ref() else {
        return;
    };
    let Some((slot, placeholder)) = lowest_entry(table, base) else {
        return;
    };
    Tables.store(slot, 0);
    registers::flush_page(base);
    pool::free(placeholder);
    let page_table = pool::address_of(slot.align_down(PageSize::Size4K));
    // SAFETY: the table translates this CPU's windows only, and is empty now.
    unsafe { block.windows.attach(page_table) };
}

/// The level-1 entry for `address`, and the frame that it maps.
fn lowest_entry(table: &PageTable<LongMode<Hva>>, address: Hva) -> Option<(Hpa, Hpa)> {
    let format = table.format();
    let mut frame = table.root();
    let mut level = format.root_level();
    loop {
        let shift = 12 + 9 * (u32::from(level.number()) - 1);
        let index = address.as_u64() >> shift & 511;
        let slot = frame.wrapping_add(index * 8);
        match (format.decode(Tables.load(slot), level), level.below()) {
            (Entry::Table(next), Some(below)) => (frame, level) = (next, below),
            (Entry::Leaf { target, .. }, None) => return Some((slot, target)),
            _ => return None,
        }
    }
}

fn window_base(cpu: CpuId) -> Hva {
    Hva::new(WINDOWS + u64::from(cpu.0) * WINDOW_STRIDE)
}
