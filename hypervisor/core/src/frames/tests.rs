//! The allocator and the pool on odd memory maps and against a model.

use std::collections::BTreeMap;

use super::*;
use crate::addr::{Hpa, HpaRange};
use crate::fault::ResourceError;
use crate::id::PartitionId;
use crate::paging::fakes::Random;

const M2: u64 = 2 << 20;
const G1: u64 = 1 << 30;

fn range(start: u64, end: u64) -> HpaRange {
    HpaRange {
        start: Hpa::new(start),
        end: Hpa::new(end),
    }
}

fn on(node: u16, start: u64, end: u64) -> NodeRange {
    NodeRange {
        node: NodeId(node),
        range: range(start, end),
    }
}

fn guest(id: u16) -> Owner {
    Owner::Partition(PartitionId(id))
}

/// An allocator over leaked storage, as boot code has it.
fn allocator(usable: &[NodeRange], reserved: &[HpaRange]) -> FrameAllocator<'static> {
    let zones = vec![Zone::default(); usable.len() + reserved.len() + 1].leak();
    let layout = Layout::plan(zones, usable, reserved).unwrap();
    let storage = Storage {
        blocks: vec![0; layout.blocks()].leak(),
        chunks: vec![0; layout.chunks()].leak(),
        partitions: vec![9; 8].leak(),
    };
    FrameAllocator::new(layout, storage).unwrap()
}

fn take(
    frames: &mut FrameAllocator<'_>,
    owner: Owner,
    bytes: u64,
    placement: Placement,
) -> Result<Vec<HpaRange>, ResourceError> {
    let mut runs = Vec::new();
    frames.allocate(owner, bytes, placement, |run| runs.push(run))?;
    Ok(runs)
}

fn planned(usable: &[NodeRange], reserved: &[HpaRange]) -> (Vec<NodeRange>, u64) {
    let mut zones = vec![Zone::default(); usable.len() + reserved.len() + 1];
    let layout = Layout::plan(&mut zones, usable, reserved).unwrap();
    (layout.ranges().collect(), layout.lost_bytes())
}

#[test]
fn a_pc_memory_map_becomes_whole_blocks() {
    let usable = [
        on(0, 0x10_0000, 0xbfe0_0000 + 0x1_8000),
        on(0, 0, 0x9_fc00),
        on(0, 1 << 32, 5 << 30),
    ];
    let image = range(0x20_0000, 0x60_0001);
    let (zones, lost) = planned(&usable, &[image]);
    assert_eq!(
        zones,
        [on(0, 0x80_0000, 0xbfe0_0000), on(0, 1 << 32, 5 << 30)]
    );
    let usable_bytes = 0x9_fc00 - 0x1000 + (0xbfe1_8000 - 0x10_0000) + G1;
    let managed = (0xbfe0_0000 - 0x80_0000) + G1;
    assert_eq!(lost, usable_bytes - (0x40_0001) - managed);
}

#[test]
fn pieces_that_touch_are_joined_before_they_are_trimmed() {
    let (zones, lost) = planned(&[on(0, 3 << 20, 8 << 20), on(0, M2, 3 << 20)], &[]);
    assert_eq!(zones, [on(0, M2, 8 << 20)]);
    assert_eq!(lost, 0);
    let (zones, lost) = planned(&[on(0, M2, 3 << 20), on(1, 3 << 20, 8 << 20)], &[]);
    assert_eq!(zones, [on(1, 4 << 20, 8 << 20)]);
    assert_eq!(lost, M2);
}

#[test]
fn reserved_ranges_may_overlap_and_cover() {
    let reserved = [
        range(0, 1 << 20),
        range(10 << 20, 30 << 20),
        range(12 << 20, 13 << 20),
        range(28 << 20, 31 << 20),
        range(40 << 20, 40 << 20),
        range(100 << 20, 1 << 40),
    ];
    let (zones, lost) = planned(&[on(0, 0, 120 << 20)], &reserved);
    assert_eq!(zones, [on(0, M2, 10 << 20), on(0, 32 << 20, 100 << 20)]);
    assert_eq!(lost, M2);
    assert_eq!(planned(&[on(0, M2, 4 << 20)], &[range(0, G1)]), (vec![], 0));
}

#[test]
fn a_map_with_two_nodes_at_one_place_is_refused() {
    let mut zones = [Zone::default(); 4];
    let usable = [on(0, M2, 8 << 20), on(1, 6 << 20, 10 << 20)];
    let error = Layout::plan(&mut zones, &usable, &[]).unwrap_err();
    assert_eq!(error, LayoutError::NodesOverlap(Hpa::new(6 << 20)));
    let mut one = [Zone::default(); 1];
    let usable = [on(0, M2, 4 << 20), on(0, 8 << 20, 10 << 20)];
    let error = Layout::plan(&mut one, &usable, &[]).unwrap_err();
    assert_eq!(error, LayoutError::TooManyZones);
}

