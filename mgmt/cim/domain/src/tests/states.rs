//! Every transition, with its job, its order to the machine, and the book-keeping.

use super::fixture::{Told, World, bootable, memory, processors};
use crate::{
    Crash, DefinitionChange, Event, JobId, JobState, LastEnd, MachineError, Notice, Problem,
    ProblemKind, Request, Requested, StartFailure, State, SystemId,
};

fn job(answer: Result<Requested, Problem>) -> JobId {
    match answer.unwrap() {
        Requested::Job(id) => id,
        Requested::Done => panic!("a job was expected"),
    }
}

fn state_of(world: &World, id: JobId) -> JobState {
    world.domain.job(id).unwrap().state.clone()
}

#[test]
fn a_start_takes_what_it_needs_and_ends_with_the_machine_s_word() {
    let mut world = World::new();
    let id = world
        .define_with(bootable(), vec![memory(100, "byte*2^20"), processors(2)])
        .unwrap();
    let start = job(world.ask(id, Request::Enable));
    assert_eq!(world.state(id), State::Starting);
    assert_eq!(world.reserved(), (100, 0));
    let told = world.told();
    let [Told::Start(told_id, order)] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!(*told_id, id);
    assert_eq!(order.memory_bytes, 100 << 20);
    assert_eq!((order.processors.count, order.processors.limit), (2, 200));
    assert_eq!(order.boot.kernel.as_str(), "kernel");
    world.event(id, Event::Progress(40));
    assert_eq!(world.domain.job(start).unwrap().percent, 40);
    world.event(id, Event::Started);
    assert_eq!(world.state(id), State::Running);
    assert_eq!(state_of(&world, start), JobState::Completed);
    assert_eq!(world.domain.job(start).unwrap().percent, 100);
    assert_eq!(
        world.domain.system(id).unwrap().requested,
        Some(Request::Enable)
    );
}

#[test]
fn turning_off_gives_everything_back_when_the_machine_says_so() {
    let mut world = World::new();
    let id = world.running();
    let off = job(world.ask(id, Request::Disable));
    assert_eq!(world.state(id), State::Stopping);
    assert_eq!(world.reserved(), (256, 0));
    world.event(id, Event::PoweredOff);
    assert_eq!(world.state(id), State::Off);
    assert_eq!(world.reserved(), (0, 0));
    assert_eq!(state_of(&world, off), JobState::Completed);
    assert_eq!(world.domain.system(id).unwrap().active, None);
}

#[test]
fn pausing_and_going_on() {
    let mut world = World::new();
    let id = world.running();
    let pause = job(world.ask(id, Request::Pause));
    assert_eq!(world.state(id), State::Pausing);
    world.event(id, Event::Paused);
    assert_eq!(world.state(id), State::Paused);
    assert_eq!(state_of(&world, pause), JobState::Completed);
    assert_eq!(world.ask(id, Request::Pause), Ok(Requested::Done));
    assert_eq!(world.reserved(), (256, 0));
    let resume = job(world.ask(id, Request::Enable));
    world.event(id, Event::Resumed);
    assert_eq!(world.state(id), State::Running);
    assert_eq!(state_of(&world, resume), JobState::Completed);
    world.told();
    world.ask(id, Request::Pause).unwrap();
    world.event(id, Event::Paused);
    job(world.ask(id, Request::Disable));
    world.event(id, Event::PoweredOff);
    assert_eq!(world.state(id), State::Off);
    assert_eq!(world.told(), [Told::Pause(id), Told::Stop(id)]);
}

#[test]
fn a_shut_down_waits_for_the_guest() {
    let mut world = World::new();
    let id = world.running();
    world.told();
    let down = job(world.ask(id, Request::ShutDown));
    assert_eq!(world.told(), [Told::PowerButton(id)]);
    assert_eq!(world.state(id), State::ShuttingDown);
    world.event(id, Event::PoweredOff);
    assert_eq!(world.state(id), State::Off);
    assert_eq!(state_of(&world, down), JobState::Completed);
    assert_eq!(
        world.domain.system(id).unwrap().requested,
        Some(Request::ShutDown)
    );
}

