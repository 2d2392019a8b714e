//! Memory: what the hypervisor keeps for itself, and the allocator of the rest.

use alloc::boxed::Box;
use alloc::vec;

use bulkhead_boot::{BootInfo, MemoryKind};
use bulkhead_core::addr::{Hpa, HpaRange, PageSize};
use bulkhead_core::fault::ResourceError;
use bulkhead_core::frames::{
    BLOCK_BYTES, FrameAllocator, Layout, LayoutError, NodeRange, Storage, Zone,
};
use bulkhead_hw::acpi::Srat;
use bulkhead_hw::numa::Nodes;
use heapless::Vec;

use super::{banner, image};

/// Ranges that bring-up can work with.
const RANGES: usize = 256;
/// Everything below belongs to the firmware, and to the start of further CPUs.
const LOW_END: Hpa = Hpa::new(0x10_0000);

const MIB: u64 = 1 << 20;
/// The hypervisor takes this part of memory at first, within the bounds.
const SHARE: u64 = 64;
const FOUNDATION_MIN: u64 = 16 * MIB;
const FOUNDATION_MAX: u64 = 256 * MIB;
/// With less than this nothing can run.
const FOUNDATION_FLOOR: u64 = 6 * MIB;
const HEAP_MIN: u64 = 2 * MIB;
/// Numbers of partitions that can own memory.
const PARTITIONS: usize = 1024;

/// Why memory cannot be set up.
#[derive(Debug)]
pub enum MemoryError {
    /// The memory map is unusable.
    Layout(LayoutError),
    /// Too many ranges, or storage.
    Resource(ResourceError),
    /// No stretch of memory is large enough for the hypervisor.
    TooLittle,
}

impl core::fmt::Display for MemoryError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            MemoryError::Layout(error) => error.fmt(f),
            MemoryError::Resource(error) => error.fmt(f),
            MemoryError::TooLittle => write!(
                f,
                "no free stretch of {} MiB of memory below 4 GiB",
                FOUNDATION_FLOOR / MIB
            ),
        }
    }
}

impl From<LayoutError> for MemoryError {
    fn from(error: LayoutError) -> Self {
        MemoryError::Layout(error)
    }
}

impl From<ResourceError> for MemoryError {
    fn from(error: ResourceError) -> Self {
        MemoryError::Resource(error)
    }
}

/// The hypervisor's own memory, one stretch: first the heap, then the pool of frames.
#[derive(Clone, Copy, Debug)]
pub struct Foundation {
    /// The heap's part.
    pub heap: HpaRange,
    /// The pool's part.
    pub pool: HpaRange,
}

impl Foundation {
    /// All of it.
    pub fn range(&self) -> HpaRange {
        HpaRange {
            start: self.heap.start,
            end: self.pool.end,
        }
    }
}

type Usable = Vec<NodeRange, RANGES>;
type Reserved = Vec<HpaRange, RANGES>;

fn usable(info: &BootInfo, srat: &Srat, nodes: &Nodes) -> Result<Usable, ResourceError> {
    let mut parts = Vec::new();
    for region in &info.memory {
        if region.kind == MemoryKind::Usable {
            nodes.split(srat, region.range, &mut parts)?;
        }
    }
    Ok(parts)
}

/// What must not be given away: low memory, the image, modules, and whatever the map does not call
/// usable where ranges overlap.
fn reserved(info: &BootInfo, extra: Option<HpaRange>) -> Result<Reserved, ResourceError> {
    let low = HpaRange {
        start: Hpa::new(0),
        end: LOW_END,
    };
    let unusable = info
        .memory
        .iter()
        .filter(|region| region.kind != MemoryKind::Usable)
        .map(|region| region.range);
    let mut all = Vec::new();
    [low, image::range()]
        .into_iter()
        .chain(extra)
        .chain(info.reserved.iter().copied())
        .chain(unusable)
        .try_for_each(|range| all.push(range))
        .map_err(|_| ResourceError::TableFull("reserved memory ranges"))?;
    Ok(all)
}

/// Picks the foundation: the lowest stretch of its size below `limit`.
///
/// # Errors
/// [`MemoryError`].
pub fn choose_foundation(info: &BootInfo, limit: Hpa) -> Result<Foundation, MemoryError> {
    let nodes = Nodes::default();
    let usable = usable(info, &Srat::default(), &nodes)?;
    let reserved = reserved(info, None)?;
    let mut zones = [Zone::default(); 2 * RANGES];
    let layout = Layout::plan(&mut zones, &usable, &reserved)?;
    let total = banner::usable_bytes(info);
    let mut bytes = (total / SHARE)
        .clamp(FOUNDATION_MIN, FOUNDATION_MAX)
        .next_multiple_of(BLOCK_BYTES);
    // Small machines: not more than a quarter.
    while bytes > FOUNDATION_FLOOR && bytes > total / 4 {
        bytes -= BLOCK_BYTES;
    }
    // The allocator's records live on the heap: two bytes for each block.
    let records = (layout.blocks() as u64 * 3).next_multiple_of(BLOCK_BYTES);
    loop {
        let heap = (bytes / 4).max(HEAP_MIN).next_multiple_of(BLOCK_BYTES) + records;
        let wanted = bytes.max(heap + 2 * BLOCK_BYTES);
        let found = layout.ranges().map(|zone| zone.range).find(|range| {
            let end = range.start.checked_add(wanted);
            end.is_some_and(|end| end <= range.end && end <= limit)
        });
        if let Some(range) = found {
            let border = range.start.wrapping_add(heap);
            return Ok(Foundation {
                heap: HpaRange {
                    start: range.start,
                    end: border,
                },
                pool: HpaRange {
                    start: border,
                    end: range.start.wrapping_add(wanted),
                },
            });
        }
        if bytes <= FOUNDATION_FLOOR {
            return Err(MemoryError::TooLittle);
        }
        bytes -= BLOCK_BYTES;
    }
}

/// The allocator of everything else. Needs the heap.
///
/// # Errors
/// [`MemoryError`].
pub fn frame_allocator(
    info: &BootInfo,
    srat: &Srat,
    nodes: &Nodes,
    foundation: &Foundation,
) -> Result<FrameAllocator<'static>, MemoryError> {
    let usable = usable(info, srat, nodes)?;
    let reserved = reserved(info, Some(foundation.range()))?;
    let zones = vec![Zone::default(); usable.len() + reserved.len() + 1];
    let layout = Layout::plan(Box::leak(zones.into_boxed_slice()), &usable, &reserved)?;
    let storage = Storage {
        blocks: Box::leak(vec![0; layout.blocks()].into_boxed_slice()),
        chunks: Box::leak(vec![0; layout.chunks()].into_boxed_slice()),
        partitions: Box::leak(vec![0; PARTITIONS].into_boxed_slice()),
    };
    Ok(FrameAllocator::new(layout, storage)?)
}

const _: () = assert!(BLOCK_BYTES == PageSize::Size2M.bytes());
