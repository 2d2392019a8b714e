//! The allocator of 2 MiB blocks: bookkeeping, requests, frees.

use super::layout::{Layout, NodeId, Zone};
use super::ledger::{FREE, FreeError, NodeLedger, Owner};
use super::{BLOCK_BYTES, CHUNK_BLOCKS};
use crate::addr::{Hpa, HpaRange, PageSize};
use crate::fault::ResourceError;

/// Where memory should come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Placement {
    /// Any node.
    Anywhere,
    /// This node as far as it reaches, then the others.
    Preferred(NodeId),
    /// This node only.
    Strict(NodeId),
}

impl Placement {
    /// The passes over the zones that the placement stands for: which zones the first may use, and
    /// which the second (`None`: there is no second).
    fn allows(self, pass: Pass, node: NodeId) -> bool {
        match (self, pass) {
            (Placement::Anywhere, Pass::First) => true,
            (Placement::Anywhere | Placement::Strict(_), Pass::Second) => false,
            (Placement::Preferred(wanted) | Placement::Strict(wanted), Pass::First) => {
                wanted == node
            }
            (Placement::Preferred(wanted), Pass::Second) => wanted != node,
        }
    }
}

#[derive(Clone, Copy)]
enum Pass {
    First,
    Second,
}

const PASSES: [Pass; 2] = [Pass::First, Pass::Second];

/// Which chunks a sweep takes from, so that whole ones are broken last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sweep {
    /// Only 1 GiB chunks that are wholly free, as a whole.
    Whole,
    /// Only chunks that are broken already.
    Broken,
    /// All that is left.
    Rest,
}

const SWEEPS: [Sweep; 3] = [Sweep::Whole, Sweep::Broken, Sweep::Rest];

/// Memory for the allocator's records, sized by a [`Layout`]. Contents do not matter.
#[derive(Debug)]
pub struct Storage<'s> {
    /// One element for each block: [`Layout::blocks`].
    pub blocks: &'s mut [u16],
    /// One element for each 1 GiB chunk of each zone: [`Layout::chunks`].
    pub chunks: &'s mut [u16],
    /// One element for each partition number that may own memory.
    pub partitions: &'s mut [u64],
}

/// The machine's memory in blocks of 2 MiB.
#[derive(Debug)]
pub struct FrameAllocator<'s> {
    zones: &'s mut [Zone],
    /// The owner of each block.
    blocks: &'s mut [u16],
    /// Free blocks of each chunk.
    chunks: &'s mut [u16],
    /// Blocks of each partition.
    partitions: &'s mut [u64],
    hypervisor_blocks: u64,
    lost: u64,
}

/// Blocks of one zone, by their numbers in it.
#[derive(Clone, Copy)]
struct Run {
    zone: usize,
    start: u64,
    len: u64,
}

impl<'s> FrameAllocator<'s> {
    /// An allocator of all memory in `layout`, all of it free.
    ///
    /// # Errors
    /// [`ResourceError::TableFull`] where an array of `storage` is too short.
    pub fn new(layout: Layout<'s>, storage: Storage<'s>) -> Result<Self, ResourceError> {
        let lost = layout.lost_bytes();
        let blocks = storage
            .blocks
            .get_mut(..layout.blocks())
            .ok_or(ResourceError::TableFull("memory blocks"))?;
        let chunks = storage
            .chunks
            .get_mut(..layout.chunks())
            .ok_or(ResourceError::TableFull("memory chunks"))?;
        blocks.fill(FREE);
        storage.partitions.fill(0);
        for zone in layout.zones.iter() {
            for chunk in zone.chunk_numbers() {
                let span = zone.chunk_blocks(chunk);
                if let Some(count) = chunks.get_mut(zone.first_chunk + chunk as usize) {
                    *count = (span.end - span.start) as u16;
                }
            }
        }
        Ok(Self {
            zones: layout.zones,
            blocks,
            chunks,
            partitions: storage.partitions,
            hypervisor_blocks: 0,
            lost,
        })
    }

