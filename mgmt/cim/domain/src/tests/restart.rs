//! Restarts of the management partition, with systems that still run and without.

use super::fixture::{Told, World, bootable, memory, processors};
use crate::{
    Adopted, AdoptedState, AllocationChange, BootFormat, BootModule, ConsoleKind, Crash,
    DefinitionChange, Event, ImageName, Keep, Patch, RecoveryAction, Request, ShutdownAction,
    StartupAction, State, SystemId,
};
use std::time::Duration;

fn image(name: &str) -> ImageName {
    ImageName::new(name).unwrap()
}

#[test]
fn definitions_survive_with_everything_in_them() {
    let mut world = World::new();
    let settings = DefinitionChange {
        name: Patch::Set("back\\slash\u{e9}".into()),
        identifier: Patch::Set("web".into()),
        system_type: Patch::Set("BH:PC-1".into()),
        description: Patch::Set("two\nlines\r\\n".into()),
        notes: Patch::Set(vec![String::new(), "a b".into()]),
        startup: Patch::Set(StartupAction::IfActive),
        startup_delay: Patch::Set(Duration::from_micros(1_500_001)),
        startup_sequence: Patch::Set(9),
        shutdown: Patch::Set(ShutdownAction::TurnOff),
        recovery: Patch::Set(RecoveryAction::Restart),
        command_line: Patch::Set("console=ttyS0  quiet ".into()),
        format: Patch::Set(BootFormat::Multiboot2),
        modules: Patch::Set(vec![BootModule {
            image: image("module"),
            arguments: "x \n y".into(),
        }]),
        initrd: Patch::Set(image("initrd")),
        ..bootable()
    };
    let processors = AllocationChange {
        name: Patch::Set("four".into()),
        pool: Patch::Set("processor/primordial".into()),
        reservation: Patch::Set(10),
        limit: Patch::Set(350),
        weight: Patch::Set(7),
        sockets: Patch::Set(2),
        cores: Patch::Set(2),
        ..processors(4)
    };
    let consoles = [ConsoleKind::Serial, ConsoleKind::Virtio].map(super::fixture::console);
    let entropy = AllocationChange {
        kind: Some(crate::ResourceKind::Entropy),
        ..AllocationChange::default()
    };
    let mut allocations = vec![processors, memory(64, "byte*2^20"), entropy];
    allocations.extend(consoles);
    let id = world.define_with(settings, allocations).unwrap();
    let bare = world
        .define_with(DefinitionChange::default(), vec![])
        .unwrap();
    let before = [id, bare].map(|id| world.domain.system(id).unwrap().defined.clone());
    assert_eq!(world.restart(), []);
    let after = [id, bare].map(|id| world.domain.system(id).unwrap().defined.clone());
    assert_eq!(before, after);
    assert_eq!(world.define(), SystemId(3));
}

#[test]
fn running_systems_are_adopted_as_they_were_started() {
    let mut world = World::new();
    let (one, two) = (world.running(), world.running());
    let change = DefinitionChange {
        name: Patch::Set("renamed".into()),
        ..DefinitionChange::default()
    };
    world.domain.modify(one, change).unwrap();
    let adopted = |system, state| Adopted { system, state };
    world.machine.0.borrow_mut().adopted = vec![
        adopted(one, AdoptedState::Running),
        adopted(two, AdoptedState::Paused),
    ];
    world.restart();
    assert_eq!(world.machine.0.borrow().known, [one, two]);
    assert_eq!(world.state(one), State::Running);
    assert_eq!(world.state(two), State::Paused);
    assert_eq!(world.reserved(), (512, 0));
    let system = world.domain.system(one).unwrap();
    assert_eq!(system.active.as_ref().unwrap().name, "system-1");
    assert_eq!(system.defined.name, "renamed");
    world.event(one, Event::PoweredOff);
    world.event(two, Event::PoweredOff);
    assert_eq!(world.reserved(), (0, 0));
}

