//! Defining and changing systems.

use super::fixture::{World, bootable, console, memory, placed, processors};
use crate::{
    AllocationChange, AllocationId, BootFormat, ConsoleKind, DefinitionChange, ImageName, Notice,
    Patch, ProblemKind, Resource, ResourceKind, SystemId, Topology,
};
use std::time::Duration;

#[test]
fn what_is_left_open_stays_open_and_is_decided_when_resolved() {
    let mut world = World::new();
    let id = world
        .define_with(DefinitionChange::default(), vec![])
        .unwrap();
    let defined = world.domain.system(id).unwrap().defined.clone();
    assert_eq!(defined.name, "system-1");
    assert_eq!(defined.memory_bytes(), None);
    assert_eq!(defined.processors(), None);
    assert_eq!(
        defined.allocations.len(),
        3,
        "processors, memory and a console"
    );
    let resolved = world.domain.resolved(&defined);
    assert_eq!(resolved.memory_bytes(), Some(256 << 20));
    assert_eq!(resolved.processors(), Some(1));
    let Resource::Processor(settings) = &resolved.allocations[0].resource else {
        panic!("processors come first");
    };
    assert_eq!(settings.limit, Some(100));
    assert_eq!(settings.weight, Some(100));
}

#[test]
fn units_of_memory_mean_what_they_say() {
    for (quantity, units, mebibytes) in [
        (64, "byte*2^20", 64),
        (65536, "KiloBytes", 64),
        (64, "MegaBytes", 64),
        (1 << 26, "byte", 64),
        (64, "count", 64),
    ] {
        let mut world = World::new();
        let id = world
            .define_with(bootable(), vec![memory(quantity, units)])
            .unwrap();
        let bytes = world.domain.system(id).unwrap().defined.memory_bytes();
        assert_eq!(bytes, Some(mebibytes << 20), "{quantity} {units}");
    }
    // Before there was VirtualQuantityUnits, AllocationUnits said it.
    let old = AllocationChange {
        kind: Some(ResourceKind::Memory),
        quantity: Patch::Set(32768),
        allocation_units: Patch::Set("KiloBytes".into()),
        ..AllocationChange::default()
    };
    let mut world = World::new();
    let id = world.define_with(bootable(), vec![old]).unwrap();
    let bytes = world.domain.system(id).unwrap().defined.memory_bytes();
    assert_eq!(bytes, Some(32 << 20));
}

/// Each is refused with these words, and leaves nothing behind.
#[test]
fn wrong_definitions_are_refused_with_a_sentence() {
    let with = |change: fn(&mut DefinitionChange)| {
        let mut settings = bootable();
        change(&mut settings);
        settings
    };
    let processor = |change: fn(&mut AllocationChange)| {
        let mut allocation = processors(2);
        change(&mut allocation);
        vec![allocation]
    };
    let image = |name: &str| Patch::Set(ImageName::new(name).unwrap());
    let mut missing = bootable();
    missing.kernel = image("nothing");
    let cases: Vec<(DefinitionChange, Vec<AllocationChange>, &str)> = vec![
        (missing, vec![], "There is no image nothing"),
        (
            with(|s| s.name = Patch::Set(String::new())),
            vec![],
            "1 to 256 characters",
        ),
        (
            with(|s| s.system_type = Patch::Set("DMTF:KVM".into())),
            vec![],
            "Give \"BH:PC-1\" or NULL",
        ),
        (
            with(|s| s.command_line = Patch::Set("x".repeat(3000))),
            vec![],
            "at most 2047 bytes",
        ),
        (
            with(|s| s.load_address = Patch::Set(4096)),
            vec![],
            "set BootFormat to \"flat\"",
        ),
        (
            bootable(),
            vec![memory(2000, "byte*2^20")],
            "more than the 1024 MiB",
        ),
        (
            bootable(),
            vec![memory(2, "byte*2^20")],
            "Ask for at least 16 MiB",
        ),
        (
            bootable(),
            vec![memory(100, "byte*10^6")],
            "Give 94 or 96 in units of \"byte*2^20\"",
        ),
        (
            bootable(),
            vec![memory(u64::MAX, "byte*2^20")],
            "no number of bytes that fits",
        ),
        (
            bootable(),
            vec![memory(64, "KiloMeters")],
            "\"KiloMeters\" is no unit",
        ),
        (bootable(), vec![memory(64, "percent")], "does not measure"),
        (
            bootable(),
            vec![memory(64, "byte*2^20"), memory(64, "byte*2^20")],
            "exactly one allocation of memory",
        ),
        (bootable(), vec![processors(9)], "Give 1 to 8"),
        (bootable(), vec![processors(0)], "Give 1 to 8"),
        (
            bootable(),
            processor(|a| a.limit = Patch::Set(201)),
            "Give 1 to 200 percent",
        ),
        (
            bootable(),
            processor(|a| a.reservation = Patch::Set(201)),
            "Give 0 to 180 percent",
        ),
        (
            bootable(),
            processor(|a| a.weight = Patch::Set(0)),
            "Give 1 to 10000",
        ),
        (
            bootable(),
            processor(|a| a.sockets = Patch::Set(3)),
            "make 3 processors, and VirtualQuantity is 2",
        ),
        (
            bootable(),
            processor(|a| a.pool = Patch::Set("x".into())),
            "Give \"processor/primordial\", the PoolID of one of its child pools, or NULL",
        ),
        (
            bootable(),
            vec![AllocationChange::default()],
            "does not say which kind",
        ),
        (
            bootable(),
            vec![console(ConsoleKind::Serial), console(ConsoleKind::Serial)],
            "A system has one serial port",
        ),
    ];
    for (settings, allocations, words) in cases {
        let mut world = World::new();
        let problem = world.define_with(settings, allocations).unwrap_err();
        let text = problem.to_string();
        assert_eq!(problem.kind, ProblemKind::Invalid, "{text}");
        assert!(text.contains(words), "{text}");
        assert_eq!(world.domain.systems().count(), 0, "{text}");
        assert_eq!(world.notices(), [], "{text}");
        assert_eq!(world.keep.names(), [""; 0], "{text}");
    }
}