#[test]
fn a_thousand_ranges_and_terabytes_fit() {
    let usable: Vec<_> = (0..1024_u64)
        .rev()
        .map(|i| on((i % 4) as u16, i << 34, (i << 34) + 8 * G1))
        .collect();
    let mut frames = allocator(&usable, &[]);
    // Page 0 costs the first block.
    assert_eq!(frames.total_bytes(), 8192 * G1 - M2);
    let runs = take(
        &mut frames,
        guest(1),
        2000 * G1,
        Placement::Strict(NodeId(2)),
    )
    .unwrap();
    assert_eq!(runs.len(), 2000);
    assert_eq!(frames.node(NodeId(2)).free_bytes, 48 * G1);
    assert_eq!(frames.free_all(guest(1)), 2000 * G1);
}

#[test]
fn gigabytes_come_first_and_are_broken_last() {
    let mut frames = allocator(&[on(0, G1 - 4 * M2, 4 * G1 + 2 * M2)], &[]);
    let runs = take(&mut frames, guest(1), G1 + 3 * M2, Placement::Anywhere).unwrap();
    assert_eq!(
        runs,
        [range(G1, 2 * G1), range(G1 - 4 * M2, G1 - M2)],
        "the tail comes from a broken gigabyte"
    );
    // 1 + 2 blocks are left in broken gigabytes: the fourth block breaks a whole one.
    let runs = take(&mut frames, guest(2), 4 * M2, Placement::Anywhere).unwrap();
    assert_eq!(
        runs,
        [
            range(G1 - M2, G1),
            range(4 * G1, 4 * G1 + 2 * M2),
            range(2 * G1, 2 * G1 + M2)
        ]
    );
    let runs = take(&mut frames, guest(2), G1, Placement::Anywhere).unwrap();
    assert_eq!(runs, [range(3 * G1, 4 * G1)]);
    // No whole gigabyte is left, and yet a gigabyte fits in pieces.
    frames.free(guest(1), range(G1, G1 + M2)).unwrap();
    let runs = take(&mut frames, guest(2), G1, Placement::Anywhere).unwrap();
    assert_eq!(runs, [range(G1, G1 + M2), range(2 * G1 + M2, 3 * G1)]);
    assert_eq!(frames.free_bytes(), 0);
}

#[test]
fn placement_is_kept() {
    let mut frames = allocator(&[on(0, G1, 2 * G1), on(1, 2 * G1, 3 * G1)], &[]);
    let strict = Placement::Strict(NodeId(1));
    let preferred = Placement::Preferred(NodeId(1));
    assert_eq!(
        take(&mut frames, guest(1), G1 + M2, strict),
        Err(ResourceError::GuestMemory)
    );
    assert_eq!(frames.free_bytes(), 2 * G1);
    let runs = take(&mut frames, guest(1), G1 + M2, preferred).unwrap();
    assert_eq!(runs, [range(2 * G1, 3 * G1), range(G1, G1 + M2)]);
    assert_eq!(
        take(&mut frames, guest(2), M2, strict),
        Err(ResourceError::GuestMemory)
    );
    assert_eq!(frames.node(NodeId(1)).free_bytes, 0);
    assert_eq!(frames.node(NodeId(0)).free_bytes, G1 - M2);
    assert_eq!(frames.node(NodeId(7)), NodeLedger::default());
}

#[test]
fn contiguous_memory_is_aligned_and_below_the_limit() {
    let mut frames = allocator(&[on(0, G1 - M2, 3 * G1), on(0, 4 * G1, 6 * G1)], &[]);
    let mut contiguous = |bytes, align, below: Option<u64>| {
        let below = below.map(Hpa::new);
        frames.allocate_contiguous(guest(0), bytes, align, below, Placement::Anywhere)
    };
    let first = contiguous(3 * M2, PageSize::Size2M, None).unwrap();
    assert_eq!(first, range(G1 - M2, G1 + 2 * M2));
    let aligned = contiguous(M2, PageSize::Size1G, Some(3 * G1)).unwrap();
    assert_eq!(aligned, range(2 * G1, 2 * G1 + M2));
    assert_eq!(
        contiguous(G1, PageSize::Size2M, Some(3 * G1)),
        Err(ResourceError::GuestMemory)
    );
    let last = contiguous(G1 - M2, PageSize::Size2M, Some(3 * G1)).unwrap();
    assert_eq!(last, range(2 * G1 + M2, 3 * G1));
    assert_eq!(
        contiguous(2 * G1, PageSize::Size1G, None),
        Ok(range(4 * G1, 6 * G1))
    );
    assert_eq!(
        contiguous(u64::MAX, PageSize::Size1G, None),
        Err(ResourceError::GuestMemory)
    );
}

