//! Crashes.

use super::fixture::{Told, World, bootable};
use crate::{
    Crash, DefinitionChange, Event, JobState, LastEnd, MachineError, Patch, ProblemKind,
    RecoveryAction, Request, Requested, State, SystemId,
};

fn crash() -> Event {
    Event::Crashed(Crash {
        reason: "triple fault".into(),
        record: "rip 0".into(),
    })
}

fn restarting(world: &mut World) -> SystemId {
    let change = DefinitionChange {
        recovery: Patch::Set(RecoveryAction::Restart),
        ..bootable()
    };
    let id = world.define_with(change, vec![]).unwrap();
    world.ask(id, Request::Enable).unwrap();
    world.event(id, Event::Started);
    id
}

#[test]
fn a_crashed_system_is_taken_down_and_says_why() {
    let mut world = World::new();
    let id = world.running();
    world.told();
    world.event(id, crash());
    assert_eq!(world.state(id), State::Crashing);
    assert_eq!(world.told(), [Told::Stop(id)]);
    assert_eq!(
        world.reserved(),
        (256, 0),
        "until the machine says that it is down"
    );
    world.event(id, Event::PoweredOff);
    assert_eq!(world.state(id), State::Crashed);
    assert_eq!(world.reserved(), (0, 0));
    let end = world.domain.system(id).unwrap().last_end.clone();
    assert!(matches!(end, Some(LastEnd::Crashed(crash)) if crash.reason == "triple fault"));
    world.wait(1000);
    assert_eq!(
        world.state(id),
        State::Crashed,
        "nobody asked for a restart"
    );
    assert_eq!(world.ask(id, Request::Disable), Ok(Requested::Done));
    assert_eq!(world.state(id), State::Off);
    world.ask(id, Request::Enable).unwrap();
}

#[test]
fn a_crash_fails_the_job_that_was_under_way() {
    let mut world = World::new();
    let id = world.running();
    let Ok(Requested::Job(job)) = world.ask(id, Request::ShutDown) else {
        panic!("a job");
    };
    world.event(id, crash());
    let JobState::Failed(problem) = &world.domain.job(job).unwrap().state else {
        panic!("it failed");
    };
    assert_eq!(problem.kind, ProblemKind::Guest);
    assert!(problem.to_string().contains("triple fault"), "{problem}");
}

#[test]
fn a_machine_that_is_busy_is_asked_again_to_take_a_crashed_system_down() {
    let mut world = World::new();
    let id = world.running();
    world.told();
    world.machine.0.borrow_mut().refusal = Some(MachineError::Busy("not now".into()));
    world.event(id, crash());
    world.machine.0.borrow_mut().refusal = None;
    assert_eq!(world.told(), []);
    world.wait(1);
    assert_eq!(world.told(), [Told::Stop(id)]);
}

#[test]
fn restarts_after_crashes_come_later_and_later() {
    let mut world = World::new();
    let id = restarting(&mut world);
    for delay in [1, 2, 4, 8] {
        world.event(id, crash());
        world.event(id, Event::PoweredOff);
        world.wait(delay - 1);
        assert_eq!(world.state(id), State::Crashed, "{delay}");
        world.wait(1);
        assert_eq!(world.state(id), State::Starting, "{delay}");
        world.event(id, Event::Started);
    }
    // A minute without a crash, and the count begins anew.
    world.wait(60);
    world.event(id, crash());
    world.event(id, Event::PoweredOff);
    world.wait(1);
    assert_eq!(world.state(id), State::Starting);
}

#[test]
fn a_client_ends_the_restarts() {
    let mut world = World::new();
    let id = restarting(&mut world);
    world.event(id, crash());
    world.event(id, Event::PoweredOff);
    assert_eq!(world.ask(id, Request::Disable), Ok(Requested::Done));
    world.wait(100);
    assert_eq!(world.state(id), State::Off);
}