#[test]
fn problems_name_the_place_in_the_request() {
    let mut world = World::new();
    let allocations = vec![processors(1), memory(99999, "MegaBytes")];
    let problem = world.define_with(bootable(), allocations).unwrap_err();
    assert_eq!(problem.place, "ResourceSettings[1].VirtualQuantity");
}

#[test]
fn shares_of_processors_have_units() {
    for (amount, units, percent) in [
        (50, "percent", 50),
        (1, "count", 100),
        (500, "hertz * 10^6", 50),
    ] {
        let mut world = World::new();
        let allocation = AllocationChange {
            reservation: Patch::Set(amount),
            allocation_units: Patch::Set(units.into()),
            ..processors(2)
        };
        let id = world.define_with(bootable(), vec![allocation]).unwrap();
        let system = world.domain.system(id).unwrap();
        let found = system
            .defined
            .allocations
            .iter()
            .find_map(|known| match &known.resource {
                Resource::Processor(settings) => settings.reservation,
                _ => None,
            });
        assert_eq!(found, Some(percent), "{amount} {units}");
    }
}

#[test]
fn a_topology_decides_the_number_of_processors() {
    let mut world = World::new();
    let allocation = AllocationChange {
        kind: Some(ResourceKind::Processor),
        sockets: Patch::Set(2),
        cores: Patch::Set(2),
        ..AllocationChange::default()
    };
    let id = world.define_with(bootable(), vec![allocation]).unwrap();
    let resolved = world
        .domain
        .resolved(&world.domain.system(id).unwrap().defined);
    assert_eq!(resolved.processors(), Some(4));
    assert_eq!(
        Topology {
            sockets: 2,
            cores: 2,
            threads: 1
        }
        .count(),
        resolved.processors()
    );
}

#[test]
fn changes_are_all_or_nothing() {
    let mut world = World::new();
    let (one, two) = (world.define(), world.define());
    let memory_of = |id| {
        move |world: &World| {
            let system = world.domain.system(id).unwrap();
            let mut known = system.defined.allocations.iter();
            known
                .find(|known| known.resource.kind() == ResourceKind::Memory)
                .unwrap()
                .id
        }
    };
    let (first, second) = (memory_of(one)(&world), memory_of(two)(&world));
    let mut new = placed(vec![memory(64, "byte*2^20"), memory(4096, "byte*2^20")]).into_iter();
    let changes = vec![
        (one, first, new.next().unwrap()),
        (two, second, new.next().unwrap()),
    ];
    assert!(world.domain.modify_allocations(changes).is_err());
    assert_eq!(
        world.domain.system(one).unwrap().defined.memory_bytes(),
        None
    );
    // The store fails at the second write: the first is taken back.
    let mut new = placed(vec![memory(64, "byte*2^20"), memory(64, "byte*2^20")]).into_iter();
    let changes = vec![
        (one, first, new.next().unwrap()),
        (two, second, new.next().unwrap()),
    ];
    *world.keep.left.borrow_mut() = Some(1);
    let problem = world.domain.modify_allocations(changes).unwrap_err();
    assert_eq!(problem.kind, ProblemKind::Store);
    *world.keep.left.borrow_mut() = None;
    assert_eq!(
        world.domain.system(two).unwrap().defined.memory_bytes(),
        None
    );
}