#[test]
fn adopted_systems_that_have_crashed_are_taken_down() {
    let mut world = World::new();
    let id = world.running();
    let crash = Crash {
        reason: "triple fault".into(),
        record: String::new(),
    };
    world.machine.0.borrow_mut().adopted = vec![Adopted {
        system: id,
        state: AdoptedState::Crashed(crash),
    }];
    world.machine.0.borrow_mut().told.clear();
    world.reopen();
    assert_eq!(world.state(id), State::Crashing);
    assert_eq!(world.told(), [Told::Stop(id)]);
}

#[test]
fn systems_that_nobody_knows_are_stopped() {
    let mut world = World::new();
    world.machine.0.borrow_mut().adopted = vec![Adopted {
        system: SystemId(42),
        state: AdoptedState::Running,
    }];
    world.reopen();
    assert_eq!(world.told(), [Told::Stop(SystemId(42))]);
    assert_eq!(world.domain.systems().count(), 0);
}

#[test]
fn systems_start_with_the_host_in_order_and_after_their_delay() {
    let mut world = World::new();
    let with = |world: &mut World, action, sequence, delay| {
        let change = DefinitionChange {
            startup: Patch::Set(action),
            startup_sequence: Patch::Set(sequence),
            startup_delay: Patch::Set(Duration::from_secs(delay)),
            ..bootable()
        };
        world
            .define_with(change, vec![memory(16, "byte*2^20")])
            .unwrap()
    };
    let last = with(&mut world, StartupAction::Always, 2, 0);
    let first = with(&mut world, StartupAction::Always, 1, 0);
    let late = with(&mut world, StartupAction::Always, 0, 10);
    let was_on = with(&mut world, StartupAction::IfActive, 3, 0);
    let was_off = with(&mut world, StartupAction::IfActive, 3, 0);
    let never = with(&mut world, StartupAction::None, 0, 0);
    for id in [was_on, never] {
        world.ask(id, Request::Enable).unwrap();
        world.event(id, Event::Started);
    }
    world.restart();
    world.wait(0);
    let started: Vec<SystemId> = world
        .told()
        .into_iter()
        .filter_map(|told| match told {
            Told::Start(id, _) => Some(id),
            _ => None,
        })
        .collect();
    assert_eq!(started, [first, last, was_on]);
    assert_eq!(world.state(was_off), State::Off);
    assert_eq!(world.state(never), State::Off);
    world.wait(10);
    assert_eq!(world.state(late), State::Starting);
}

#[test]
fn nothing_starts_with_the_host_when_only_management_has_started_again() {
    let mut world = World::new();
    let change = DefinitionChange {
        startup: Patch::Set(StartupAction::Always),
        ..bootable()
    };
    let off = world
        .define_with(change, vec![memory(16, "byte*2^20")])
        .unwrap();
    world.machine.0.borrow_mut().was_up = true;
    world.restart();
    world.wait(60);
    assert_eq!(world.state(off), State::Off);
}

#[test]
fn a_definition_that_cannot_be_read_is_left_alone() {
    let mut world = World::new();
    let good = world.define();
    let names = ["domain/system/00000000000000000007", "domain/system/x"];
    for name in names {
        world
            .keep
            .put(name, b"bulkhead-definition 2\nname x\n")
            .unwrap();
    }
    let problems = world.restart();
    assert_eq!(problems.len(), 1);
    assert!(
        problems[0].to_string().contains("system 7"),
        "{}",
        problems[0]
    );
    assert!(world.domain.system(good).is_some());
    assert!(world.keep.names().contains(&names[0].to_string()));
    assert_eq!(world.define(), SystemId(8), "the number stays taken");
}

#[test]
fn what_a_half_destroyed_system_left_is_removed() {
    let mut world = World::new();
    let active = "domain/active/00000000000000000009";
    world.keep.put(active, b"x").unwrap();
    world.restart();
    assert_eq!(world.keep.names(), [""; 0]);
}
