//! Jobs: beginning, ending, forgetting them.

use super::Domain;
use crate::id::{JobId, SystemId};
use crate::job::{Job, JobKind, JobState, KEPT};
use crate::notice::Notice;
use crate::now::Now;
use crate::problem::{Problem, ProblemKind};
use crate::state::State;
use crate::transition::TimeLimit;
use alloc::boxed::Box;
use alloc::format;
use core::time::Duration;

/// Jobs at once; the oldest that have ended go first.
const MAX_JOBS: usize = 512;

impl Domain {
    /// Every job, in the order in which they began.
    pub fn jobs(&self) -> impl Iterator<Item = &Job> {
        self.jobs.values()
    }

    /// The job of a number.
    #[must_use]
    pub fn job(&self, id: JobId) -> Option<&Job> {
        self.jobs.get(&id)
    }

    /// Makes a job that has failed already, so that a client who gets only a return code can ask it why.
    pub fn refuse(&mut self, system: Option<SystemId>, problem: Problem, now: Now) -> JobId {
        let id = self.begin_job(JobKind::Refused, system, TimeLimit::Default, now);
        self.end_job(id, JobState::Failed(problem), now);
        id
    }

    /// Forgets a job that has ended.
    ///
    /// # Errors
    /// [`ProblemKind::NotFound`], and [`ProblemKind::State`] while it runs.
    pub fn remove_job(&mut self, id: JobId) -> Result<(), Problem> {
        if self.known_job(id)?.is_running() {
            return Err(Problem::new(
                ProblemKind::State,
                "BH-JOB-RUNS",
                format!("The job {id} has not ended"),
                "Wait for its end, or terminate it",
            ));
        }
        self.drop_job(id);
        Ok(())
    }

    /// Ends a job before its end. Only waiting for a guest can be ended; the guest may still do what it was asked.
    ///
    /// # Errors
    /// [`ProblemKind::NotFound`], and [`ProblemKind::State`] for jobs that cannot be ended or have ended.
    pub fn terminate_job(&mut self, id: JobId, now: Now) -> Result<(), Problem> {
        let job = self.known_job(id)?;
        let (kind, system) = (job.kind, job.system);
        if !job.is_running() {
            let what = format!("The job {id} has ended");
            return Err(Problem::new(ProblemKind::State, "BH-JOB-ENDED", what, ""));
        }
        if !matches!(
            kind,
            JobKind::ShutDown | JobKind::Reboot | JobKind::TakeProcessors
        ) {
            return Err(Problem::new(
                ProblemKind::State,
                "BH-JOB-FIXED",
                format!("The job \"{}\" cannot be ended before its end", kind.name()),
                "Ask the system for 3 (Disabled) to turn it off at once",
            ));
        }
        self.end_job(id, JobState::Terminated, now);
        self.stop_waiting(system, now);
        Ok(())
    }

    /// Sets how long a job stays after its end.
    ///
    /// # Errors
    /// [`ProblemKind::NotFound`].
    pub fn keep_job(&mut self, id: JobId, kept: Duration) -> Result<(), Problem> {
        self.known_job(id)?;
        self.alter_job(id, |job| job.kept = kept);
        Ok(())
    }

    fn known_job(&self, id: JobId) -> Result<&Job, Problem> {
        self.jobs.get(&id).ok_or_else(|| {
            let what = format!("There is no job {id}");
            Problem::new(ProblemKind::NotFound, "BH-JOB-UNKNOWN", what, "")
        })
    }

    pub(super) fn begin_job(
        &mut self,
        kind: JobKind,
        system: Option<SystemId>,
        limit: TimeLimit,
        now: Now,
    ) -> JobId {
        let ended = |job: &Job| !job.is_running();
        while self.jobs.len() >= MAX_JOBS {
            match self.jobs.values().find(|job| ended(job)).map(|job| job.id) {
                Some(oldest) => self.drop_job(oldest),
                None => break,
            }
        }
        let id = JobId(self.next_job);
        self.next_job = self.next_job.saturating_add(1);
        let limit = match limit {
            TimeLimit::Default => kind.customary(),
            TimeLimit::Within(limit) => limit,
        };
        let job = Job {
            id,
            kind,
            system,
            state: JobState::Running,
            percent: 0,
            started: now.unix_micros,
            changed: now.unix_micros,
            elapsed: None,
            kept: KEPT,
            began_at: now.monotonic,
            deadline: Some(now.monotonic.saturating_add(limit)),
            ended_at: None,
        };
        self.notices.add(Notice::JobCreated(Box::new(job.clone())));
        self.jobs.insert(id, job);
        if kind != JobKind::Refused
            && let Some(system) = system
        {
            self.alter(system, |system| system.job = Some(id));
        }
        id
    }

    /// Ends a job that runs; one that has ended stays as it is.
    pub(super) fn end_job(&mut self, id: JobId, state: JobState, now: Now) {
        let Some(job) = self.jobs.get(&id).filter(|job| job.is_running()) else {
            return;
        };
        let (system, kind) = (job.system, job.kind);
        if let (JobKind::TakeProcessors, Some(system)) = (kind, system)
            && state != JobState::Completed
        {
            self.leave_processors(system);
        }
        self.alter_job(id, |job| {
            if state == JobState::Completed {
                job.percent = 100;
            }
            job.state = state;
            job.changed = now.unix_micros;
            job.elapsed = Some(now.monotonic.saturating_sub(job.began_at));
            job.deadline = None;
            job.ended_at = Some(now.monotonic);
        });
        if let Some(system) = system {
            self.alter(system, |system| {
                if system.job == Some(id) {
                    system.job = None;
                }
            });
        }
    }

    /// Ends the job of a system, if it is of one of these kinds.
    pub(super) fn end_job_of(
        &mut self,
        system: SystemId,
        kinds: &[JobKind],
        state: JobState,
        now: Now,
    ) {
        if let Some(job) = self.job_of(system)
            && kinds.contains(&job.kind)
        {
            self.end_job(job.id, state, now);
        }
    }

    /// The job that is under way for a system.
    pub(super) fn job_of(&self, system: SystemId) -> Option<&Job> {
        let job = self.systems.get(&system)?.job?;
        self.jobs.get(&job)
    }

    pub(super) fn alter_job(&mut self, id: JobId, change: impl FnOnce(&mut Job)) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        let before = job.clone();
        change(job);
        if *job != before {
            self.notices.add(Notice::JobModified {
                before: Box::new(before),
                after: Box::new(job.clone()),
            });
        }
    }

    pub(super) fn drop_job(&mut self, id: JobId) {
        if let Some(job) = self.jobs.remove(&id) {
            self.notices.add(Notice::JobDeleted(Box::new(job)));
        }
    }

    /// A system whose guest is not waited for any more counts as running.
    pub(super) fn stop_waiting(&mut self, system: Option<SystemId>, now: Now) {
        let waiting = system.and_then(|id| self.systems.get(&id));
        if let Some(system) = waiting
            && system.state == State::ShuttingDown
        {
            self.enter(system.id, State::Running, now);
        }
    }
}
