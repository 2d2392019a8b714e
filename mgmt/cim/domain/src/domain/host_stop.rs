//! The orderly stop of the host: systems end in the reverse order of their start, then the machine does.
//!
//! Systems with the same AutomaticStartupActionSequenceNumber end together; the next lower number has its turn when all of
//! them are off. A guest that does not power itself off in time is turned off.

use super::Domain;
use super::requests::refused;
use crate::definition::ShutdownAction;
use crate::host_end::{Asked, HostEnd, HostRequest, HostStop, Manner};
use crate::id::{JobId, SystemId};
use crate::job::{JobKind, JobState};
use crate::notice::Notice;
use crate::now::Now;
use crate::problem::{Problem, ProblemKind};
use crate::record;
use crate::state::{Request, State};
use crate::system::System;
use crate::transition::TimeLimit;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

/// How long a guest may take to power itself off.
const GRACE: Duration = Duration::from_secs(120);
/// How long the machine may take to turn a system off. Then the host ends without it.
const TURN_OFF: Duration = Duration::from_secs(60);

impl Domain {
    /// The stop of the host that is under way.
    #[must_use]
    pub const fn host_stop(&self) -> Option<&HostStop> {
        self.stop.as_ref()
    }

    /// Ends the systems and then the machine. With a limit, what is left of the systems when it is over is turned off.
    ///
    /// # Errors
    /// [`ProblemKind::Busy`] while that is under way already; only an end at once takes the place of an orderly one.
    pub fn request_host(
        &mut self,
        request: HostRequest,
        limit: TimeLimit,
        now: Now,
    ) -> Result<JobId, Problem> {
        let before = self.stop.clone();
        let mut was_on: BTreeSet<SystemId> = self.systems_on().map(|system| system.id).collect();
        if let Some(stop) = &before {
            let hurries =
                stop.request.manner == Manner::Orderly && request.manner == Manner::AtOnce;
            if stop.is_done || !hurries {
                return Err(host_stops());
            }
            was_on.extend(&stop.was_on);
            let what = "A client asked for the host's end at once before this was done";
            let problem = Problem::new(ProblemKind::State, "BH-SUPERSEDED", what, "");
            self.end_job(stop.job, JobState::Failed(problem), now);
        }
        let kind = match request.end {
            HostEnd::PowerOff => JobKind::StopHost,
            HostEnd::Restart => JobKind::RestartHost,
        };
        let job = self.begin_job(kind, None, TimeLimit::Default, now);
        // It ends by what its systems do, each of which has a limit.
        self.alter_job(job, |job| job.deadline = None);
        self.set_stop(Some(HostStop {
            request,
            job,
            was_on,
            asked: BTreeMap::new(),
            deadline: match limit {
                TimeLimit::Default => None,
                TimeLimit::Within(limit) => Some(now.monotonic.saturating_add(limit)),
            },
            is_done: false,
        }));
        let ids: Vec<SystemId> = self.systems.keys().copied().collect();
        for id in ids {
            self.alter(id, |system| system.start_at = None);
        }
        self.go_on_stopping(now);
        Ok(job)
    }

    /// The machine was told to end and has not: it goes on.
    pub fn host_stays(&mut self) {
        let Some(stop) = self.stop.clone() else {
            return;
        };
        self.set_stop(None);
        // They were on when the host stopped, which it has not.
        for id in stop.was_on {
            if self
                .systems
                .get(&id)
                .is_some_and(|system| !system.state.is_active())
            {
                let _ = self.keep.remove(&record::active_name(id));
            }
        }
    }

    /// Takes the next step of the host's stop, if one is under way.
    pub(super) fn go_on_stopping(&mut self, now: Now) {
        let Some(stop) = self.stop.clone().filter(|stop| !stop.is_done) else {
            return;
        };
        let left: Vec<SystemId> = self
            .systems_on()
            .filter(|system| !is_given_up(&stop, system.id, now))
            .map(|system| system.id)
            .collect();
        let done = stop.was_on.iter().filter(|id| !left.contains(id)).count();
        let percent = done.saturating_mul(99) / stop.was_on.len().max(1);
        self.alter_job(stop.job, |job| {
            job.percent = u8::try_from(percent).unwrap_or(99);
        });
        if left.is_empty() {
            return self.end_machine(&stop, now);
        }
        let at_once = stop.request.manner == Manner::AtOnce
            || stop
                .deadline
                .is_some_and(|deadline| deadline <= now.monotonic);
        let turn = match at_once {
            true => None,
            false => left.iter().filter_map(|id| self.sequence(*id)).max(),
        };
        for id in left {
            if turn.is_none() || self.sequence(id) == turn {
                self.end_system(id, &stop, at_once, now);
            }
        }
    }

