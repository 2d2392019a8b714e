//! Processors that come to running systems, and go.

use super::fixture::*;
use crate::{
    AllocationChange, AllocationId, Event, JobId, JobState, Mapping, Patch, PoolId, PoolKind,
    Problem, ProblemKind, Request, Requested, ResourceKind, State, SystemId,
};

const CPUS: PoolId = PoolId::Primordial(PoolKind::Processor);

/// So many of at most so many.
fn some_of(count: u64, maximum: u32) -> AllocationChange {
    AllocationChange {
        maximum: Patch::Set(maximum),
        ..processors(count)
    }
}

fn start(world: &mut World, allocation: AllocationChange) -> SystemId {
    let allocations = vec![allocation, memory(64, "byte*2^20")];
    let id = world.define_with(bootable(), allocations).unwrap();
    world.ask(id, Request::Enable).unwrap();
    world.event(id, Event::Started);
    world.told();
    id
}

fn processor(world: &World, id: SystemId) -> AllocationId {
    let system = world.domain.system(id).unwrap();
    let mut known = system.defined.allocations.iter();
    let found = known.find(|known| known.resource.kind() == ResourceKind::Processor);
    found.unwrap().id
}

fn live(
    world: &mut World,
    changes: Vec<(SystemId, AllocationChange)>,
) -> Result<Requested, Problem> {
    let ids: Vec<_> = changes
        .iter()
        .map(|(id, _)| (*id, processor(world, *id)))
        .collect();
    let new = placed(changes.into_iter().map(|(_, change)| change).collect());
    let changes = ids.into_iter().zip(new);
    let changes = changes.map(|((id, allocation), new)| (id, allocation, new));
    let now = world.now();
    world.domain.modify_active(changes.collect::<Vec<_>>(), now)
}

fn job(answer: Result<Requested, Problem>) -> JobId {
    match answer {
        Ok(Requested::Job(job)) => job,
        other => panic!("{other:?}"),
    }
}

/// How many the state configuration has, and what they may use.
fn active(world: &World, id: SystemId) -> (u32, u64) {
    let active = world.domain.system(id).unwrap().active.as_ref().unwrap();
    let order = crate::resolve::processors(active);
    (order.count, order.limit)
}

fn consumed(world: &World) -> u64 {
    world.domain.ledger().pool(CPUS).unwrap().consumed
}

fn failure(world: &World, job: JobId) -> &'static str {
    world.domain.job(job).unwrap().problem().unwrap().id
}

#[test]
fn a_processor_comes_at_once_and_counts_everywhere() {
    let mut world = World::new();
    let id = start(&mut world, some_of(2, 4));
    let before = consumed(&world);
    assert_eq!(
        live(&mut world, vec![(id, processors(3))]),
        Ok(Requested::Done)
    );
    let told = world.told();
    assert!(
        matches!(&told[..], [Told::Tune(there, order, _), Told::Offer(other, 3)]
            if (*there, *other) == (id, id) && (order.count, order.maximum, order.limit) == (3, 4, 300))
    );
    assert_eq!(active(&world, id), (3, 300));
    assert_eq!(consumed(&world), before + 100);
    // The definition stays, and the state outlives a restart of the management partition.
    let defined = crate::resolve::processors(&world.domain.system(id).unwrap().defined);
    assert_eq!(defined.count, 2);
}

#[test]
fn more_than_the_system_can_have_is_refused_and_changes_nothing() {
    let mut world = World::new();
    let id = start(&mut world, processors(2));
    let ledger = world.domain.ledger().clone();
    let problem = live(&mut world, vec![(id, processors(3))]).unwrap_err();
    assert_eq!(problem.id, "BH-MAXIMUM");
    assert!(problem.to_string().contains("more than the 2"), "{problem}");
    let other = start(&mut world, some_of(1, 2));
    let both = vec![(other, processors(2)), (id, processors(3))];
    let ledger_of_both = world.domain.ledger().clone();
    live(&mut world, both).unwrap_err();
    assert_eq!(world.domain.ledger(), &ledger_of_both);
    assert_ne!(world.domain.ledger(), &ledger);
    assert_eq!(world.told(), []);
}

#[test]
fn what_the_machine_or_the_store_refuses_is_undone_before_the_guest_hears_of_it() {
    let mut world = World::new();
    let first = start(&mut world, some_of(1, 2));
    let second = start(&mut world, some_of(1, 2));
    let ledger = world.domain.ledger().clone();
    world.machine.0.borrow_mut().untunable = Some(second);
    let both = vec![(first, processors(2)), (second, processors(2))];
    assert_eq!(
        live(&mut world, both.clone()).unwrap_err().kind,
        ProblemKind::Busy
    );
    let told = world.told();
    assert!(
        matches!(&told[..], [Told::Tune(_, there, _), Told::Tune(_, back, _)]
        if there.count == 2 && back.count == 1)
    );
    world.machine.0.borrow_mut().untunable = None;
    *world.keep.left.borrow_mut() = Some(1);
    assert_eq!(live(&mut world, both).unwrap_err().kind, ProblemKind::Store);
    *world.keep.left.borrow_mut() = None;
    let told = world.told();
    assert!(!told.iter().any(|told| matches!(told, Told::Offer(..))));
    assert_eq!(told.len(), 4);
    assert_eq!(world.domain.ledger(), &ledger);
    assert_eq!(active(&world, first), (1, 100));
}

