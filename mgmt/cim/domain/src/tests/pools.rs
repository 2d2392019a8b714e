//! Child pools, and live changes: the ledger at every level, all or nothing.

use super::fixture::{Told, World, bootable, memory, placed, processors};
use crate::{
    AllocationChange, AllocationId, Event, Patch, Pool, PoolId, PoolKind, PoolShare, ProblemKind,
    Request, ResourceKind, SystemId,
};

const CPUS: PoolId = PoolId::Primordial(PoolKind::Processor);
const RAM: PoolId = PoolId::Primordial(PoolKind::Memory);

fn pool(world: &World, id: PoolId) -> Pool {
    world.domain.ledger().pool(id).unwrap()
}

/// Capacity, reserved and consumed.
fn figures(world: &World, id: PoolId) -> (u64, u64, u64) {
    let pool = pool(world, id);
    (pool.capacity, pool.reserved, pool.consumed)
}

fn from(pool: PoolId, change: AllocationChange) -> AllocationChange {
    AllocationChange {
        pool: Patch::Set(pool.to_string()),
        ..change
    }
}

fn start(world: &mut World, allocations: Vec<AllocationChange>) -> SystemId {
    let id = world.define_with(bootable(), allocations).unwrap();
    world.ask(id, Request::Enable).unwrap();
    world.event(id, Event::Started);
    id
}

fn processor_allocation(world: &World, id: SystemId) -> AllocationId {
    let system = world.domain.system(id).unwrap();
    let mut known = system.defined.allocations.iter();
    let found = known.find(|known| known.resource.kind() == ResourceKind::Processor);
    found.unwrap().id
}

fn weight(weight: u32) -> AllocationChange {
    AllocationChange {
        weight: Patch::Set(weight),
        ..AllocationChange::default()
    }
}

fn live(world: &mut World, id: SystemId, change: AllocationChange) -> Result<(), crate::Problem> {
    let allocation = processor_allocation(world, id);
    let new = placed(vec![change]).remove(0);
    let now = world.now();
    let done = world.domain.modify_active([(id, allocation, new)], now)?;
    assert_eq!(done, crate::Requested::Done);
    Ok(())
}

#[test]
fn a_pool_of_processors_holds_cpus_of_its_own() {
    let mut world = World::new();
    let other = start(&mut world, vec![processors(1)]);
    world.told();
    let share = PoolShare::Processors(vec![3, 1]);
    let id = world
        .domain
        .create_pool(Some("fast".into()), CPUS, share)
        .unwrap();
    assert_eq!(pool(&world, id).processors, [1, 3]);
    assert_eq!(figures(&world, id), (200, 0, 0));
    assert_eq!(figures(&world, CPUS), (400, 200, 300));
    // What ran anywhere leaves them at once.
    let told = world.told();
    assert!(
        matches!(&told[..], [Told::Tune(system, _, cpus)] if *system == other && *cpus == [0, 2])
    );
    let mine = start(&mut world, vec![from(id, processors(2))]);
    let told = world.told();
    assert!(
        matches!(&told[..], [Told::Start(system, order)] if *system == mine && order.cpus == [1, 3])
    );
    assert_eq!(figures(&world, id), (200, 0, 200));
    world.domain.add_to_pool(id, &[2]).unwrap();
    assert_eq!(world.told().len(), 2);
    assert_eq!(figures(&world, CPUS), (400, 300, 400));
    world.domain.remove_from_pool(id, &[1, 2]).unwrap();
    assert_eq!(pool(&world, id).processors, [3]);
    assert_eq!(world.domain.own_processors(CPUS), [0, 1, 2]);
}

