//! The engine against recorded memory, failing allocators and a model.

mod random_edits;

use super::fakes::{Frames, Memory};
use super::*;
use crate::addr::{Gpa, Hpa, Hva, PageSize};

const K4: u64 = 4 << 10;
const M2: u64 = 2 << 20;
const G1: u64 = 1 << 30;

type Nested = LongMode<Gpa>;

fn nested() -> Nested {
    Nested::new(UserBit::Always, GigabytePages::Supported, 48)
}

fn small_pages() -> Nested {
    Nested::new(UserBit::Always, GigabytePages::Absent, 48)
}

const RAM: Attributes = Attributes::GUEST_RAM;

fn read_only() -> Attributes {
    Attributes::new(Permissions::R, MemoryType::WriteBack)
}

struct Bed {
    memory: Memory<'static>,
    frames: Frames,
    table: PageTable<Nested>,
}

/// What one address shows.
type Seen = Option<(u64, Permissions)>;

fn see(table: &PageTable<Nested>, memory: &impl TableMemory, at: u64) -> Seen {
    table
        .translate(memory, Gpa::new(at))
        .map(|m| (m.resolve(Gpa::new(at)).as_u64(), m.attributes.permissions))
}

impl Bed {
    fn new(format: Nested) -> Self {
        let mut frames = Frames::default();
        let table = PageTable::new(format, &mut frames).unwrap();
        Self {
            memory: Memory::default(),
            frames,
            table,
        }
    }

    fn map(&mut self, start: u64, bytes: u64, target: u64) -> Result<(), MapError<Gpa>> {
        self.map_as(start, bytes, target, RAM)
    }

    fn map_as(
        &mut self,
        start: u64,
        bytes: u64,
        target: u64,
        attributes: Attributes,
    ) -> Result<(), MapError<Gpa>> {
        self.table.map(
            &mut self.memory,
            &mut self.frames,
            Gpa::new(start),
            bytes,
            Hpa::new(target),
            attributes,
        )
    }

    fn unmap(&mut self, start: u64, bytes: u64) -> Result<(), MapError<Gpa>> {
        let flush = self
            .table
            .unmap(&mut self.memory, &mut self.frames, Gpa::new(start), bytes)?;
        flush.release(Flushed::attest(), &mut self.memory, &mut self.frames);
        Ok(())
    }

    fn protect(&mut self, start: u64, bytes: u64, to: Permissions) -> Result<(), MapError<Gpa>> {
        let flush = self.table.protect(
            &mut self.memory,
            &mut self.frames,
            Gpa::new(start),
            bytes,
            to,
        )?;
        flush.release(Flushed::attest(), &mut self.memory, &mut self.frames);
        Ok(())
    }

    fn see(&self, at: u64) -> Seen {
        see(&self.table, &self.memory, at)
    }

    fn size(&self, at: u64) -> Option<PageSize> {
        self.table
            .translate(&self.memory, Gpa::new(at))
            .map(|m| m.size)
    }

    fn sizes(&self) -> Vec<(u64, PageSize)> {
        self.table
            .mappings(&self.memory, Gpa::new(0))
            .map(|m| (m.start.as_u64(), m.size))
            .collect()
    }

    /// Frames that a walk from the root reaches.
    fn reachable(&self) -> usize {
        fn walk(format: &Nested, memory: &impl TableMemory, table: Hpa, level: Level) -> usize {
            let Some(below) = level.below() else { return 1 };
            1 + (0..512)
                .filter_map(|i| {
                    let raw = memory.load(Hpa::new(table.as_u64() + 8 * i));
                    match format.decode(raw, level) {
                        Entry::Table(child) => Some(walk(format, memory, child, below)),
                        _ => None,
                    }
                })
                .sum::<usize>()
        }
        let format = *self.table.format();
        walk(
            &format,
            &self.memory,
            self.table.root(),
            format.root_level(),
        )
    }

    /// The contents of all tables; freed frames may be dirty.
    fn live_tables(&self) -> Vec<(u64, [u64; 512])> {
        let live = self.frames.live.iter();
        live.map(|at| (*at, self.memory.entries.table(*at)))
            .collect()
    }
}

#[test]
fn the_largest_pages_that_fit_are_used() {
    let mut bed = Bed::new(nested());
    // 4K steps up to a 2M border, 2M steps up to a 1G border, then 1G, and down again.
    let start = G1 - M2 - K4;
    bed.map(start, K4 + M2 + G1 + M2 + K4, 4 * G1 + start)
        .unwrap();
    assert_eq!(
        bed.sizes(),
        [
            (G1 - M2 - K4, PageSize::Size4K),
            (G1 - M2, PageSize::Size2M),
            (G1, PageSize::Size1G),
            (2 * G1, PageSize::Size2M),
            (2 * G1 + M2, PageSize::Size4K),
        ]
    );
    assert_eq!(
        bed.see(G1 + 0x1234_5678),
        Some((5 * G1 + 0x1234_5678, Permissions::RWX))
    );
    assert_eq!(bed.see(start - 1), None);
    assert_eq!(bed.see(2 * G1 + M2 + K4), None);
}

