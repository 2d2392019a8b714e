//! The orderly stop of the host.

use super::fixture::{Told, World, bootable};
use crate::{
    DefinitionChange, Event, HostEnd, HostRequest, JobId, JobState, MachineError, Manner, Notice,
    Patch, ProblemKind, Request, ShutdownAction, StartupAction, State, SystemId, TimeLimit,
};
use std::time::Duration;

const ORDERLY: HostRequest = HostRequest {
    end: HostEnd::PowerOff,
    manner: Manner::Orderly,
};
const AT_ONCE: HostRequest = HostRequest {
    end: HostEnd::Restart,
    manner: Manner::AtOnce,
};

impl World {
    fn stop_host(&mut self, request: HostRequest) -> JobId {
        let now = self.now();
        let limit = TimeLimit::Default;
        self.domain.request_host(request, limit, now).unwrap()
    }

    /// A running system with this place in the start order, which ends so.
    fn running_as(&mut self, sequence: u16, action: ShutdownAction) -> SystemId {
        let change = DefinitionChange {
            startup_sequence: Patch::Set(sequence),
            shutdown: Patch::Set(action),
            startup: Patch::Set(StartupAction::IfActive),
            ..bootable()
        };
        let id = self.define_with(change, vec![]).unwrap();
        self.ask(id, Request::Enable).unwrap();
        self.event(id, Event::Started);
        self.told();
        id
    }

    fn job_state(&self, id: JobId) -> JobState {
        self.domain.job(id).unwrap().state.clone()
    }
}

#[test]
fn systems_end_in_the_reverse_of_their_start_and_then_the_machine() {
    use ShutdownAction::{ShutDown, TurnOff};
    let mut world = World::new();
    let first = world.running_as(1, ShutDown);
    let last = world.running_as(7, TurnOff);
    let also_last = world.running_as(7, ShutDown);
    let job = world.stop_host(ORDERLY);
    assert_eq!(
        world.told(),
        [Told::Stop(last), Told::PowerButton(also_last)]
    );
    world.event(last, Event::PoweredOff);
    world.wait(1);
    assert_eq!(
        world.told(),
        [],
        "the other one with this number is still on"
    );
    world.event(also_last, Event::PoweredOff);
    assert_eq!(world.told(), [Told::PowerButton(first)]);
    assert_eq!(world.domain.job(job).unwrap().percent, 66);
    world.event(first, Event::PoweredOff);
    assert_eq!(world.told(), [Told::EndHost(HostEnd::PowerOff)]);
    assert_eq!(world.job_state(job), JobState::Completed);
    world.wait(1000);
    assert_eq!(world.told(), []);
    // They were on when the host stopped: so they start with it.
    world.restart();
    world.wait(0);
    let started: Vec<_> = world.told();
    assert!(
        matches!(&started[..], [Told::Start(a, _), Told::Start(b, _), Told::Start(c, _)]
            if [*a, *b, *c] == [first, last, also_last]),
        "{started:?}"
    );
}

#[test]
fn without_systems_the_machine_ends_at_once() {
    let mut world = World::new();
    let off = world.define();
    world.notices();
    let job = world.stop_host(AT_ONCE);
    assert_eq!(world.told(), [Told::EndHost(HostEnd::Restart)]);
    assert_eq!(world.job_state(job), JobState::Completed);
    let notices = world.notices();
    let told = |notice: &Notice| matches!(notice, Notice::HostModified { before: None, .. });
    assert!(notices.iter().any(told), "{notices:?}");
    assert_eq!(world.state(off), State::Off);
}

#[test]
fn a_deaf_guest_is_turned_off_when_its_time_is_over() {
    let mut world = World::new();
    let deaf = world.running_as(0, ShutdownAction::ShutDown);
    let job = world.stop_host(ORDERLY);
    assert_eq!(world.told(), [Told::PowerButton(deaf)]);
    assert_eq!(world.domain.next_tick(), Some(Duration::from_secs(120)));
    world.wait(119);
    assert_eq!(world.told(), []);
    world.wait(1);
    assert_eq!(world.told(), [Told::Stop(deaf)]);
    assert_eq!(world.state(deaf), State::Stopping);
    world.event(deaf, Event::PoweredOff);
    assert_eq!(world.told(), [Told::EndHost(HostEnd::PowerOff)]);
    assert_eq!(world.job_state(job), JobState::Completed);
}

