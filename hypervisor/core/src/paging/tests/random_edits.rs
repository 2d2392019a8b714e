//! Random edits against a model: equality after each edit, old-or-new after each store, and no change on failure.

use std::collections::BTreeMap;

use super::super::fakes::Random;
use super::*;
use crate::fault::ResourceError;

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
        let ragged = [0, 0, K4, M2 + K4][random.below(4) as usize];
        let bytes = (unit * (1 + random.below(3)) - jitter % unit + ragged).min(SPACE - start);
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
    for seed in 0..24 {
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
    for seed in 100..110 {
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
    for seed in 200..206 {
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
    assert!(failures > 50, "only {failures} failures were provoked");
}