    /// Takes `bytes`, rounded up to whole blocks, and hands each run of memory to `sink`.
    ///
    /// Whole, aligned gigabytes come first as long as a gigabyte is still missing, one run each;
    /// the rest is taken from gigabytes that are broken already, before another one is broken.
    /// The nearer node goes before the larger page.
    ///
    /// # Errors
    /// [`ResourceError`]; then `sink` was not called and nothing has changed.
    pub fn allocate(
        &mut self,
        owner: Owner,
        bytes: u64,
        placement: Placement,
        mut sink: impl FnMut(HpaRange),
    ) -> Result<(), ResourceError> {
        let mut missing = bytes.div_ceil(BLOCK_BYTES);
        let available: u64 = self
            .zones
            .iter()
            .filter(|zone| PASSES.iter().any(|pass| placement.allows(*pass, zone.node)))
            .map(|zone| zone.free_blocks)
            .sum();
        if missing > available {
            return Err(ResourceError::GuestMemory);
        }
        let record = self.admit(owner)?;
        for pass in PASSES {
            for sweep in SWEEPS {
                for zone in 0..self.zones.len() {
                    let allowed = |zone: &Zone| placement.allows(pass, zone.node);
                    if missing > 0 && self.zones.get(zone).is_some_and(allowed) {
                        missing -= self.sweep(zone, sweep, missing, record, &mut sink);
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes `bytes`, rounded up to whole blocks, as one run that starts at a border of `align` (at
    /// least 2 MiB) and ends at or below `below`; the lowest that fits.
    ///
    /// # Errors
    /// [`ResourceError::GuestMemory`] where no such run is free.
    pub fn allocate_contiguous(
        &mut self,
        owner: Owner,
        bytes: u64,
        align: PageSize,
        below: Option<Hpa>,
        placement: Placement,
    ) -> Result<HpaRange, ResourceError> {
        let record = self.admit(owner)?;
        let len = bytes.div_ceil(BLOCK_BYTES).max(1);
        let align = (align.bytes() / BLOCK_BYTES).max(1);
        let limit = below.map_or(u64::MAX, Hpa::as_u64);
        for pass in PASSES {
            for index in 0..self.zones.len() {
                let found = self
                    .zones
                    .get(index)
                    .filter(|zone| placement.allows(pass, zone.node))
                    .and_then(|zone| self.find_run(zone, len, align, limit));
                if let Some(start) = found {
                    let run = Run {
                        zone: index,
                        start,
                        len,
                    };
                    return self.assign(run, record).ok_or(ResourceError::GuestMemory);
                }
            }
        }
        Err(ResourceError::GuestMemory)
    }

    /// Gives back memory, whole blocks in any pieces; neighbours coalesce by themselves.
    ///
    /// # Errors
    /// [`FreeError`] where any block of the range is not `owner`'s; then nothing has changed.
    pub fn free(&mut self, owner: Owner, range: HpaRange) -> Result<(), FreeError> {
        let misaligned = |at: Hpa| !at.is_aligned(PageSize::Size2M);
        if misaligned(range.start) || misaligned(range.end) || range.bytes() == 0 {
            return Err(FreeError::Unaligned(range.start));
        }
        let addresses = || {
            let blocks = range.bytes() / BLOCK_BYTES;
            (0..blocks).map(|block| Hpa::new(range.start.as_u64() + block * BLOCK_BYTES))
        };
        for at in addresses() {
            match self.owner_at(at).ok_or(FreeError::NotManaged(at))? {
                None => return Err(FreeError::AlreadyFree(at)),
                Some(holder) if holder != owner => {
                    return Err(FreeError::WrongOwner(at, holder));
                }
                Some(_) => {}
            }
        }
        for at in addresses() {
            if let Some((zone, start)) = self.locate(at) {
                self.assign(
                    Run {
                        zone,
                        start,
                        len: 1,
                    },
                    FREE,
                );
            }
        }
        Ok(())
    }

    /// Gives back everything `owner` holds: the end of a partition. Returns the bytes.
    pub fn free_all(&mut self, owner: Owner) -> u64 {
        let Some(record) = owner.record() else {
            return 0;
        };
        let before = self.free_bytes();
        for zone in 0..self.zones.len() {
            let blocks = self.zones.get(zone).map_or(0, Zone::blocks);
            for start in 0..blocks {
                if self.record_at(zone, start) == Some(record) {
                    self.assign(
                        Run {
                            zone,
                            start,
                            len: 1,
                        },
                        FREE,
                    );
                }
            }
        }
        self.free_bytes() - before
    }

    /// Who owns the block of `at`: `None` where it is not under management, `Some(None)` where it
    /// is free.
    pub fn owner_at(&self, at: Hpa) -> Option<Option<Owner>> {
        let (zone, block) = self.locate(at)?;
        self.record_at(zone, block).map(Owner::from_record)
    }

    /// The node of the block of `at`; `None` where it is not under management.
    pub fn node_at(&self, at: Hpa) -> Option<NodeId> {
        let (zone, _) = self.locate(at)?;
        self.zones.get(zone).map(|zone| zone.node)
    }

    /// All bytes under management.
    pub fn total_bytes(&self) -> u64 {
        self.zones.iter().map(|zone| zone.end - zone.start).sum()
    }

    /// Bytes that nobody owns.
    pub fn free_bytes(&self) -> u64 {
        let blocks: u64 = self.zones.iter().map(|zone| zone.free_blocks).sum();
        blocks * BLOCK_BYTES
    }

    /// Bytes that `owner` holds.
    pub fn owned_bytes(&self, owner: Owner) -> u64 {
        let blocks = match owner {
            Owner::Hypervisor => self.hypervisor_blocks,
            Owner::Partition(id) => self.partitions.get(usize::from(id.0)).copied().unwrap_or(0),
        };
        blocks * BLOCK_BYTES
    }

    /// The sums of one node.
    pub fn node(&self, node: NodeId) -> NodeLedger {
        self.zones.iter().filter(|zone| zone.node == node).fold(
            NodeLedger::default(),
            |sum, zone| NodeLedger {
                total_bytes: sum.total_bytes + (zone.end - zone.start),
                free_bytes: sum.free_bytes + zone.free_blocks * BLOCK_BYTES,
            },
        )
    }

    /// Usable bytes that could not be managed because they do not fill a block.
    pub fn lost_bytes(&self) -> u64 {
        self.lost
    }

    /// The block record of an owner that the ledger can count.
    fn admit(&self, owner: Owner) -> Result<u16, ResourceError> {
        let counted = match owner {
            Owner::Hypervisor => true,
            Owner::Partition(id) => usize::from(id.0) < self.partitions.len(),
        };
        owner
            .record()
            .filter(|_| counted)
            .ok_or(ResourceError::TableFull("memory owners"))
    }

    /// Takes up to `missing` blocks from one zone; returns how many.
    fn sweep(
        &mut self,
        zone: usize,
        sweep: Sweep,
        missing: u64,
        record: u16,
        sink: &mut impl FnMut(HpaRange),
    ) -> u64 {
        let Some(shape) = self.zones.get(zone).copied() else {
            return 0;
        };
        let mut taken = 0;
        for chunk in shape.chunk_numbers() {
            let free = self.chunk_free(&shape, chunk);
            let suits = match sweep {
                Sweep::Whole => free == CHUNK_BLOCKS && missing - taken >= CHUNK_BLOCKS,
                Sweep::Broken => free != CHUNK_BLOCKS,
                Sweep::Rest => true,
            };
            if !suits || free == 0 {
                continue;
            }
            let mut blocks = shape.chunk_blocks(chunk);
            while let Some(start) = blocks.find(|b| self.record_at(zone, *b) == Some(FREE)) {
                if taken == missing {
                    return taken;
                }
                let free_here = blocks
                    .clone()
                    .take_while(|b| self.record_at(zone, *b) == Some(FREE))
                    .count() as u64;
                let len = (1 + free_here).min(missing - taken);
                blocks.start = start + len;
                taken += len;
                if let Some(range) = self.assign(Run { zone, start, len }, record) {
                    sink(range);
                }
            }
        }
        taken
    }

    /// The lowest aligned run of free blocks in a zone that ends by `limit`.
    fn find_run(&self, zone: &Zone, len: u64, align: u64, limit: u64) -> Option<u64> {
        if zone.free_blocks < len {
            return None;
        }
        let base = zone.start / BLOCK_BYTES;
        let end = (base + zone.blocks()).min(limit / BLOCK_BYTES);
        let mut start = base.next_multiple_of(align);
        while start.checked_add(len)? <= end {
            let first = zone.first_block + (start - base) as usize;
            let candidates = self.blocks.get(first..first + len as usize)?;
            match candidates.iter().rposition(|record| *record != FREE) {
                None => return Some(start - base),
                // The last obstacle rules out every start up to it.
                Some(obstacle) => start = (start + obstacle as u64 + 1).next_multiple_of(align),
            }
        }
        None
    }

    /// The zone that holds an address, and the block's number in it.
    fn locate(&self, at: Hpa) -> Option<(usize, u64)> {
        let at = at.as_u64();
        let index = self.zones.partition_point(|zone| zone.end <= at);
        let zone = self.zones.get(index)?;
        let block = at.checked_sub(zone.start)? / BLOCK_BYTES;
        Some((index, block))
    }

    fn record_at(&self, zone: usize, block: u64) -> Option<u16> {
        let first = self.zones.get(zone)?.first_block;
        self.blocks.get(first + block as usize).copied()
    }

    fn chunk_free(&self, zone: &Zone, chunk: u64) -> u64 {
        let count = self.chunks.get(zone.first_chunk + chunk as usize);
        count.copied().map_or(0, u64::from)
    }

    /// Writes a new record for each block of a run and keeps every count in step.
    fn assign(&mut self, run: Run, new: u16) -> Option<HpaRange> {
        let zone = self.zones.get_mut(run.zone)?;
        for block in run.start..run.start + run.len {
            let record = self.blocks.get_mut(zone.first_block + block as usize)?;
            let old = core::mem::replace(record, new);
            let chunk = zone.first_chunk + zone.chunk_of(block) as usize;
            let free_in_chunk = self.chunks.get_mut(chunk)?;
            if old == FREE && new != FREE {
                zone.free_blocks -= 1;
                *free_in_chunk -= 1;
            } else if old != FREE && new == FREE {
                zone.free_blocks += 1;
                *free_in_chunk += 1;
            }
            for (owner, gained) in [(old, false), (new, true)] {
                let count = match Owner::from_record(owner) {
                    None => continue,
                    Some(Owner::Hypervisor) => &mut self.hypervisor_blocks,
                    Some(Owner::Partition(id)) => self.partitions.get_mut(usize::from(id.0))?,
                };
                *count = if gained { *count + 1 } else { *count - 1 };
            }
        }
        let start = Hpa::new(zone.start + run.start * BLOCK_BYTES);
        HpaRange::new(start, run.len * BLOCK_BYTES)
    }
}