#[test]
fn wrong_frees_are_found_and_change_nothing() {
    let mut frames = allocator(&[on(0, G1, 2 * G1)], &[]);
    let mine = take(&mut frames, guest(1), 4 * M2, Placement::Anywhere).unwrap()[0];
    let other = take(&mut frames, Owner::Hypervisor, M2, Placement::Anywhere).unwrap()[0];
    let free = frames.free_bytes();
    let both = HpaRange {
        start: mine.start,
        end: other.end,
    };
    assert_eq!(
        frames.free(guest(1), both),
        Err(FreeError::WrongOwner(other.start, Owner::Hypervisor))
    );
    assert_eq!(
        frames.free(guest(1), range(G1, G1 + 1)),
        Err(FreeError::Unaligned(Hpa::new(G1)))
    );
    assert_eq!(
        frames.free(guest(1), range(0, M2)),
        Err(FreeError::NotManaged(Hpa::new(0)))
    );
    assert_eq!(frames.free_bytes(), free);
    frames.free(guest(1), mine).unwrap();
    assert_eq!(
        frames.free(guest(1), mine),
        Err(FreeError::AlreadyFree(mine.start))
    );
    assert_eq!(frames.owned_bytes(guest(1)), 0);
    assert_eq!(frames.owner_at(mine.start), Some(None));
    assert_eq!(frames.owner_at(other.start), Some(Some(Owner::Hypervisor)));
    assert_eq!(frames.owner_at(Hpa::new(0)), None);
    assert!(
        FreeError::AlreadyFree(mine.start)
            .to_string()
            .contains("twice")
    );
}

#[test]
fn a_partition_number_without_an_account_gets_nothing() {
    let mut frames = allocator(&[on(0, G1, 2 * G1)], &[]);
    for id in [8, u16::MAX - 1, u16::MAX] {
        assert_eq!(
            take(&mut frames, guest(id), M2, Placement::Anywhere),
            Err(ResourceError::TableFull("memory owners"))
        );
    }
    assert_eq!(frames.free_bytes(), G1);
}

