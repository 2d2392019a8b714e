//! Which physical CPUs run a system: its own, some, or any.

use super::fixture::{Told, World, bootable, placed, processors};
use crate::{
    Adopted, AdoptedState, AllocationChange, Event, HostDevice, Mapping, Patch, PoolId, PoolKind,
    PoolShare, Problem, ProblemKind, Request, ResourceKind, SystemId,
};

const CPUS: PoolId = PoolId::Primordial(PoolKind::Processor);

/// So many processors, mapped to these of the host.
fn mapped(count: u64, mapping: Mapping, cpus: &[u32]) -> AllocationChange {
    let devices = cpus.iter().map(|number| HostDevice::Processor(*number));
    AllocationChange {
        mapping: Patch::Set(mapping),
        host: match cpus {
            [] => Patch::Keep,
            _ => Patch::Set(devices.collect()),
        },
        ..processors(count)
    }
}

fn dedicated(count: u64) -> AllocationChange {
    mapped(count, Mapping::Dedicated, &[])
}

fn start(world: &mut World, change: AllocationChange) -> Result<SystemId, Problem> {
    let id = world.define_with(bootable(), vec![change])?;
    if let Err(problem) = world.ask(id, Request::Enable) {
        world.domain.destroy(id).unwrap();
        return Err(problem);
    }
    world.event(id, Event::Started);
    Ok(id)
}

fn stop(world: &mut World, id: SystemId) {
    world.ask(id, Request::Disable).unwrap();
    world.event(id, Event::PoweredOff);
}

fn runs_on(world: &World, id: SystemId) -> Vec<u32> {
    world.domain.ledger().runs_on(id).into_iter().collect()
}

/// Reserved and consumed.
fn figures(world: &World) -> (u64, u64) {
    let pool = world.domain.ledger().pool(CPUS).unwrap();
    (pool.reserved, pool.consumed)
}

fn live(world: &mut World, id: SystemId, change: AllocationChange) -> Result<(), Problem> {
    let system = world.domain.system(id).unwrap();
    let mut known = system.defined.allocations.iter();
    let found = known.find(|known| known.resource.kind() == ResourceKind::Processor);
    let allocation = found.unwrap().id;
    let new = placed(vec![change]).remove(0);
    let now = world.now();
    let done = world.domain.modify_active([(id, allocation, new)], now)?;
    assert_eq!(done, crate::Requested::Done);
    Ok(())
}

#[test]
fn a_dedicated_system_owns_its_processors_and_others_leave_them() {
    let mut world = World::new();
    let other = start(&mut world, processors(1)).unwrap();
    world.told();
    let id = start(&mut world, dedicated(2)).unwrap();
    assert_eq!(figures(&world), (200, 300));
    let told = world.told();
    assert!(
        matches!(&told[..], [Told::Tune(moved, _, cpus), Told::Start(started, order)]
        if *moved == other && *cpus == [0, 1] && *started == id && order.cpus == [2, 3]
            && order.processors.reservation == 0)
    );
    let system = world.domain.system(id).unwrap();
    assert!(world.domain.is_as_defined(system));
    assert_eq!(runs_on(&world, other), [0, 1]);
    let refused = start(&mut world, dedicated(2)).unwrap_err();
    assert_eq!(refused.id, "BH-PROCESSOR-SHORT");
    let refused = start(&mut world, mapped(1, Mapping::Dedicated, &[3])).unwrap_err();
    assert_eq!(
        (refused.kind, refused.id),
        (ProblemKind::State, "BH-PROCESSOR-TAKEN")
    );
    world.told();
    stop(&mut world, id);
    assert_eq!(figures(&world), (0, 100));
    let told = world.told();
    assert!(
        matches!(&told[..], [Told::Stop(_), Told::Tune(back, _, cpus)]
        if *back == other && cpus.is_empty())
    );
}

#[test]
fn a_dedicated_system_that_cannot_have_its_processors_does_not_start() {
    let mut world = World::new();
    let other = start(&mut world, processors(1)).unwrap();
    let id = world.define_with(bootable(), vec![dedicated(1)]).unwrap();
    let (ledger, names) = (world.domain.ledger().clone(), world.keep.names());
    world.machine.0.borrow_mut().untunable = Some(other);
    let refused = world.ask(id, Request::Enable).unwrap_err();
    assert_eq!(refused.kind, ProblemKind::Busy);
    world.machine.0.borrow_mut().untunable = None;
    *world.keep.left.borrow_mut() = Some(0);
    world.told();
    let refused = world.ask(id, Request::Enable).unwrap_err();
    assert_eq!(refused.kind, ProblemKind::Store);
    let told = world.told();
    assert!(
        matches!(&told[..], [Told::Tune(_, _, there), Told::Tune(_, _, back)]
        if *there == [0, 1, 2] && back.is_empty())
    );
    assert_eq!(
        (world.domain.ledger(), world.keep.names()),
        (&ledger, names)
    );
}

