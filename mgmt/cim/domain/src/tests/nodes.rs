//! Memory by NUMA node.

use super::fixture::{Told, World, bootable, memory};
use crate::{
    AllocationChange, Event, HostDevice, NodeMemory, Patch, PoolId, PoolKind, PoolShare, Problem,
    Request, SystemId,
};

const RAM: PoolId = PoolId::Primordial(PoolKind::Memory);

fn mib(nodes: &[u64]) -> NodeMemory {
    NodeMemory::new(nodes.iter().map(|mib| mib << 20).collect())
}

/// A machine with 512 MiB on each of two nodes.
fn world() -> World {
    let mut world = World::new();
    world.machine.0.borrow_mut().nodes = Some(mib(&[512, 512]));
    world.reopen();
    world
}

fn pool(world: &mut World, mib: u64, node: Option<u32>) -> Result<PoolId, Problem> {
    let bytes = mib << 20;
    let share = PoolShare::Memory { bytes, node };
    world.domain.create_pool(None, RAM, share)
}

fn start(
    world: &mut World,
    mib: u64,
    pool: PoolId,
    node: Option<u32>,
) -> Result<SystemId, Problem> {
    let change = AllocationChange {
        pool: Patch::Set(pool.to_string()),
        host: match node {
            Some(node) => Patch::Set(vec![HostDevice::Memory(node)]),
            None => Patch::Keep,
        },
        ..memory(mib, "byte*2^20")
    };
    let id = world.define_with(bootable(), vec![change])?;
    world.ask(id, Request::Enable)?;
    world.event(id, Event::Started);
    Ok(id)
}

fn memory_in(world: &World, id: PoolId) -> NodeMemory {
    world.domain.ledger().pool(id).unwrap().memory
}

#[test]
fn a_pool_of_a_node_has_its_frames_and_systems_draw_them() {
    let mut world = world();
    let far = pool(&mut world, 256, Some(1)).unwrap();
    assert_eq!(memory_in(&world, far), mib(&[0, 256]));
    world.told();
    let inside = start(&mut world, 128, far, None).unwrap();
    let told = world.told();
    assert!(matches!(&told[..], [Told::Start(_, order)] if order.nodes == mib(&[0, 128])));
    // The fullest node with room; then what is left of both, but nothing of the pool.
    start(&mut world, 128, RAM, None).unwrap();
    let wide = start(&mut world, 600, RAM, None).unwrap();
    let ledger = world.domain.ledger();
    assert_eq!(ledger.memory_of(inside), mib(&[0, 128]));
    assert_eq!(ledger.memory_of(wide).total(), 600 << 20);
    let refused = start(&mut world, 64, RAM, None).unwrap_err();
    assert_eq!(refused.id, "BH-MEMORY-SHORT");
    start(&mut world, 128, far, None).unwrap();
    start(&mut world, 16, far, None).unwrap_err();
}

#[test]
fn a_system_on_a_node_gets_nothing_of_another() {
    let mut world = world();
    start(&mut world, 400, RAM, Some(1)).unwrap();
    let ledger = world.domain.ledger().clone();
    let refused = start(&mut world, 128, RAM, Some(1)).unwrap_err();
    assert!(
        refused.to_string().contains("112 MiB of that node"),
        "{refused}"
    );
    assert_eq!(world.domain.ledger(), &ledger);
    start(&mut world, 128, RAM, Some(7)).unwrap_err();
    let refused = pool(&mut world, 128, Some(1)).unwrap_err();
    assert!(refused.to_string().contains("of NUMA node 1"), "{refused}");
    assert_eq!(world.domain.ledger(), &ledger);
}

#[test]
fn a_pool_that_shrinks_keeps_what_is_in_use() {
    let mut world = world();
    // More than a node has.
    let both = pool(&mut world, 768, None).unwrap();
    let used = start(&mut world, 200, both, Some(1)).unwrap();
    let size = |world: &mut World, mib: u64| {
        let bytes = mib << 20;
        let share = PoolShare::Memory { bytes, node: None };
        world.domain.change_pool(both, RAM, Some(share))
    };
    size(&mut world, 200).unwrap();
    assert_eq!(memory_in(&world, both), mib(&[0, 200]));
    size(&mut world, 198).unwrap_err();
    assert_eq!(world.domain.ledger().memory_of(used), mib(&[0, 200]));
    size(&mut world, 1024).unwrap();
    let before = world.domain.ledger().clone();
    // The pool comes back from the store with its nodes.
    world.ask(used, Request::Disable).unwrap();
    world.event(used, Event::PoweredOff);
    world.reopen();
    let pools = |ledger: &crate::Ledger| ledger.pool(both).unwrap().memory;
    assert_eq!(pools(world.domain.ledger()), pools(&before));
}
