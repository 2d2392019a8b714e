//! The engine against recorded memory, failing allocators and a model.

use std::collections::BTreeMap;

use super::fakes::{Frames, Memory, Random};
use super::*;
use crate::addr::{Gpa, Hpa, Hva, PageSize};
use crate::fault::ResourceError;

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

/// One random edit of a bed.
#[derive(Clone, Copy, Debug)]
enum Edit {
    Map(u64, u64, u64, Attributes),
    Unmap(u64, u64),
    Protect(u64, u64, Permissions),
}

const SPACE: u64 = 3 * G1;

impl Edit {
    fn random(random: &mut Random) -> Self {
        let unit = [K4, M2, G1][random.below(3) as usize];
        let start = random.below(SPACE / unit) * unit;
        // Ends are often near borders of larger pages, so that all sizes mix.
        let jitter = [0, K4, M2, M2 - K4][random.below(4) as usize];
        let start = (start + jitter).min(SPACE - K4);
        let bytes = (unit * (1 + random.below(3)) - jitter % unit).min(SPACE - start);
        match random.below(4) {
            0 | 1 => {
                let target = 16 * G1 + start + [0, 0, M2, K4][random.below(4) as usize];
                let attributes = if random.below(2) == 0 {
                    RAM
                } else {
                    read_only()
                };
                Edit::Map(start, bytes, target, attributes)
            }
            2 => Edit::Unmap(start, bytes),
            _ => Edit::Protect(
                start,
                bytes,
                [Permissions::RW, Permissions::R][random.below(2) as usize],
            ),
        }
    }

    fn apply(self, bed: &mut Bed) -> Result<(), MapError<Gpa>> {
        match self {
            Edit::Map(start, bytes, target, attributes) => {
                bed.map_as(start, bytes, target, attributes)
            }
            Edit::Unmap(start, bytes) => bed.unmap(start, bytes),
            Edit::Protect(start, bytes, to) => bed.protect(start, bytes, to),
        }
    }

    fn span(self) -> (u64, u64) {
        match self {
            Edit::Map(start, bytes, ..)
            | Edit::Unmap(start, bytes)
            | Edit::Protect(start, bytes, _) => (start, start + bytes),
        }
    }
}

/// The model: disjoint runs of (end, target, permissions) by start.
#[derive(Clone, Default)]
struct Model(BTreeMap<u64, (u64, u64, Permissions)>);

impl Model {
    fn see(&self, at: u64) -> Seen {
        let (start, (end, target, permissions)) = self.0.range(..=at).next_back()?;
        (at < *end).then_some((target + (at - start), *permissions))
    }

    /// Makes `at` a border between runs.
    fn cut(&mut self, at: u64) {
        let run = self.0.range(..at).next_back().map(|(s, r)| (*s, *r));
        if let Some((start, (end, target, permissions))) = run
            && at < end
        {
            self.0.insert(start, (at, target, permissions));
            self.0.insert(at, (end, target + (at - start), permissions));
        }
    }

    fn runs(&self, start: u64, end: u64) -> Vec<(u64, (u64, u64, Permissions))> {
        self.0.range(start..end).map(|(s, r)| (*s, *r)).collect()
    }

    fn apply(&mut self, edit: Edit) -> Result<(), MapError<Gpa>> {
        let (start, end) = edit.span();
        let mut next = self.clone();
        next.cut(start);
        next.cut(end);
        let runs = next.runs(start, end);
        match edit {
            Edit::Map(_, _, target, attributes) => {
                for (at, (_, to, permissions)) in &runs {
                    if *to != target + (at - start) || *permissions != attributes.permissions {
                        return Err(MapError::AlreadyMapped(Gpa::new(*at)));
                    }
                }
                for (at, _) in runs {
                    next.0.remove(&at);
                }
                next.0.insert(start, (end, target, attributes.permissions));
            }
            Edit::Unmap(..) => {
                for (at, _) in runs {
                    next.0.remove(&at);
                }
            }
            Edit::Protect(_, _, to) => {
                let mut at = start;
                for (begin, (stop, target, _)) in &runs {
                    if *begin != at {
                        return Err(MapError::NotMapped(Gpa::new(at)));
                    }
                    next.0.insert(*begin, (*stop, *target, to));
                    at = *stop;
                }
                if at < end {
                    return Err(MapError::NotMapped(Gpa::new(at)));
                }
            }
        }
        *self = next;
        Ok(())
    }
}