#[test]
fn a_target_with_other_alignment_uses_small_pages() {
    let mut bed = Bed::new(nested());
    bed.map(0, M2, 4 * G1 + K4).unwrap();
    assert_eq!(bed.size(0), Some(PageSize::Size4K));
    assert_eq!(bed.sizes().len(), 512);
    let mut bed = Bed::new(small_pages());
    bed.map(0, G1, 4 * G1).unwrap();
    assert_eq!(bed.size(0), Some(PageSize::Size2M));
}

#[test]
fn an_overlap_is_refused_and_names_the_address() {
    let mut bed = Bed::new(nested());
    bed.map(M2, M2, 8 * G1).unwrap();
    let before = bed.memory.entries.clone();
    assert_eq!(
        bed.map(0, 2 * M2, 6 * G1),
        Err(MapError::AlreadyMapped(Gpa::new(M2)))
    );
    assert_eq!(
        bed.map_as(M2 + K4, K4, 8 * G1 + K4, read_only()),
        Err(MapError::AlreadyMapped(Gpa::new(M2 + K4)))
    );
    assert_eq!(bed.memory.entries, before);
    // Identical mappings are no overlap, in whole or in part.
    bed.map(M2 + K4, K4, 8 * G1 + K4).unwrap();
    assert_eq!(bed.memory.entries, before);
    bed.map(0, 2 * M2, 8 * G1 - M2).unwrap();
    assert_eq!(bed.see(0), Some((8 * G1 - M2, Permissions::RWX)));
}

#[test]
fn bad_ranges_are_refused() {
    let mut bed = Bed::new(nested());
    assert_eq!(bed.map(1, K4, 0), Err(MapError::Unaligned));
    assert_eq!(bed.map(0, K4 + 1, 0), Err(MapError::Unaligned));
    assert_eq!(bed.map(0, 0, 0), Err(MapError::Unaligned));
    assert_eq!(bed.map(0, K4, 8), Err(MapError::Unaligned));
    assert_eq!(bed.map(1 << 48, K4, 0), Err(MapError::OutOfRange));
    assert_eq!(
        bed.map((1 << 48) - K4, 2 * K4, 0),
        Err(MapError::OutOfRange)
    );
    assert_eq!(
        bed.map(u64::MAX - 0xfff, 2 * K4, 0),
        Err(MapError::OutOfRange)
    );
    assert_eq!(bed.map(0, K4, 1 << 48), Err(MapError::TargetOutOfRange));
    assert_eq!(
        bed.map(0, 2 * K4, (1 << 48) - K4),
        Err(MapError::TargetOutOfRange)
    );
    assert_eq!(
        bed.map(0, 2 * K4, u64::MAX - 0xfff),
        Err(MapError::TargetOutOfRange)
    );
    let none = Attributes::new(Permissions::WRITE, MemoryType::WriteBack);
    assert_eq!(bed.map_as(0, K4, 0, none), Err(MapError::Inexpressible));
    assert_eq!(
        bed.protect(0, K4, Permissions::R),
        Err(MapError::NotMapped(Gpa::new(0)))
    );
    assert_eq!(bed.frames.in_use(), 1);
    assert_eq!(bed.memory.stores, 0);
}

#[test]
fn the_host_half_is_sign_extended() {
    let mut frames = Frames::default();
    let mut memory = Memory::default();
    let format = LongMode::<Hva>::new(UserBit::ByPermission, GigabytePages::Supported, 40);
    let mut table = PageTable::new(format, &mut frames).unwrap();
    let high = Hva::new(0xffff_ffff_8000_0000);
    let text = Attributes::new(Permissions::RX, MemoryType::WriteBack);
    let registers = Attributes::new(Permissions::RW, MemoryType::Uncached);
    table
        .map(&mut memory, &mut frames, high, M2, Hpa::new(M2), text)
        .unwrap();
    let last = Hva::new(0xffff_ffff_ffff_f000);
    table
        .map(
            &mut memory,
            &mut frames,
            last,
            K4,
            Hpa::new(0xfee0_0000),
            registers,
        )
        .unwrap();
    let found: Vec<_> = table.mappings(&memory, Hva::new(0)).collect();
    assert_eq!(found.len(), 2);
    assert_eq!((found[0].start, found[0].attributes), (high, text));
    assert_eq!((found[1].start, found[1].attributes), (last, registers));
    // Across the hole, both ends are canonical but the range is not.
    let below_hole = Hva::new(0x7fff_ffff_f000);
    let hole = table.map(
        &mut memory,
        &mut frames,
        below_hole,
        2 * K4,
        Hpa::new(0),
        text,
    );
    assert_eq!(hole, Err(MapError::OutOfRange));
    let rest = 0xffff_8000_0000_0000 - 0x7fff_ffff_f000 + K4;
    let across = table.map(
        &mut memory,
        &mut frames,
        below_hole,
        rest,
        Hpa::new(0),
        text,
    );
    assert_eq!(across, Err(MapError::OutOfRange));
    assert_eq!(table.translate(&memory, Hva::new(0x8000_0000_0000)), None);
    table.destroy(Flushed::attest(), &mut memory, &mut frames);
    assert_eq!(frames.in_use(), 0);
}