#[test]
fn pools_in_pools_are_exact_at_every_level() {
    let mut world = World::new();
    let outer = world
        .domain
        .create_pool(
            None,
            RAM,
            PoolShare::Memory {
                bytes: 512 << 20,
                node: None,
            },
        )
        .unwrap();
    let inner = world
        .domain
        .create_pool(
            None,
            outer,
            PoolShare::Memory {
                bytes: 200 << 20,
                node: None,
            },
        )
        .unwrap();
    let system = start(&mut world, vec![from(inner, memory(128, "byte*2^20"))]);
    let mib = |world: &World, id| {
        let (capacity, reserved, consumed) = figures(world, id);
        (capacity >> 20, reserved >> 20, consumed >> 20)
    };
    assert_eq!(mib(&world, inner), (200, 128, 128));
    assert_eq!(mib(&world, outer), (512, 200, 200));
    assert_eq!(mib(&world, RAM), (1024, 512, 512));
    let second = world.define_with(bootable(), vec![from(inner, memory(80, "byte*2^20"))]);
    let short = world.ask(second.unwrap(), Request::Enable).unwrap_err();
    assert_eq!(
        (short.kind, short.id),
        (ProblemKind::Resources, "BH-MEMORY-SHORT")
    );
    let (ledger, names) = (world.domain.ledger().clone(), world.keep.names());
    for (id, parent, share) in [
        (
            inner,
            outer,
            Some(PoolShare::Memory {
                bytes: 100 << 20,
                node: None,
            }),
        ),
        (
            inner,
            outer,
            Some(PoolShare::Memory {
                bytes: 600 << 20,
                node: None,
            }),
        ),
        (inner, CPUS, None),
        (outer, inner, None),
    ] {
        world.domain.change_pool(id, parent, share).unwrap_err();
    }
    for id in [outer, inner, RAM, PoolId::Child(PoolKind::Memory, 77)] {
        world.domain.delete_pool(id).unwrap_err();
    }
    assert_eq!(
        (world.domain.ledger(), world.keep.names()),
        (&ledger, names)
    );
    world
        .domain
        .change_pool(
            inner,
            RAM,
            Some(PoolShare::Memory {
                bytes: 300 << 20,
                node: None,
            }),
        )
        .unwrap();
    assert_eq!(mib(&world, outer), (512, 0, 0));
    assert_eq!(mib(&world, RAM), (1024, 812, 812));
    world.ask(system, Request::Disable).unwrap();
    world.event(system, Event::PoweredOff);
    assert_eq!(mib(&world, inner), (300, 0, 0));
}

#[test]
fn a_pool_that_a_definition_names_stays() {
    let mut world = World::new();
    let share = PoolShare::ProcessorCount(2);
    let id = world.domain.create_pool(None, CPUS, share).unwrap();
    let system = world
        .define_with(bootable(), vec![from(id, processors(1))])
        .unwrap();
    let refused = world.domain.delete_pool(id).unwrap_err();
    assert_eq!(
        (refused.kind, refused.id),
        (ProblemKind::State, "BH-POOL-IN-USE")
    );
    world.domain.destroy(system).unwrap();
    world.domain.delete_pool(id).unwrap();
    assert_eq!(figures(&world, CPUS), (400, 0, 0));
    // Its number never comes again.
    let next = world
        .domain
        .create_pool(None, CPUS, PoolShare::ProcessorCount(1))
        .unwrap();
    assert_ne!(next, id);
    let unknown = world
        .define_with(bootable(), vec![from(id, processors(1))])
        .unwrap_err();
    assert_eq!(unknown.id, "BH-POOL");
}

#[test]
fn the_host_keeps_a_processor() {
    let mut world = World::new();
    let before = world.domain.ledger().clone();
    for share in [PoolShare::ProcessorCount(4), PoolShare::ProcessorCount(5)] {
        let refused = world.domain.create_pool(None, CPUS, share).unwrap_err();
        assert_eq!(refused.kind, ProblemKind::Resources);
    }
    let refused = world
        .domain
        .create_pool(None, CPUS, PoolShare::Processors(vec![9]));
    assert_eq!(refused.unwrap_err().kind, ProblemKind::State);
    assert_eq!(world.domain.ledger(), &before);
}

#[test]
fn pools_and_what_draws_from_them_survive_a_restart() {
    let mut world = World::new();
    let outer = world.domain.create_pool(
        Some("a\nb".replace('\n', " ")),
        CPUS,
        PoolShare::ProcessorCount(3),
    );
    let outer = outer.unwrap();
    world
        .domain
        .create_pool(None, outer, PoolShare::Processors(vec![2]))
        .unwrap();
    world
        .domain
        .create_pool(
            None,
            RAM,
            PoolShare::Memory {
                bytes: 64 << 20,
                node: None,
            },
        )
        .unwrap();
    let id = start(&mut world, vec![from(outer, processors(2))]);
    let before = world.domain.ledger().clone();
    world.machine.0.borrow_mut().adopted = vec![crate::Adopted {
        system: id,
        state: crate::AdoptedState::Running,
    }];
    assert_eq!(world.restart(), []);
    assert_eq!(world.domain.ledger(), &before);
}