/// Addresses worth looking at: around every border of the edits, and some others.
fn interesting(model: &Model, edit: Edit, random: &mut Random) -> Vec<u64> {
    let (start, end) = edit.span();
    let mut borders = vec![start, end, 0, M2, G1, 2 * G1, SPACE];
    for border in [start, end] {
        borders.extend([
            border & !(M2 - 1),
            (border & !(M2 - 1)) + M2,
            border & !(G1 - 1),
        ]);
    }
    for (at, (stop, ..)) in &model.0 {
        borders.extend([*at, *stop]);
    }
    borders.extend((0..8).map(|_| random.below(SPACE / K4) * K4));
    let mut all: Vec<u64> = borders
        .into_iter()
        .flat_map(|b| [b.saturating_sub(K4), b, b + K4])
        .filter(|at| *at < SPACE)
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

#[test]
fn random_edits_agree_with_the_model() {
    for seed in 0..40 {
        let mut random = Random(seed);
        let format = if seed % 2 == 0 {
            nested()
        } else {
            small_pages()
        };
        let mut bed = Bed::new(format);
        let mut model = Model::default();
        for _ in 0..60 {
            let edit = Edit::random(&mut random);
            let expected = model.apply(edit);
            assert_eq!(edit.apply(&mut bed), expected, "seed {seed}: {edit:?}");
            for at in interesting(&model, edit, &mut random) {
                assert_eq!(
                    bed.see(at),
                    model.see(at),
                    "seed {seed}: {edit:?} at {at:#x}"
                );
            }
            assert_eq!(
                bed.frames.in_use(),
                bed.reachable(),
                "seed {seed}: {edit:?}"
            );
        }
        let mapped: u64 = bed.sizes().iter().map(|(_, size)| size.bytes()).sum();
        let expected: u64 = model.0.iter().map(|(start, (end, ..))| end - start).sum();
        assert_eq!(mapped, expected);
        bed.unmap(0, SPACE).unwrap();
        assert_eq!(bed.frames.in_use(), 1, "seed {seed}: tables leaked");
        bed.table
            .destroy(Flushed::attest(), &mut bed.memory, &mut bed.frames);
        assert_eq!(bed.frames.in_use(), 0);
    }
}

#[test]
fn every_single_store_shows_the_old_or_the_new_mapping() {
    let mut checked = 0_u64;
    for seed in 100..116 {
        let mut random = Random(seed);
        let format = if seed % 2 == 0 {
            nested()
        } else {
            small_pages()
        };
        let mut bed = Bed::new(format);
        let mut model = Model::default();
        for _ in 0..24 {
            let edit = Edit::random(&mut random);
            let old = model.clone();
            if model.apply(edit).is_err() {
                continue;
            }
            let watched: Vec<(u64, Seen, Seen)> = interesting(&model, edit, &mut random)
                .into_iter()
                .map(|at| (at, old.see(at), model.see(at)))
                .collect();
            let observer = PageTable {
                format,
                root: bed.table.root(),
            };
            let mut store = 0;
            // Splits and fills of unlinked tables are hundreds of stores: look at all of them, but
            // at fewer addresses where many follow each other.
            let counter = std::rc::Rc::new(std::cell::Cell::new(0_u64));
            let count = counter.clone();
            bed.memory.watcher = Some(Box::new(move |entries| {
                store += 1;
                let stride = if store < 600 { 1 } else { 7 };
                for (at, old, new) in watched.iter().skip(store % stride).step_by(stride) {
                    let now = see(&observer, entries, *at);
                    assert!(
                        now == *old || now == *new,
                        "seed {seed}, store {store}, {edit:?}: {at:#x} shows {now:x?}, old {old:x?}, new {new:x?}"
                    );
                    count.set(count.get() + 1);
                }
            }));
            edit.apply(&mut bed).unwrap();
            bed.memory.watcher = None;
            checked += counter.get();
        }
    }
    assert!(checked > 100_000, "only {checked} observations");
}

#[test]
fn running_out_of_frames_changes_nothing() {
    let mut failures = 0;
    for seed in 200..216 {
        let mut random = Random(seed);
        let mut bed = Bed::new(nested());
        let mut model = Model::default();
        for _ in 0..20 {
            let edit = Edit::random(&mut random);
            if model.apply(edit).is_err() {
                continue;
            }
            let before = bed.live_tables();
            let in_use = bed.frames.in_use();
            for fuel in 0.. {
                bed.frames.fuel = Some(fuel);
                match edit.apply(&mut bed) {
                    Ok(()) => break,
                    Err(error) => {
                        let cause = MapError::Resource(ResourceError::HypervisorMemory);
                        assert_eq!(error, cause, "seed {seed}: {edit:?}");
                        assert_eq!(bed.frames.in_use(), in_use, "seed {seed}: {edit:?}");
                        assert!(bed.live_tables() == before, "seed {seed}: {edit:?}");
                        failures += 1;
                        // Requests for thousands of tables: not every count in between.
                        bed.frames.fuel = None;
                        if fuel > 40 {
                            edit.apply(&mut bed).unwrap();
                            break;
                        }
                    }
                }
            }
            bed.frames.fuel = None;
        }
    }
    assert!(failures > 100, "only {failures} failures were provoked");
}