    /// What is due of the host's stop next, on the monotonic clock.
    pub(super) fn next_of_stop(&self) -> Option<Duration> {
        let stop = self.stop.as_ref().filter(|stop| !stop.is_done)?;
        let asked = self
            .systems_on()
            .filter_map(|system| stop.asked.get(&system.id));
        let asked = asked.map(|(Asked::Guest(until) | Asked::TurnOff(until))| *until);
        let overall = stop
            .deadline
            .filter(|_| stop.request.manner == Manner::Orderly);
        asked.chain(overall).min()
    }

    /// Whether a system that ends now was on when the host began to stop.
    pub(super) fn ends_with_host(&self, id: SystemId) -> bool {
        self.stop
            .as_ref()
            .is_some_and(|stop| stop.was_on.contains(&id))
    }

    fn systems_on(&self) -> impl Iterator<Item = &System> {
        self.systems().filter(|system| system.state.is_active())
    }

    /// Its place in the order in which systems start.
    fn sequence(&self, id: SystemId) -> Option<u16> {
        let system = self.systems.get(&id)?;
        Some(system.defined.startup.sequence.unwrap_or(0))
    }

    /// Does what comes next for a system whose turn it is.
    fn end_system(&mut self, id: SystemId, stop: &HostStop, at_once: bool, now: Now) {
        let Some(system) = self.systems.get(&id) else {
            return;
        };
        let asked = stop.asked.get(&id).copied();
        let action = system.active.as_ref().and_then(|active| active.shutdown);
        let is_late = matches!(asked, Some(Asked::Guest(until)) if until <= now.monotonic);
        // A guest that is being loaded has nothing to end.
        let is_loading = matches!(system.state, State::Starting | State::Resetting);
        let waits_for_guest =
            !at_once && !is_late && !is_loading && action == Some(ShutdownAction::ShutDown);
        let state = system.state;
        if !waits_for_guest {
            if !matches!(asked, Some(Asked::TurnOff(_))) {
                let until = now.monotonic.saturating_add(TURN_OFF);
                self.note_asked(id, Asked::TurnOff(until));
            }
            if !matches!(state, State::Stopping | State::Crashing) {
                self.ask_for_stop(id, Request::Disable, TimeLimit::Default, now);
            }
            return;
        }
        let until = match asked {
            Some(Asked::Guest(until)) => until,
            _ => {
                let until = now.monotonic.saturating_add(GRACE);
                let until = stop.deadline.map_or(until, |deadline| deadline.min(until));
                self.note_asked(id, Asked::Guest(until));
                until
            }
        };
        let limit = TimeLimit::Within(until.saturating_sub(now.monotonic));
        match state {
            // It cannot hear its power button before it runs.
            State::Paused => self.ask_for_stop(id, Request::Enable, limit, now),
            State::Running => self.ask_for_stop(id, Request::ShutDown, limit, now),
            _ => {}
        }
    }

    fn ask_for_stop(&mut self, id: SystemId, request: Request, limit: TimeLimit, now: Now) {
        // Where the machine refuses, the time that it gets runs out, and something stronger follows.
        let _ = self.ask(id, request, limit, now);
    }

    fn note_asked(&mut self, id: SystemId, asked: Asked) {
        if let Some(stop) = &mut self.stop {
            stop.asked.insert(id, asked);
        }
    }

    fn end_machine(&mut self, stop: &HostStop, now: Now) {
        match self.machine.end_host(stop.request.end) {
            Ok(()) => {
                if let Some(stop) = &mut self.stop {
                    stop.is_done = true;
                }
                self.end_job(stop.job, JobState::Completed, now);
            }
            Err(error) => {
                self.end_job(stop.job, JobState::Failed(refused(error)), now);
                self.host_stays();
            }
        }
    }

    fn set_stop(&mut self, stop: Option<HostStop>) {
        let before = core::mem::replace(&mut self.stop, stop);
        self.notices.add(Notice::HostModified {
            before: before.map(Box::new),
            after: self.stop.clone().map(Box::new),
        });
    }
}

/// The machine cannot turn it off.
fn is_given_up(stop: &HostStop, id: SystemId, now: Now) -> bool {
    matches!(stop.asked.get(&id), Some(Asked::TurnOff(until)) if *until <= now.monotonic)
}

/// Why nothing begins any more.
pub(super) fn host_stops() -> Problem {
    Problem::new(
        ProblemKind::Busy,
        "BH-HOST-STOPS",
        String::from("The host is about to end"),
        "Wait until it is up again, or ask the host for 11 (Reset), or for power state 6 (Off - Hard), to end it at once",
    )
}