#[test]
fn allocations_are_added_and_removed_and_their_numbers_are_not_used_again() {
    let mut world = World::new();
    let id = world.define();
    let new = placed(vec![console(ConsoleKind::Virtio)]);
    let added = world.domain.add_allocations(id, new).unwrap();
    assert_eq!(added, [AllocationId(4)]);
    world.domain.remove_allocations(&[(id, added[0])]).unwrap();
    let new = placed(vec![console(ConsoleKind::Virtio)]);
    assert_eq!(
        world.domain.add_allocations(id, new).unwrap(),
        [AllocationId(5)]
    );
    let problem = world
        .domain
        .remove_allocations(&[(id, AllocationId(4))])
        .unwrap_err();
    assert_eq!(problem.kind, ProblemKind::NotFound);
    let problem = world
        .domain
        .remove_allocations(&[(id, AllocationId(1))])
        .unwrap_err();
    assert!(
        problem.to_string().contains("Modify the one that is there"),
        "{problem}"
    );
}

#[test]
fn a_reference_supplies_what_the_request_does_not_say() {
    let mut world = World::new();
    let settings = DefinitionChange {
        command_line: Patch::Set("quiet".into()),
        startup_delay: Patch::Set(Duration::from_secs(3)),
        format: Patch::Set(BootFormat::Linux),
        ..bootable()
    };
    let first = world
        .define_with(settings, vec![memory(64, "byte*2^20"), processors(4)])
        .unwrap();
    let now = world.now();
    let change = DefinitionChange {
        name: Patch::Set("copy".into()),
        ..DefinitionChange::default()
    };
    let new = placed(vec![processors(2)]);
    let copy = world.domain.define(change, new, Some(first), now).unwrap();
    let (first, copy) = (
        world.domain.system(first).unwrap(),
        world.domain.system(copy).unwrap(),
    );
    assert_eq!(copy.defined.name, "copy");
    assert_ne!(copy.defined.uuid, first.defined.uuid);
    assert_eq!(copy.defined.boot, first.defined.boot);
    assert_eq!(copy.defined.memory_bytes(), Some(64 << 20));
    assert_eq!(copy.defined.processors(), Some(2));
}

#[test]
fn identifiers_are_unique() {
    let mut world = World::new();
    let named = |identifier: &str| DefinitionChange {
        identifier: Patch::Set(identifier.into()),
        ..bootable()
    };
    let uuid = "0b5f2f6e-3a4c-4d1e-9f00-0123456789ab";
    let id = world.define_with(named(uuid), vec![]).unwrap();
    assert_eq!(
        world.domain.system(id).unwrap().defined.uuid.to_string(),
        uuid
    );
    let again = world.define_with(named(uuid), vec![]).unwrap_err();
    assert_eq!(again.kind, ProblemKind::Exists);
    world.define_with(named("web"), vec![]).unwrap();
    assert_eq!(
        world.define_with(named("web"), vec![]).unwrap_err().kind,
        ProblemKind::Exists
    );
}

#[test]
fn a_destroyed_system_leaves_nothing_and_its_number_is_not_used_again() {
    let mut world = World::new();
    let id = world.define();
    world.domain.destroy(id).unwrap();
    assert_eq!(world.domain.systems().count(), 0);
    assert_eq!(world.keep.names(), ["domain/next-system"]);
    assert!(matches!(
        world.notices().last(),
        Some(Notice::SystemDeleted(_))
    ));
    world.restart();
    assert_eq!(world.define(), SystemId(2));
    assert_eq!(
        world.domain.destroy(id).unwrap_err().kind,
        ProblemKind::NotFound
    );
}

#[test]
fn a_full_store_defines_nothing() {
    let mut world = World::new();
    for writes in 0..2 {
        *world.keep.left.borrow_mut() = Some(writes);
        let problem = world.define_with(bootable(), vec![]).unwrap_err();
        assert_eq!(problem.kind, ProblemKind::Store);
        assert_eq!(world.domain.systems().count(), 0);
        assert_eq!(world.notices(), []);
    }
}

#[test]
fn images_in_use_cannot_be_removed() {
    let mut world = World::new();
    let name = |text: &str| ImageName::new(text).unwrap();
    let id = world.define();
    let problem = world.domain.remove_image(&name("kernel")).unwrap_err();
    assert!(
        problem
            .to_string()
            .contains("in use by the system system-1"),
        "{problem}"
    );
    world.domain.destroy(id).unwrap();
    world.domain.remove_image(&name("kernel")).unwrap();
    let gone = world.domain.remove_image(&name("kernel")).unwrap_err();
    assert_eq!(gone.kind, ProblemKind::NotFound);
    let fixed = world.domain.remove_image(&name("initrd")).unwrap_err();
    assert!(fixed.to_string().contains("boot loader"), "{fixed}");
}