#[test]
fn random_requests_agree_with_the_model() {
    for seed in 0..30 {
        let mut random = Random(seed);
        let usable = [
            on(0, G1 - 37 * M2, 3 * G1 + 5 * M2),
            on(1, 3 * G1 + 5 * M2, 4 * G1),
            on(1, 8 * G1, 9 * G1 + 11 * M2),
        ];
        let mut frames = allocator(&usable, &[range(2 * G1 + M2, 2 * G1 + M2 + 4096)]);
        let total = frames.total_bytes();
        // Block address -> owner.
        let mut model: BTreeMap<u64, u16> = BTreeMap::new();
        let mut runs: Vec<(u16, HpaRange)> = Vec::new();
        for _ in 0..200 {
            let id = random.below(4) as u16;
            let bytes = [M2, 3 * M2, 100 * M2, G1, G1 + M2][random.below(5) as usize];
            let node = NodeId(random.below(2) as u16);
            let placement = match random.below(3) {
                0 => Placement::Anywhere,
                1 => Placement::Preferred(node),
                _ => Placement::Strict(node),
            };
            let free_before = frames.free_bytes();
            match random.below(8) {
                0..3 => {
                    let available = match placement {
                        Placement::Strict(node) => frames.node(node).free_bytes,
                        _ => free_before,
                    };
                    match take(&mut frames, guest(id), bytes, placement) {
                        Ok(new) => {
                            assert_eq!(new.iter().map(HpaRange::bytes).sum::<u64>(), bytes);
                            runs.extend(new.iter().map(|run| (id, *run)));
                        }
                        Err(_) => {
                            assert!(available < bytes);
                            assert_eq!(frames.free_bytes(), free_before);
                        }
                    }
                }
                3 => {
                    let align = PageSize::ALL[random.below(3) as usize];
                    if let Ok(run) =
                        frames.allocate_contiguous(guest(id), bytes, align, None, placement)
                    {
                        assert!(run.start.is_aligned(align));
                        assert_eq!(run.bytes(), bytes);
                        runs.push((id, run));
                    }
                }
                4 => {
                    let expected = model.values().filter(|owner| **owner == id).count() as u64;
                    assert_eq!(frames.free_all(guest(id)), expected * M2);
                    runs.retain(|(owner, _)| *owner != id);
                }
                _ if !runs.is_empty() => {
                    let (owner, run) = runs.swap_remove(random.below(runs.len() as u64) as usize);
                    let stranger = guest(owner + 1);
                    assert!(frames.free(stranger, run).is_err());
                    // Back in two pieces, one of them kept for later.
                    let blocks = run.bytes() / M2;
                    let cut = run.start.as_u64() + random.below(blocks) * M2;
                    let (low, high) =
                        (range(run.start.as_u64(), cut), range(cut, run.end.as_u64()));
                    frames.free(guest(owner), high).unwrap();
                    assert!(frames.free(guest(owner), run).is_err());
                    if low.bytes() > 0 {
                        runs.push((owner, low));
                    }
                }
                _ => {}
            }
            model.clear();
            for (owner, run) in &runs {
                for at in (run.start.as_u64()..run.end.as_u64()).step_by(M2 as usize) {
                    assert_eq!(
                        model.insert(at, *owner),
                        None,
                        "{at:#x} was given out twice"
                    );
                    assert_eq!(frames.owner_at(Hpa::new(at)), Some(Some(guest(*owner))));
                }
            }
            for id in 0..4 {
                let owned = model.values().filter(|owner| **owner == id).count() as u64;
                assert_eq!(frames.owned_bytes(guest(id)), owned * M2);
            }
            assert_eq!(frames.free_bytes(), total - model.len() as u64 * M2);
            let nodes = frames.node(NodeId(0)).free_bytes + frames.node(NodeId(1)).free_bytes;
            assert_eq!(nodes, frames.free_bytes());
        }
        for id in 0..4 {
            frames.free_all(guest(id));
        }
        // Everything coalesced: the largest aligned run is whole again.
        let whole = frames.allocate_contiguous(
            guest(0),
            G1,
            PageSize::Size1G,
            None,
            Placement::Strict(NodeId(0)),
        );
        assert_eq!(whole, Ok(range(G1, 2 * G1)), "seed {seed}");
    }
}

#[test]
fn the_pool_grows_shrinks_and_counts() {
    let mut frames = allocator(&[on(0, G1, G1 + 3 * M2)], &[]);
    let mut records = [PoolBlock::default(); 2];
    let mut pool = FramePool::new(&mut records);
    assert_eq!(pool.allocate(), Err(ResourceError::HypervisorMemory));
    pool.grow_to(513, &mut frames, Placement::Anywhere).unwrap();
    assert_eq!(pool.free_frames(), 1024);
    assert_eq!(frames.owned_bytes(Owner::Hypervisor), 2 * M2);
    // A third block has no record: it goes back.
    assert!(
        pool.grow_to(1025, &mut frames, Placement::Anywhere)
            .is_err()
    );
    assert_eq!(frames.owned_bytes(Owner::Hypervisor), 2 * M2);
    let mut all: Vec<Hpa> = (0..1024).map(|_| pool.allocate().unwrap()).collect();
    assert_eq!(pool.allocate(), Err(ResourceError::HypervisorMemory));
    assert_eq!(pool.take_empty_block(), None);
    let expected: Vec<Hpa> = (0..1024).map(|i| Hpa::new(G1 + 4096 * i)).collect();
    all.sort_unstable();
    assert_eq!(all, expected);
    for frame in &all[..512] {
        pool.free(*frame).unwrap();
    }
    assert_eq!(pool.free(all[0]), Err(FreeError::AlreadyFree(all[0])));
    assert_eq!(
        pool.free(Hpa::new(G1 + 1)),
        Err(FreeError::Unaligned(Hpa::new(G1 + 1)))
    );
    assert_eq!(
        pool.free(Hpa::new(0)),
        Err(FreeError::NotManaged(Hpa::new(0)))
    );
    assert_eq!(pool.used_frames(), 512);
    let block = pool.take_empty_block().unwrap();
    assert_eq!(block, range(G1, G1 + M2));
    frames.free(Owner::Hypervisor, block).unwrap();
    assert_eq!(pool.free(all[0]), Err(FreeError::NotManaged(all[0])));
    pool.free(all[1000]).unwrap();
    assert_eq!(pool.allocate(), Ok(all[1000]));
    // A lower block than the one that is full: it is found.
    pool.add_block(block.start).unwrap();
    assert_eq!(pool.allocate(), Ok(all[0]));
    assert!(pool.add_block(block.start).is_err());
}
