//! The life of jobs.

use super::fixture::{Told, World};
use crate::{Event, JobState, Problem, ProblemKind, Request, Requested, State, TimeLimit};
use std::time::Duration;

#[test]
fn jobs_stay_for_a_while_after_their_end() {
    let mut world = World::new();
    let id = world.running();
    let job = world.domain.jobs().next().unwrap().id;
    world.wait(299);
    assert!(world.domain.job(job).is_some());
    world.wait(1);
    assert!(world.domain.job(job).is_none());
    world.ask(id, Request::Pause).unwrap();
    let job = world.domain.jobs().next().unwrap().id;
    world.domain.keep_job(job, Duration::from_secs(5)).unwrap();
    world.event(id, Event::Paused);
    assert_eq!(world.domain.next_tick(), Some(Duration::from_secs(305)));
    world.wait(5);
    assert!(world.domain.job(job).is_none());
    assert_eq!(world.domain.next_tick(), None);
}

#[test]
fn a_client_s_time_limit_counts() {
    let mut world = World::new();
    let id = world.running();
    let now = world.now();
    let limit = TimeLimit::Within(Duration::from_secs(7));
    let Ok(Requested::Job(job)) = world.domain.request(id, Request::ShutDown, limit, now) else {
        panic!("a job");
    };
    world.wait(7);
    let problem = world.domain.job(job).unwrap().problem().unwrap();
    assert!(
        problem.to_string().contains("within 7 seconds"),
        "{problem}"
    );
    assert_eq!(world.state(id), State::Running);
}

#[test]
fn only_waiting_for_a_guest_can_be_ended() {
    let mut world = World::new();
    let id = world.define();
    let Ok(Requested::Job(start)) = world.ask(id, Request::Enable) else {
        panic!("a job");
    };
    let now = world.now();
    assert_eq!(
        world.domain.terminate_job(start, now).unwrap_err().kind,
        ProblemKind::State
    );
    assert_eq!(
        world.domain.remove_job(start).unwrap_err().kind,
        ProblemKind::State
    );
    world.event(id, Event::Started);
    world.domain.remove_job(start).unwrap();
    let Ok(Requested::Job(down)) = world.ask(id, Request::ShutDown) else {
        panic!("a job");
    };
    world.domain.terminate_job(down, now).unwrap();
    assert_eq!(world.domain.job(down).unwrap().state, JobState::Terminated);
    assert_eq!(world.state(id), State::Running);
    assert!(world.domain.terminate_job(down, now).is_err());
}

#[test]
fn refusals_are_jobs_that_have_failed_and_do_not_pile_up() {
    let mut world = World::new();
    let id = world.define();
    let problem = Problem::new(ProblemKind::State, "BH-X", "No", "Do not");
    let now = world.now();
    for _ in 0..2000 {
        world.domain.refuse(Some(id), problem.clone(), now);
    }
    assert_eq!(world.domain.jobs().count(), 512);
    let last = world.domain.jobs().last().unwrap();
    assert_eq!(last.problem(), Some(&problem));
    assert_eq!(world.domain.system(id).unwrap().job, None);
}

#[test]
fn a_machine_that_does_not_turn_a_system_off_is_asked_again() {
    let mut world = World::new();
    let id = world.running();
    world.ask(id, Request::Disable).unwrap();
    world.told();
    world.wait(60);
    assert_eq!(world.told(), [Told::Stop(id)]);
    assert_eq!(world.state(id), State::Stopping);
    world.event(id, Event::PoweredOff);
    assert_eq!(world.state(id), State::Off);
}