#[test]
fn a_processor_goes_when_the_guest_has_given_it_back() {
    let mut world = World::new();
    let id = start(&mut world, some_of(3, 4));
    let before = consumed(&world);
    let asked = job(live(&mut world, vec![(id, processors(2))]));
    assert_eq!(world.told(), [Told::AskBack(id, 2)]);
    assert_eq!((active(&world, id).0, consumed(&world)), (3, before));
    // Nothing else of it changes meanwhile.
    let busy = live(&mut world, vec![(id, processors(3))]);
    assert_eq!(busy.unwrap_err().kind, ProblemKind::Busy);
    world.event(id, Event::ProcessorsLeft);
    let told = world.told();
    assert!(matches!(&told[..], [Told::Tune(_, order, _)] if order.count == 2));
    assert_eq!(active(&world, id), (2, 200));
    assert_eq!(consumed(&world), before - 100);
    assert_eq!(world.domain.job(asked).unwrap().state, JobState::Completed);
    assert_eq!(world.state(id), State::Running);
}

#[test]
fn a_guest_that_keeps_its_processors_keeps_them() {
    let mut world = World::new();
    let id = start(&mut world, some_of(3, 4));
    let ledger = world.domain.ledger().clone();
    let asked = job(live(&mut world, vec![(id, processors(1))]));
    world.told();
    world.event(id, Event::ProcessorsKept("It needs them".into()));
    assert_eq!(failure(&world, asked), "BH-GUEST-KEEPS");
    assert_eq!(world.told(), [Told::Offer(id, 3)]);
    // One that does not answer.
    let asked = job(live(&mut world, vec![(id, processors(1))]));
    world.told();
    world.wait(61);
    assert_eq!(failure(&world, asked), "BH-TIME-OUT");
    assert_eq!(world.told(), [Told::Offer(id, 3)]);
    // One that answers too late has them again.
    world.event(id, Event::ProcessorsLeft);
    assert_eq!(world.told(), [Told::Offer(id, 3)]);
    // A client that does not want to wait.
    let asked = job(live(&mut world, vec![(id, processors(2))]));
    let now = world.now();
    world.domain.terminate_job(asked, now).unwrap();
    assert!(world.told().contains(&Told::Offer(id, 3)));
    assert_eq!(active(&world, id), (3, 300));
    assert_eq!(world.domain.ledger(), &ledger);
    live(&mut world, vec![(id, processors(4))]).unwrap();
}

#[test]
fn whatever_ends_the_life_of_the_guest_ends_the_wait_for_its_processors() {
    for event in [
        Event::PoweredOff,
        Event::ResetDone,
        Event::Crashed(crate::Crash {
            reason: "triple fault".into(),
            record: String::new(),
        }),
    ] {
        let mut world = World::new();
        let id = start(&mut world, some_of(2, 2));
        let asked = job(live(&mut world, vec![(id, processors(1))]));
        world.event(id, event);
        assert!(world.domain.job(asked).unwrap().problem().is_some());
        world.told();
        world.event(id, Event::ProcessorsLeft);
        let told = world.told();
        assert!(!told.iter().any(|told| matches!(told, Told::Tune(..))));
    }
}

#[test]
fn guests_that_cannot_do_their_part_are_not_asked() {
    let mut world = World::new();
    let id = start(&mut world, some_of(2, 3));
    let other = start(&mut world, some_of(2, 3));
    let both = vec![(id, processors(1)), (other, processors(1))];
    assert_eq!(live(&mut world, both).unwrap_err().id, "BH-PROCESSORS-BACK");
    world.ask(id, Request::Pause).unwrap();
    world.event(id, Event::Paused);
    world.told();
    let problem = live(&mut world, vec![(id, processors(1))]).unwrap_err();
    assert_eq!(problem.kind, ProblemKind::State);
    assert_eq!(world.told(), []);
    // One that is paused finds more when it goes on.
    live(&mut world, vec![(id, processors(3))]).unwrap();
    assert!(world.told().contains(&Told::Offer(id, 3)));
}

#[test]
fn dedicated_processors_come_with_physical_ones_of_their_own() {
    let mut world = World::new();
    let own = AllocationChange {
        mapping: Patch::Set(Mapping::Dedicated),
        ..some_of(1, 3)
    };
    let id = start(&mut world, own);
    let runs_on = |world: &World| world.domain.ledger().runs_on(id).len();
    assert_eq!(runs_on(&world), 1);
    live(&mut world, vec![(id, processors(2))]).unwrap();
    assert_eq!(runs_on(&world), 2);
    let asked = job(live(&mut world, vec![(id, processors(1))]));
    world.event(id, Event::ProcessorsLeft);
    assert_eq!(world.domain.job(asked).unwrap().state, JobState::Completed);
    assert_eq!(runs_on(&world), 1);
}