#[test]
fn a_guest_that_ignores_its_power_button_goes_on_running() {
    let mut world = World::new();
    let id = world.running();
    let down = job(world.ask(id, Request::ShutDown));
    world.wait(299);
    assert_eq!(world.state(id), State::ShuttingDown);
    world.wait(1);
    assert_eq!(world.state(id), State::Running);
    let JobState::Failed(problem) = state_of(&world, down) else {
        panic!("it failed");
    };
    assert_eq!(problem.kind, ProblemKind::TimedOut);
    assert!(
        problem.to_string().contains("within 300 seconds"),
        "{problem}"
    );
    // Turning it off while it shuts down ends the waiting.
    let down = job(world.ask(id, Request::ShutDown));
    job(world.ask(id, Request::Disable));
    assert!(matches!(state_of(&world, down), JobState::Failed(_)));
}

#[test]
fn a_reboot_is_a_shut_down_and_a_start_in_one_job() {
    let mut world = World::new();
    let id = world.running();
    world.told();
    let reboot = job(world.ask(id, Request::Reboot));
    world.event(id, Event::PoweredOff);
    assert_eq!(world.state(id), State::Starting);
    let told = world.told();
    assert!(
        matches!(&told[..], [Told::PowerButton(_), Told::Start(..)]),
        "{told:?}"
    );
    assert_eq!(state_of(&world, reboot), JobState::Running);
    world.event(id, Event::Started);
    assert_eq!(state_of(&world, reboot), JobState::Completed);
    assert_eq!(world.reserved(), (256, 0));
}

#[test]
fn a_guest_that_restarts_itself_satisfies_a_reboot_but_not_a_shut_down() {
    for (request, satisfied) in [(Request::Reboot, true), (Request::ShutDown, false)] {
        let mut world = World::new();
        let id = world.running();
        let waiting = job(world.ask(id, request));
        world.event(id, Event::Resetting);
        assert_eq!(world.state(id), State::Resetting);
        world.event(id, Event::ResetDone);
        assert_eq!(world.state(id), State::Running);
        assert_eq!(state_of(&world, waiting) == JobState::Completed, satisfied);
    }
}

#[test]
fn a_reset_keeps_the_memory() {
    let mut world = World::new();
    let id = world.running();
    let reset = job(world.ask(id, Request::Reset));
    assert_eq!(world.state(id), State::Resetting);
    assert_eq!(world.reserved(), (256, 0));
    world.event(id, Event::ResetDone);
    assert_eq!(world.state(id), State::Running);
    assert_eq!(state_of(&world, reset), JobState::Completed);
}

#[test]
fn a_guest_may_power_itself_off_at_any_time() {
    let mut world = World::new();
    let id = world.running();
    world.event(id, Event::PoweredOff);
    let system = world.domain.system(id).unwrap();
    assert_eq!(system.state, State::Off);
    assert_eq!(system.requested, None);
    assert_eq!(system.last_end, Some(LastEnd::PoweredOff));
    assert_eq!(world.reserved(), (0, 0));
}

#[test]
fn a_start_that_fails_gives_everything_back_and_says_why() {
    for (failure, kind) in [
        (
            StartFailure::Image("no kernel".into()),
            ProblemKind::Invalid,
        ),
        (
            StartFailure::Resources("no frames".into()),
            ProblemKind::Resources,
        ),
        (
            StartFailure::Machine("a fault".into()),
            ProblemKind::Machine,
        ),
    ] {
        let mut world = World::new();
        let id = world.define();
        let start = job(world.ask(id, Request::Enable));
        world.event(id, Event::StartFailed(failure.clone()));
        assert_eq!(world.state(id), State::Off);
        assert_eq!(world.reserved(), (0, 0));
        let JobState::Failed(problem) = state_of(&world, start) else {
            panic!("it failed");
        };
        assert_eq!(problem.kind, kind);
        assert!(
            problem.to_string().starts_with(&failure.to_string()),
            "{problem}"
        );
        let end = world.domain.system(id).unwrap().last_end.clone();
        assert_eq!(end, Some(LastEnd::NotStarted(failure.to_string())));
        assert_eq!(
            world
                .keep
                .names()
                .iter()
                .filter(|name| name.contains("active"))
                .count(),
            0
        );
    }
}

#[test]
fn a_start_that_cannot_begin_changes_nothing() {
    let mut world = World::new();
    let bare = world
        .define_with(DefinitionChange::default(), vec![])
        .unwrap();
    world.notices();
    let problem = world.ask(bare, Request::Enable).unwrap_err();
    assert!(problem.to_string().contains("names no kernel"), "{problem}");
    let id = world.define();
    let refuse = |world: &World, refusal| world.machine.0.borrow_mut().refusal = refusal;
    refuse(
        &world,
        Some(MachineError::Resources("No partition is left".into())),
    );
    world.notices();
    let problem = world.ask(id, Request::Enable).unwrap_err();
    assert_eq!(problem.kind, ProblemKind::Resources);
    refuse(&world, None);
    *world.keep.left.borrow_mut() = Some(0);
    assert_eq!(
        world.ask(id, Request::Enable).unwrap_err().kind,
        ProblemKind::Store
    );
    *world.keep.left.borrow_mut() = None;
    assert_eq!(world.state(id), State::Off);
    assert_eq!(world.reserved(), (0, 0));
    assert_eq!(world.notices(), []);
    assert_eq!(
        world
            .keep
            .names()
            .iter()
            .filter(|name| name.contains("active"))
            .count(),
        0
    );
}

