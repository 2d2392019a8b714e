//! What is due without anybody asking.

use super::Domain;
use crate::id::{JobId, SystemId};
use crate::job::{Job, JobKind, JobState};
use crate::now::Now;
use crate::problem::{Problem, ProblemKind};
use crate::transition::TimeLimit;
use alloc::format;
use alloc::vec::Vec;
use core::time::Duration;

impl Domain {
    /// Does what is due: time-outs of jobs, forgetting old ones, automatic starts, the host's stop.
    pub fn tick(&mut self, now: Now) {
        self.time_out(now);
        let old = |job: &&Job| forgotten_at(job).is_some_and(|at| at <= now.monotonic);
        let old: Vec<JobId> = self.jobs.values().filter(old).map(|job| job.id).collect();
        for id in old {
            self.drop_job(id);
        }
        let due = |at: Option<Duration>| at.is_some_and(|at| at <= now.monotonic);
        let stops = self.systems.values().filter(|system| due(system.stop_at));
        let stops: Vec<SystemId> = stops.map(|system| system.id).collect();
        for id in stops {
            self.take_down(id, now);
        }
        let starts = self.systems.values().filter(|system| due(system.start_at));
        let mut starts: Vec<_> = starts
            .map(|system| (system.defined.startup.sequence.unwrap_or(0), system.id))
            .collect();
        starts.sort();
        for (_, id) in starts {
            self.start_unasked(id, now);
        }
        self.go_on_stopping(now);
    }

    /// When [`Domain::tick`] has something to do next, on the monotonic clock.
    #[must_use]
    pub fn next_tick(&self) -> Option<Duration> {
        let jobs = self.jobs.values();
        let jobs = jobs.filter_map(|job| job.deadline.or_else(|| forgotten_at(job)));
        let systems = self.systems.values();
        let systems = systems
            .flat_map(|system| [system.start_at, system.stop_at])
            .flatten();
        jobs.chain(systems).chain(self.next_of_stop()).min()
    }

    fn time_out(&mut self, now: Now) {
        let late = |job: &&Job| {
            job.deadline
                .is_some_and(|deadline| deadline <= now.monotonic)
        };
        let late: Vec<_> = self
            .jobs
            .values()
            .filter(late)
            .map(|job| (job.id, job.kind, job.system, job.began_at))
            .collect();
        for (id, kind, system, began) in late {
            let seconds = now.monotonic.saturating_sub(began).as_secs();
            let waiting = matches!(kind, JobKind::ShutDown | JobKind::Reboot);
            let taking = kind == JobKind::TakeProcessors;
            let what = if taking {
                format!("The guest did not give its processors back within {seconds} seconds")
            } else if waiting {
                format!("The guest did not power itself off within {seconds} seconds")
            } else {
                format!("It was not done within {seconds} seconds and goes on")
            };
            let fix = match taking {
                true => {
                    "It keeps them; ask again, or turn the system off and change its definition"
                }
                false => "Ask for 3 (Disabled) to turn the system off at once",
            };
            let problem = Problem::new(ProblemKind::TimedOut, "BH-TIME-OUT", what, fix);
            self.end_job(id, JobState::Failed(problem), now);
            if waiting {
                self.stop_waiting(system, now);
            }
            if let (JobKind::TurnOff, Some(system)) = (kind, system) {
                // Or the system would be on its way down for ever, should the machine have missed it.
                self.take_down(system, now);
            }
        }
    }

    fn start_unasked(&mut self, id: SystemId, now: Now) {
        self.alter(id, |system| system.start_at = None);
        if self
            .systems
            .get(&id)
            .is_none_or(|system| system.state.is_active())
        {
            return;
        }
        match self.begin_start(id, now) {
            Ok(()) => {
                self.begin_job(JobKind::Start, Some(id), TimeLimit::Default, now);
            }
            Err(problem) => {
                self.refuse(Some(id), problem, now);
            }
        }
    }
}

/// When a job that has ended goes.
fn forgotten_at(job: &Job) -> Option<Duration> {
    Some(job.ended_at?.saturating_add(job.kept))
}