#[test]
fn a_division_that_cannot_be_carried_out_or_kept_leaves_everything() {
    let mut world = World::new();
    let first = start(&mut world, vec![processors(1)]);
    let second = start(&mut world, vec![processors(1)]);
    world.told();
    let before = world.domain.ledger().clone();
    world.machine.0.borrow_mut().untunable = Some(second);
    let refused = world
        .domain
        .create_pool(None, CPUS, PoolShare::ProcessorCount(1));
    assert_eq!(refused.unwrap_err().kind, ProblemKind::Busy);
    assert_eq!(world.domain.ledger(), &before);
    let told = world.told();
    assert!(
        matches!(&told[..], [Told::Tune(one, _, there), Told::Tune(two, _, back)]
        if *one == first && *two == first && *there == [0, 1, 2] && back.is_empty())
    );
    world.machine.0.borrow_mut().untunable = None;
    *world.keep.left.borrow_mut() = Some(1);
    let refused = world
        .domain
        .create_pool(None, CPUS, PoolShare::ProcessorCount(1));
    assert_eq!(refused.unwrap_err().kind, ProblemKind::Store);
    assert_eq!(world.domain.ledger(), &before);
    assert_eq!(world.told().len(), 4);
}

#[test]
fn a_running_system_gets_another_weight_and_another_pool() {
    let mut world = World::new();
    let fast = world
        .domain
        .create_pool(None, CPUS, PoolShare::Processors(vec![3]))
        .unwrap();
    let id = start(&mut world, vec![processors(2)]);
    world.told();
    live(&mut world, id, weight(700)).unwrap();
    let told = world.told();
    assert!(
        matches!(&told[..], [Told::Tune(_, order, cpus)] if order.weight == 700 && *cpus == [0, 1, 2])
    );
    let half = AllocationChange {
        reservation: Patch::Set(50),
        ..AllocationChange::default()
    };
    live(&mut world, id, from(fast, half)).unwrap();
    assert_eq!(figures(&world, fast), (100, 50, 200));
    assert_eq!(figures(&world, CPUS), (400, 100, 100));
    let system = world.domain.system(id).unwrap();
    assert_ne!(
        system.active.as_ref(),
        Some(&world.domain.resolved(&system.defined))
    );
    world.ask(id, Request::Disable).unwrap();
    world.event(id, Event::PoweredOff);
    assert_eq!(figures(&world, fast), (100, 0, 0));
}

#[test]
fn a_live_change_that_fails_changes_nothing() {
    let mut world = World::new();
    let first = start(&mut world, vec![processors(1)]);
    let second = start(&mut world, vec![processors(1)]);
    let off = world.define();
    let ledger = world.domain.ledger().clone();
    let active =
        |world: &World| [first, second].map(|id| world.domain.system(id).unwrap().active.clone());
    let before = active(&world);
    let reserve = |percent| AllocationChange {
        reservation: Patch::Set(percent),
        ..AllocationChange::default()
    };
    let system = world.domain.system(first).unwrap();
    let mut known = system.defined.allocations.iter();
    let ram = known.find(|known| known.resource.kind() == ResourceKind::Memory);
    let ram = ram.unwrap().id;
    let more = placed(vec![memory(64, "byte*2^20")]).remove(0);
    let now = world.now();
    let refused = world.domain.modify_active([(first, ram, more)], now);
    assert_eq!(refused.unwrap_err().id, "BH-STATE-CONFIGURATION");
    live(&mut world, first, processors(2)).unwrap_err();
    assert_eq!(
        live(&mut world, off, weight(5)).unwrap_err().kind,
        ProblemKind::State
    );
    assert_eq!(
        live(&mut world, first, reserve(101)).unwrap_err().kind,
        ProblemKind::Invalid
    );
    world.machine.0.borrow_mut().untunable = Some(second);
    world.told();
    let (one, two) = (
        processor_allocation(&world, first),
        processor_allocation(&world, second),
    );
    let mut new = placed(vec![reserve(80), reserve(80)]);
    let (last, former) = (new.remove(1), new.remove(0));
    let refused = world
        .domain
        .modify_active([(first, one, former), (second, two, last)], now);
    assert_eq!(refused.unwrap_err().kind, ProblemKind::Busy);
    let told = world.told();
    assert!(
        matches!(&told[..], [Told::Tune(_, there, _), Told::Tune(_, back, _)]
        if there.reservation == 80 && back.reservation == 0)
    );
    assert_eq!(world.domain.ledger(), &ledger);
    assert_eq!(active(&world), before);
}
