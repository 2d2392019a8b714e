//! What the machine reports.

use super::Domain;
use crate::definition::RecoveryAction;
use crate::event::{Crash, Event, StartFailure};
use crate::id::SystemId;
use crate::job::{JobKind, JobState};
use crate::now::Now;
use crate::problem::{Problem, ProblemKind};
use crate::record;
use crate::state::{Request, State};
use crate::system::LastEnd;
use alloc::collections::BTreeMap;
use alloc::string::ToString;
use core::time::Duration;

/// A system that has run this long before it crashed has not crashed because of its last restart.
const STABLE: Duration = Duration::from_secs(60);
/// How long the machine gets before it is asked again to take a crashed system down.
const AGAIN: Duration = Duration::from_secs(1);

impl Domain {
    /// Takes note of what the machine reports. Events about systems that do not exist, or that cannot be true any more,
    /// are ignored.
    pub fn event(&mut self, id: SystemId, event: Event, now: Now) {
        self.note(id, event, now);
        self.go_on_stopping(now);
    }

    fn note(&mut self, id: SystemId, event: Event, now: Now) {
        let Some(state) = self.systems.get(&id).map(|system| system.state) else {
            return;
        };
        if !state.is_active() {
            return;
        }
        let ending = matches!(state, State::Stopping | State::Crashing);
        match event {
            Event::PoweredOff => self.powered_off(id, state, now),
            Event::StartFailed(failure) => self.start_failed(id, failure, now),
            Event::Crashed(crash) if state != State::Crashing => self.crashed(id, crash, now),
            _ if ending => {}
            Event::Crashed(_) => {}
            Event::ProcessorsLeft => self.processors_left(id, now),
            Event::ProcessorsKept(why) => {
                let kept = JobState::Failed(Problem::new(
                    ProblemKind::Guest,
                    "BH-GUEST-KEEPS",
                    why,
                    "Ask again, or turn the system off and change its definition",
                ));
                self.end_job_of(id, &[JobKind::TakeProcessors], kept, now);
            }
            Event::Progress(percent) => {
                if let Some(job) = self.job_of(id).map(|job| job.id) {
                    self.alter_job(job, |job| job.percent = percent.min(99));
                }
            }
            Event::Started => {
                self.enter(id, State::Running, now);
                self.end_job_of(
                    id,
                    &[JobKind::Start, JobKind::Reboot],
                    JobState::Completed,
                    now,
                );
            }
            Event::Paused => {
                self.unasked_unless(id, Request::Pause);
                self.enter(id, State::Paused, now);
                self.end_job_of(id, &[JobKind::Pause], JobState::Completed, now);
            }
            Event::Resumed => {
                self.unasked_unless(id, Request::Enable);
                self.enter(id, State::Running, now);
                self.end_job_of(id, &[JobKind::Resume], JobState::Completed, now);
            }
            Event::Resetting => {
                self.unasked_unless(id, Request::Reset);
                self.enter(id, State::Resetting, now);
            }
            Event::ResetDone => {
                self.enter(id, State::Running, now);
                let done = [JobKind::Reset, JobKind::Reboot];
                self.end_job_of(id, &done, JobState::Completed, now);
                let other = JobState::Failed(Problem::new(
                    ProblemKind::Guest,
                    "BH-GUEST-RESTARTED",
                    "The guest restarted instead of powering off",
                    "Ask again, or ask for 3 (Disabled)",
                ));
                let waiting = [
                    JobKind::ShutDown,
                    JobKind::Pause,
                    JobKind::Resume,
                    JobKind::TakeProcessors,
                ];
                self.end_job_of(id, &waiting, other, now);
            }
        }
    }

    /// A change that nobody asked for leaves nothing asked for.
    fn unasked_unless(&mut self, id: SystemId, request: Request) {
        self.alter(id, |system| {
            let asked = [Some(request), Some(Request::Reboot)];
            if !asked.contains(&system.requested) {
                system.requested = None;
            }
        });
    }

    /// Gives back what a system held.
    fn release(&mut self, id: SystemId) {
        self.alter(id, |system| {
            system.stop_at = None;
            system.leaving = None;
            system.active = None;
        });
        let mut ledger = self.ledger.clone();
        ledger.give(id);
        // Others may use the processors that it owned; where they cannot now, they stay where they are.
        let _ = self.carry_out(&ledger, &BTreeMap::new());
        self.ledger = ledger;
        // A blob that stays only says that the system was on when the host went down.
        if !self.ends_with_host(id) {
            let _ = self.keep.remove(&record::active_name(id));
        }
    }