#[test]
fn an_affinity_counts_within_what_the_pool_shares() {
    let mut world = World::new();
    let hard = start(&mut world, mapped(1, Mapping::HardAffinity, &[3, 1])).unwrap();
    let soft = start(&mut world, mapped(1, Mapping::SoftAffinity, &[3])).unwrap();
    assert_eq!(runs_on(&world, hard), [1, 3]);
    assert_eq!(runs_on(&world, soft), [3]);
    let own = start(&mut world, mapped(1, Mapping::Dedicated, &[3])).unwrap();
    assert_eq!(runs_on(&world, hard), [1]);
    assert_eq!(runs_on(&world, soft), [0, 1, 2]);
    let ledger = world.domain.ledger().clone();
    // The last processor that the one with the hard affinity may use.
    let refused = start(&mut world, mapped(1, Mapping::Dedicated, &[1])).unwrap_err();
    assert_eq!(refused.id, "BH-PROCESSOR-SHORT");
    assert!(refused.to_string().contains("affinity"), "{refused}");
    let refused = start(&mut world, mapped(1, Mapping::HardAffinity, &[3])).unwrap_err();
    assert_eq!(refused.id, "BH-PROCESSOR-SHORT");
    let share = PoolShare::Processors(vec![1]);
    let refused = world.domain.create_pool(None, CPUS, share).unwrap_err();
    assert_eq!(refused.id, "BH-POOL-IN-USE");
    let share = PoolShare::Processors(vec![3]);
    let refused = world.domain.create_pool(None, CPUS, share).unwrap_err();
    assert!(refused.to_string().contains("dedicated"), "{refused}");
    assert_eq!(world.domain.ledger(), &ledger);
    stop(&mut world, own);
    assert_eq!(runs_on(&world, soft), [3]);
}

#[test]
fn what_runs_the_configured_partitions_is_shared_with_the_host_alone() {
    let mut world = World::new();
    let share = PoolShare::Processors(vec![0]);
    let refused = world.domain.create_pool(None, CPUS, share).unwrap_err();
    assert_eq!(refused.kind, ProblemKind::State);
    assert!(
        refused
            .to_string()
            .contains("The processor 0 runs management"),
        "{refused}"
    );
    let share = PoolShare::ProcessorCount(4);
    world.domain.create_pool(None, CPUS, share).unwrap_err();
    let refused = start(&mut world, mapped(1, Mapping::Dedicated, &[0])).unwrap_err();
    assert_eq!(refused.kind, ProblemKind::Invalid);
    start(&mut world, dedicated(4)).unwrap_err();
    start(&mut world, dedicated(3)).unwrap();
    assert_eq!(figures(&world), (300, 300));
    // One is left for all others.
    let shared = start(&mut world, processors(1)).unwrap();
    assert_eq!(runs_on(&world, shared), [0]);
}

#[test]
fn a_promise_needs_processors_that_are_shared() {
    let mut world = World::new();
    let reserving = |percent| AllocationChange {
        reservation: Patch::Set(percent),
        ..processors(2)
    };
    start(&mut world, reserving(180)).unwrap();
    start(&mut world, dedicated(2)).unwrap();
    let refused = start(&mut world, reserving(1)).unwrap_err();
    assert_eq!(refused.id, "BH-PROCESSOR-SHORT");
    assert!(refused.to_string().contains("181 percent"), "{refused}");
}

#[test]
fn wrong_mappings_are_refused() {
    let mut world = World::new();
    let reserving = AllocationChange {
        reservation: Patch::Set(50),
        ..dedicated(1)
    };
    let memory = AllocationChange {
        host: Patch::Set(vec![HostDevice::Memory(0)]),
        ..processors(1)
    };
    for change in [
        reserving,
        memory,
        dedicated(5),
        mapped(1, Mapping::Dedicated, &[1, 2]),
        mapped(1, Mapping::HardAffinity, &[]),
        mapped(1, Mapping::HardAffinity, &[9]),
        mapped(1, Mapping::HardAffinity, &[1, 1]),
    ] {
        let refused = world.define_with(bootable(), vec![change]).unwrap_err();
        assert_eq!(refused.kind, ProblemKind::Invalid, "{refused}");
    }
}

#[test]
fn a_running_system_gets_processors_of_its_own_and_gives_them_back() {
    let mut world = World::new();
    let id = start(&mut world, processors(1)).unwrap();
    let other = start(&mut world, processors(1)).unwrap();
    world.told();
    let own = AllocationChange {
        quantity: Patch::Keep,
        kind: None,
        ..mapped(1, Mapping::Dedicated, &[2])
    };
    live(&mut world, id, own.clone()).unwrap_err();
    let whole = AllocationChange {
        reservation: Patch::Clear,
        limit: Patch::Clear,
        ..own
    };
    live(&mut world, id, whole).unwrap();
    assert_eq!(runs_on(&world, id), [2]);
    assert_eq!(runs_on(&world, other), [0, 1, 3]);
    assert!(!world.domain.is_as_defined(world.domain.system(id).unwrap()));
    assert_eq!(world.told().len(), 2);
    let shared = AllocationChange {
        mapping: Patch::Clear,
        host: Patch::Clear,
        reservation: Patch::Clear,
        ..AllocationChange::default()
    };
    live(&mut world, id, shared).unwrap();
    assert_eq!(figures(&world), (0, 200));
    assert_eq!(runs_on(&world, other), [0, 1, 2, 3]);
}

#[test]
fn what_a_system_owns_is_its_own_after_a_restart_of_management() {
    let mut world = World::new();
    let id = start(&mut world, dedicated(1)).unwrap();
    let before = world.domain.ledger().clone();
    world.machine.0.borrow_mut().was_up = true;
    world.machine.0.borrow_mut().adopted = vec![Adopted {
        system: id,
        state: AdoptedState::Running,
    }];
    world.restart();
    assert_eq!(world.domain.ledger(), &before);
    assert_eq!(runs_on(&world, id), [3]);
    let refused = start(&mut world, mapped(1, Mapping::Dedicated, &[3])).unwrap_err();
    assert_eq!(refused.id, "BH-PROCESSOR-TAKEN");
}