#[test]
fn memory_is_not_promised_twice() {
    let mut world = World::new();
    let big = |world: &mut World| {
        world
            .define_with(bootable(), vec![memory(600, "byte*2^20")])
            .unwrap()
    };
    let (one, two) = (big(&mut world), big(&mut world));
    world.ask(one, Request::Enable).unwrap();
    let problem = world.ask(two, Request::Enable).unwrap_err();
    assert_eq!(problem.kind, ProblemKind::Resources);
    assert!(
        problem
            .to_string()
            .contains("needs 600 MiB of memory, and 424 MiB are left"),
        "{problem}"
    );
    assert_eq!(world.reserved(), (600, 0));
    world.event(one, Event::StartFailed(StartFailure::Machine("x".into())));
    world.ask(two, Request::Enable).unwrap();
}

#[test]
fn requests_that_do_not_fit_are_refused_by_kind() {
    let mut world = World::new();
    let id = world.define();
    for request in [Request::Pause, Request::Reboot, Request::Reset] {
        assert_eq!(world.ask(id, request).unwrap_err().kind, ProblemKind::State);
    }
    assert_eq!(world.ask(id, Request::Disable), Ok(Requested::Done));
    world.ask(id, Request::Enable).unwrap();
    assert_eq!(
        world.ask(id, Request::Pause).unwrap_err().kind,
        ProblemKind::Busy
    );
    assert_eq!(
        world.ask(SystemId(9), Request::Enable).unwrap_err().kind,
        ProblemKind::NotFound
    );
    let problem = world.domain.destroy(id).unwrap_err();
    assert_eq!(problem.kind, ProblemKind::State);
    assert!(problem.to_string().contains("is starting"), "{problem}");
}

#[test]
fn events_that_cannot_be_true_any_more_are_ignored() {
    let mut world = World::new();
    let id = world.define();
    world.notices();
    world.event(id, Event::Started);
    world.event(SystemId(77), Event::Started);
    assert_eq!(world.state(id), State::Off);
    assert_eq!(world.notices(), []);
    world.ask(id, Request::Enable).unwrap();
    world.ask(id, Request::Disable).unwrap();
    world.event(id, Event::Started);
    assert_eq!(world.state(id), State::Stopping);
    world.event(id, Event::PoweredOff);
    world.event(
        id,
        Event::Crashed(Crash {
            reason: "late".into(),
            record: String::new(),
        }),
    );
    assert_eq!(world.state(id), State::Off);
}

#[test]
fn each_change_is_told_once() {
    let mut world = World::new();
    let id = world.define();
    assert!(matches!(&world.notices()[..], [Notice::SystemCreated(_)]));
    world.ask(id, Request::Enable).unwrap();
    world.notices();
    world.event(id, Event::Started);
    let states: Vec<_> = world
        .notices()
        .into_iter()
        .filter_map(|notice| match notice {
            Notice::SystemModified { before, after } if before.state != after.state => {
                Some((before.state, after.state))
            }
            _ => None,
        })
        .collect();
    assert_eq!(states, [(State::Starting, State::Running)]);
    world.event(id, Event::Started);
    assert_eq!(world.notices(), []);
}

#[test]
fn five_hundred_cycles_leave_everything_as_it_was() {
    let mut world = World::new();
    let id = world.running();
    let (pools, names) = (world.domain.pools(), world.keep.names());
    for _ in 0..500 {
        let other = world.running();
        job(world.ask(other, Request::Disable));
        world.event(other, Event::PoweredOff);
        world.domain.destroy(other).unwrap();
    }
    assert_eq!(world.domain.pools(), pools);
    assert_eq!(world.keep.names(), names);
    assert_eq!(
        world
            .domain
            .systems()
            .map(|system| system.id)
            .collect::<Vec<_>>(),
        [id]
    );
    assert!(world.domain.jobs().count() <= 512);
    world.wait(300);
    assert_eq!(world.domain.jobs().count(), 0);
}