#[test]
fn a_client_with_little_patience_has_what_is_left_turned_off() {
    let mut world = World::new();
    let first = world.running_as(1, ShutdownAction::ShutDown);
    let second = world.running_as(2, ShutdownAction::ShutDown);
    let limit = TimeLimit::Within(Duration::from_secs(10));
    let now = world.now();
    world.domain.request_host(ORDERLY, limit, now).unwrap();
    assert_eq!(world.told(), [Told::PowerButton(second)]);
    world.wait(10);
    assert_eq!(world.told(), [Told::Stop(first), Told::Stop(second)]);
}

#[test]
fn nothing_starts_while_the_host_stops_and_only_haste_changes_that() {
    let mut world = World::new();
    let on = world.running_as(0, ShutdownAction::ShutDown);
    let off = world.define();
    let job = world.stop_host(ORDERLY);
    let refused = world.ask(off, Request::Enable).unwrap_err();
    assert_eq!(
        (refused.kind, refused.id),
        (ProblemKind::Busy, "BH-HOST-STOPS")
    );
    assert!(world.ask(on, Request::Reset).is_err());
    let now = world.now();
    let again = world.domain.request_host(ORDERLY, TimeLimit::Default, now);
    assert_eq!(again.unwrap_err().kind, ProblemKind::Busy);
    world.told();
    let haste = world.stop_host(AT_ONCE);
    assert!(matches!(world.job_state(job), JobState::Failed(_)));
    assert_eq!(world.told(), [Told::Stop(on)]);
    world.event(on, Event::PoweredOff);
    assert_eq!(world.told(), [Told::EndHost(HostEnd::Restart)]);
    assert_eq!(world.job_state(haste), JobState::Completed);
}

#[test]
fn a_paused_guest_goes_on_to_hear_its_power_button_and_one_that_loads_is_turned_off() {
    let mut world = World::new();
    let paused = world.running_as(0, ShutdownAction::ShutDown);
    world.ask(paused, Request::Pause).unwrap();
    world.event(paused, Event::Paused);
    let starting = world.define();
    world.ask(starting, Request::Enable).unwrap();
    world.told();
    world.stop_host(ORDERLY);
    assert_eq!(world.told(), [Told::Resume(paused), Told::Stop(starting)]);
    world.event(paused, Event::Resumed);
    assert_eq!(world.told(), [Told::PowerButton(paused)]);
}

#[test]
fn a_system_that_was_about_to_reboot_or_to_recover_stays_off() {
    let mut world = World::new();
    let rebooting = world.running_as(0, ShutdownAction::ShutDown);
    world.ask(rebooting, Request::Reboot).unwrap();
    let crashed = world.running_as(0, ShutdownAction::ShutDown);
    world.told();
    world.stop_host(ORDERLY);
    world.event(rebooting, Event::PoweredOff);
    let crash = crate::Crash {
        reason: "test".into(),
        record: String::new(),
    };
    world.event(crashed, Event::Crashed(crash));
    world.event(crashed, Event::PoweredOff);
    assert_eq!(world.state(rebooting), State::Off);
    assert_eq!(world.state(crashed), State::Crashed);
    let told = world.told();
    assert_eq!(
        told.last(),
        Some(&Told::EndHost(HostEnd::PowerOff)),
        "{told:?}"
    );
    assert!(
        !told.iter().any(|told| matches!(told, Told::Start(..))),
        "{told:?}"
    );
}

#[test]
fn a_system_that_cannot_be_turned_off_does_not_keep_the_host_up() {
    let mut world = World::new();
    let stuck = world.running_as(0, ShutdownAction::TurnOff);
    world.stop_host(ORDERLY);
    assert_eq!(world.told(), [Told::Stop(stuck)]);
    world.wait(60);
    let told = world.told();
    assert_eq!(
        told.last(),
        Some(&Told::EndHost(HostEnd::PowerOff)),
        "{told:?}"
    );
}

#[test]
fn a_machine_that_does_not_end_goes_on() {
    let mut world = World::new();
    let on = world.running_as(0, ShutdownAction::TurnOff);
    let job = world.stop_host(ORDERLY);
    world.machine.0.borrow_mut().refusal = Some(MachineError::Failed("It is welded".into()));
    world.event(on, Event::PoweredOff);
    let JobState::Failed(problem) = world.job_state(job) else {
        panic!("the job has failed");
    };
    assert!(problem.what.contains("welded"), "{problem}");
    assert!(world.domain.host_stop().is_none());
    assert!(
        !world
            .keep
            .names()
            .iter()
            .any(|name| name.contains("active"))
    );
    world.machine.0.borrow_mut().refusal = None;
    world.ask(on, Request::Enable).unwrap();
}