    fn powered_off(&mut self, id: SystemId, state: State, now: Now) {
        let recovery = self
            .systems
            .get(&id)
            .and_then(|system| system.active.as_ref());
        let recovery = recovery.and_then(|active| active.recovery);
        self.release(id);
        match state {
            State::Crashing => {
                self.enter(id, State::Crashed, now);
                if recovery == Some(RecoveryAction::Restart) && self.stop.is_none() {
                    self.alter(id, |system| {
                        let delay = Duration::from_secs(1 << system.recoveries.min(6));
                        system.recoveries = system.recoveries.saturating_add(1);
                        system.start_at = Some(now.monotonic.saturating_add(delay));
                    });
                }
                self.end_job_of(id, &[JobKind::TurnOff], JobState::Completed, now);
                return;
            }
            State::Stopping => {
                self.alter(id, |system| system.last_end = Some(LastEnd::TurnedOff));
            }
            _ => {
                self.alter(id, |system| {
                    system.last_end = Some(LastEnd::PoweredOff);
                    let asked = [Some(Request::ShutDown), Some(Request::Reboot)];
                    if !asked.contains(&system.requested) {
                        system.requested = None;
                    }
                });
            }
        }
        self.enter(id, State::Off, now);
        let rebooting = self.job_of(id).filter(|job| job.kind == JobKind::Reboot);
        if let Some(job) = rebooting.map(|job| job.id) {
            if let Err(problem) = self.begin_start(id, now) {
                self.end_job(job, JobState::Failed(problem), now);
            }
            return;
        }
        let done = [JobKind::TurnOff, JobKind::ShutDown];
        self.end_job_of(id, &done, JobState::Completed, now);
        let others = [
            JobKind::TakeProcessors,
            JobKind::Start,
            JobKind::Pause,
            JobKind::Resume,
            JobKind::Reset,
        ];
        let gone = Problem::new(
            ProblemKind::Guest,
            "BH-GUEST-OFF",
            "The guest powered itself off",
            "",
        );
        self.end_job_of(id, &others, JobState::Failed(gone), now);
    }

    fn start_failed(&mut self, id: SystemId, failure: StartFailure, now: Now) {
        let problem = match &failure {
            StartFailure::Resources(what) => Problem::new(
                ProblemKind::Resources,
                "BH-MACHINE-RESOURCES",
                what.clone(),
                "Turn another system off, or ask for less",
            ),
            StartFailure::Image(what) => Problem::new(
                ProblemKind::Invalid,
                "BH-IMAGE",
                what.clone(),
                "Name another image, or another BootFormat",
            ),
            StartFailure::Machine(what) => {
                Problem::new(ProblemKind::Machine, "BH-MACHINE", what.clone(), "")
            }
        };
        self.release(id);
        self.alter(id, |system| {
            system.last_end = Some(LastEnd::NotStarted(failure.to_string()));
            system.requested = None;
        });
        self.enter(id, State::Off, now);
        self.end_job_of(id, &[JobKind::TurnOff], JobState::Completed, now);
        if let Some(job) = self.job_of(id).map(|job| job.id) {
            self.end_job(job, JobState::Failed(problem), now);
        }
    }

    fn crashed(&mut self, id: SystemId, crash: Crash, now: Now) {
        let problem = Problem::new(
            ProblemKind::Guest,
            "BH-GUEST-CRASHED",
            alloc::format!("The guest crashed: {}", crash.reason),
            "",
        );
        self.alter(id, |system| {
            let ran = system
                .running_since
                .map(|since| now.monotonic.saturating_sub(since));
            if ran.is_some_and(|ran| ran >= STABLE) {
                system.recoveries = 0;
            }
            system.last_end = Some(LastEnd::Crashed(crash));
            system.requested = None;
        });
        self.enter(id, State::Crashing, now);
        let turning_off = self.job_of(id).filter(|job| job.kind == JobKind::TurnOff);
        if turning_off.is_none()
            && let Some(job) = self.job_of(id).map(|job| job.id)
        {
            self.end_job(job, JobState::Failed(problem), now);
        }
        self.take_down(id, now);
    }

    /// Has the machine take a crashed system down, again later if it will not now.
    pub(super) fn take_down(&mut self, id: SystemId, now: Now) {
        let again = match self.machine.stop(id) {
            Ok(()) => None,
            Err(_) => Some(now.monotonic.saturating_add(AGAIN)),
        };
        self.alter(id, |system| system.stop_at = again);
    }
}