#[test]
fn five_levels_reach_57_bits() {
    let mut bed = Bed::new(nested().with_five_levels());
    let top = (1 << 57) - G1;
    bed.map(top, G1, G1).unwrap();
    assert_eq!(bed.see(top + 5), Some((G1 + 5, Permissions::RWX)));
    assert_eq!(bed.map(1 << 57, K4, 0), Err(MapError::OutOfRange));
    bed.unmap(top, G1).unwrap();
    assert_eq!(bed.frames.in_use(), 1);
}

#[test]
fn a_look_up_takes_one_load_for_each_level() {
    let mut bed = Bed::new(nested());
    bed.map(0, K4, 0).unwrap();
    bed.memory.loads.set(0);
    bed.see(0);
    assert_eq!(bed.memory.loads.get(), 4);
}

#[test]
fn entries_have_the_bits_of_the_manual() {
    let format = nested();
    let large = Level::of(PageSize::Size2M);
    let leaf = |attributes, level| format.encode_leaf(Hpa::new(8 * G1), attributes, level);
    assert_eq!(leaf(RAM, Level::PAGE), Some(0x2_0000_0067));
    assert_eq!(leaf(RAM, large), Some(0x2_0000_00e7));
    let wc = Attributes::new(Permissions::RW, MemoryType::WriteCombining);
    assert_eq!(leaf(wc, Level::PAGE), Some(0x8000_0002_0000_00e7));
    assert_eq!(leaf(wc, large), Some(0x8000_0002_0000_10e7));
    for level in [Level::PAGE, large, Level::of(PageSize::Size1G)] {
        for memory in [
            MemoryType::WriteBack,
            MemoryType::WriteThrough,
            MemoryType::Uncached,
            MemoryType::WriteCombining,
        ] {
            for bits in [1, 3, 5, 7] {
                let mut attributes = Attributes::new(Permissions::from_bits_retain(bits), memory);
                attributes.usage = Usage::DIRTY;
                let raw = leaf(attributes, level).unwrap();
                let target = Hpa::new(8 * G1);
                assert_eq!(
                    format.decode(raw, level),
                    Entry::Leaf { target, attributes }
                );
            }
        }
    }
}

#[test]
fn a_split_keeps_the_rest_and_goes_no_deeper_than_needed() {
    let mut bed = Bed::new(nested());
    bed.map(0, G1, 4 * G1).unwrap();
    bed.protect(M2 + K4, K4, Permissions::R).unwrap();
    assert_eq!(bed.see(M2 + K4), Some((4 * G1 + M2 + K4, Permissions::R)));
    assert_eq!(bed.see(M2), Some((4 * G1 + M2, Permissions::RWX)));
    assert_eq!(bed.size(0), Some(PageSize::Size2M));
    assert_eq!(bed.size(M2), Some(PageSize::Size4K));
    assert_eq!(bed.sizes().len(), 511 + 512);
    // The same permissions again, over a large page: nothing to split.
    let stores = bed.memory.stores;
    bed.protect(4 * M2 + K4, K4, Permissions::RWX).unwrap();
    assert_eq!(bed.memory.stores, stores);
}

#[test]
fn unmapping_frees_tables_only_after_the_flush() {
    let mut bed = Bed::new(nested());
    bed.map(0, 2 * M2, K4).unwrap();
    assert_eq!(bed.frames.in_use(), 1 + 2 + 2);
    let flush = bed
        .table
        .unmap(&mut bed.memory, &mut bed.frames, Gpa::new(0), 2 * M2)
        .unwrap();
    assert!(flush.is_needed());
    assert_eq!(bed.frames.in_use(), 5);
    assert_eq!(bed.reachable(), 1);
    flush.release(Flushed::attest(), &mut bed.memory, &mut bed.frames);
    assert_eq!(bed.frames.in_use(), 1);
}

#[test]
fn flushes_can_be_paid_together() {
    let mut bed = Bed::new(nested());
    let mut debt = Flush::none();
    for index in 0..3 {
        bed.map(index * M2, M2, K4).unwrap();
    }
    for index in 0..3 {
        let start = Gpa::new(index * M2);
        let flush = bed
            .table
            .unmap(&mut bed.memory, &mut bed.frames, start, M2)
            .unwrap();
        debt.append(flush, &mut bed.memory);
    }
    debt.append(Flush::none(), &mut bed.memory);
    debt.release(Flushed::attest(), &mut bed.memory, &mut bed.frames);
    assert_eq!(bed.frames.in_use(), 1);
}
