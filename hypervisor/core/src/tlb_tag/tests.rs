//! The pool against a TLB that remembers: a stale hit is a failure, which no test on the emulator could show.

use std::collections::BTreeMap;

use super::*;
use crate::paging::fakes::Random;

/// Translations a CPU may hold: by tag, who filled it and at which epoch of the tables.
#[derive(Default)]
struct Tlb(BTreeMap<u32, (usize, u64)>);

struct Cpu {
    pool: TagPool,
    tlb: Tlb,
    flush_by_tag: FlushByTag,
}

impl Cpu {
    fn new(id: u16, count: u32, flush_by_tag: FlushByTag) -> Self {
        let mut tlb = Tlb::default();
        // Left over from whatever ran before.
        for tag in 0..count {
            tlb.0.insert(tag, (usize::MAX, 0));
        }
        Self {
            pool: TagPool::new(CpuId(id), count, flush_by_tag).unwrap(),
            tlb,
            flush_by_tag,
        }
    }

    /// Enters a vCPU: the TLB must hold nothing under its tag but its own current translations.
    fn enter(&mut self, vcpu: usize, holder: &mut TagHolder, epoch: u64) -> FlushKind {
        let (tag, flush) = self.pool.tag_for(holder, epoch);
        assert_ne!(tag.get(), 0);
        match flush {
            FlushKind::None => {}
            FlushKind::ThisTag => {
                assert_eq!(self.flush_by_tag, FlushByTag::Supported);
                self.tlb.0.remove(&tag.get());
            }
            FlushKind::AllTags => self.tlb.0.clear(),
        }
        let held = *self.tlb.0.entry(tag.get()).or_insert((vcpu, epoch));
        assert_eq!(held, (vcpu, epoch), "stale translations under {tag:?}");
        self.pool.entered(holder);
        flush
    }
}

#[test]
fn no_vcpu_meets_stale_translations() {
    for seed in 0..60 {
        let mut random = Random(seed);
        let kind = [FlushByTag::Supported, FlushByTag::Absent][(seed % 2) as usize];
        let count = [2, 3, 16][(seed % 3) as usize];
        let mut cpus: Vec<Cpu> = (0..3).map(|id| Cpu::new(id, count, kind)).collect();
        let mut vcpus = vec![TagHolder::new(); 20];
        let mut epochs = [0_u64; 4];
        for _ in 0..2_000 {
            let vcpu = random.below(20) as usize;
            let cpu = &mut cpus[random.below(3) as usize];
            let partition = vcpu % 4;
            match random.below(16) {
                0 => epochs[partition] += 1,
                1 => {
                    // An entry abandoned after the tag was chosen.
                    cpu.pool.tag_for(&mut vcpus[vcpu], epochs[partition]);
                }
                2 => vcpus[vcpu].invalidate(),
                _ => {
                    cpu.enter(vcpu, &mut vcpus[vcpu], epochs[partition]);
                }
            }
        }
    }
}

#[test]
fn steady_state_flushes_nothing() {
    let mut cpu = Cpu::new(0, 16, FlushByTag::Absent);
    let mut vcpus = [TagHolder::new(); 15];
    for (index, holder) in vcpus.iter_mut().enumerate() {
        let first = index == 0;
        let expected = if first {
            FlushKind::AllTags
        } else {
            FlushKind::None
        };
        assert_eq!(cpu.enter(index, holder, 7), expected);
    }
    for _ in 0..10 {
        for (index, holder) in vcpus.iter_mut().enumerate() {
            assert_eq!(cpu.enter(index, holder, 7), FlushKind::None);
        }
    }
    // The sixteenth vCPU finds no tag: a new generation begins, and everyone gets new tags.
    let mut late = TagHolder::new();
    assert_eq!(cpu.enter(15, &mut late, 7), FlushKind::AllTags);
    assert_eq!(cpu.enter(0, &mut vcpus[0], 7), FlushKind::None);
}

#[test]
fn changed_tables_flush_one_tag_or_take_a_fresh_one() {
    let mut can = Cpu::new(0, 16, FlushByTag::Supported);
    let mut holder = TagHolder::new();
    can.enter(0, &mut holder, 0);
    assert_eq!(can.enter(0, &mut holder, 1), FlushKind::ThisTag);
    assert_eq!(can.enter(0, &mut holder, 1), FlushKind::None);
    let mut cannot = Cpu::new(1, 16, FlushByTag::Absent);
    cannot.enter(0, &mut holder, 1);
    let (before, _) = cannot.pool.tag_for(&mut holder, 1);
    assert_eq!(cannot.enter(0, &mut holder, 2), FlushKind::None);
    assert_ne!(cannot.pool.tag_for(&mut holder, 2).0, before);
}

#[test]
fn an_abandoned_entry_does_not_lose_the_flush() {
    let mut cpu = Cpu::new(0, 16, FlushByTag::Supported);
    let mut holder = TagHolder::new();
    assert_eq!(cpu.pool.tag_for(&mut holder, 0).1, FlushKind::AllTags);
    assert_eq!(cpu.enter(0, &mut holder, 0), FlushKind::AllTags);
    assert_eq!(cpu.pool.tag_for(&mut holder, 1).1, FlushKind::ThisTag);
    assert_eq!(cpu.enter(0, &mut holder, 1), FlushKind::ThisTag);
}

#[test]
fn a_vcpu_that_ran_before_the_demand_does_not_meet_it() {
    let mut cpu = Cpu::new(0, 3, FlushByTag::Supported);
    let (mut first, mut second, mut third) = (TagHolder::new(), TagHolder::new(), TagHolder::new());
    // A control block that was never entered asks for no flush, just as one whose flush was executed.
    cpu.pool.entered(&mut first);
    assert_eq!(cpu.enter(0, &mut first, 0), FlushKind::AllTags);
    assert_eq!(cpu.enter(1, &mut second, 0), FlushKind::None);
    // The third begins a generation, but leaves before it is entered.
    assert_eq!(cpu.pool.tag_for(&mut third, 0).1, FlushKind::AllTags);
    cpu.pool.entered(&mut second);
    assert_eq!(cpu.enter(1, &mut second, 0), FlushKind::AllTags);
    assert_eq!(cpu.enter(2, &mut third, 0), FlushKind::None);
}

#[test]
fn a_cpu_without_tags_is_refused() {
    assert_eq!(
        TagPool::new(CpuId(0), 1, FlushByTag::Absent).err(),
        Some(NoTags)
    );
}
