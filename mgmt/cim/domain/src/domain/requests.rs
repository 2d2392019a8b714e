//! Requests for another state.

use super::host_stop::host_stops;
use super::{Domain, not_kept};
use crate::id::SystemId;
use crate::job::{JobKind, JobState};
use crate::machine::MachineError;
use crate::node_memory::NodeMemory;
use crate::now::Now;
use crate::problem::{Problem, ProblemKind};
use crate::state::{Request, State};
use crate::transition::{self, Requested, Step, TimeLimit};
use crate::{record, resolve};
use alloc::collections::BTreeMap;
use alloc::format;

impl Domain {
    /// Asks a system for another state.
    ///
    /// # Errors
    /// [`ProblemKind::State`], [`ProblemKind::Busy`], [`ProblemKind::Resources`], or why the machine cannot begin;
    /// nothing has changed then.
    pub fn request(
        &mut self,
        id: SystemId,
        request: Request,
        limit: TimeLimit,
        now: Now,
    ) -> Result<Requested, Problem> {
        let ends = matches!(request, Request::Disable | Request::ShutDown);
        if self.stop.is_some() && !ends {
            return Err(host_stops());
        }
        self.ask(id, request, limit, now)
    }

    /// The same, also for the host's stop.
    pub(super) fn ask(
        &mut self,
        id: SystemId,
        request: Request,
        limit: TimeLimit,
        now: Now,
    ) -> Result<Requested, Problem> {
        let state = self.known(id)?.state;
        let kind = match transition::step(state, request)? {
            Step::Nothing => {
                self.acknowledge(id, now);
                return Ok(Requested::Done);
            }
            Step::Begin(kind) => kind,
        };
        match kind {
            JobKind::Start => self.begin_start(id, now)?,
            JobKind::TurnOff => self.machine.stop(id).map_err(refused)?,
            JobKind::ShutDown | JobKind::Reboot => {
                self.machine.power_button(id).map_err(refused)?
            }
            JobKind::Pause => self.machine.pause(id).map_err(refused)?,
            JobKind::Resume => self.machine.resume(id).map_err(refused)?,
            JobKind::Reset => self.machine.reset(id).map_err(refused)?,
            JobKind::TakeProcessors
            | JobKind::StopHost
            | JobKind::RestartHost
            | JobKind::Refused => {}
        }
        let superseded = Problem::new(
            ProblemKind::State,
            "BH-SUPERSEDED",
            format!(
                "A client asked for \"{}\" before this was done",
                kind.name()
            ),
            "",
        );
        if let Some(job) = self.known(id)?.job {
            self.end_job(job, JobState::Failed(superseded), now);
        }
        let job = self.begin_job(kind, Some(id), limit, now);
        self.alter(id, |system| {
            system.requested = Some(request);
            system.start_at = None;
        });
        self.enter(id, during(kind), now);
        Ok(Requested::Job(job))
    }

    /// A client knows of the crash and wants the system to be off: so it is.
    fn acknowledge(&mut self, id: SystemId, now: Now) {
        let crashed = self.systems.get(&id).map(|system| system.state) == Some(State::Crashed);
        if crashed {
            self.enter(id, State::Off, now);
        }
        self.alter(id, |system| {
            system.start_at = None;
            system.recoveries = 0;
        });
    }

    /// Takes what a system needs, keeps what it starts with, and has the machine begin.
    pub(super) fn begin_start(&mut self, id: SystemId, now: Now) -> Result<(), Problem> {
        if self.stop.is_some() {
            return Err(host_stops());
        }
        let mut active = self.resolved(&self.known(id)?.defined);
        let mut order = resolve::order(&active)?;
        // Images may have gone since the system was defined.
        self.check(&active)?;
        let running = self
            .systems()
            .filter(|system| system.state.is_active())
            .count();
        if running >= self.host.max_running {
            return Err(Problem::new(
                ProblemKind::Resources,
                "BH-RUNNING",
                format!("{running} systems are on, which is the most that the host can run"),
                "Turn another system off",
            ));
        }
        let mut ledger = self.ledger.clone();
        ledger.take(id, &mut active, &NodeMemory::default())?;
        order.cpus = ledger.processors_for(id);
        order.nodes = ledger.memory_of(id);
        // Others leave the processors that it is to own.
        let moved = self.carry_out(&ledger, &BTreeMap::new())?;
        let name = record::active_name(id);
        let bytes = record::encode(&active);
        let kept = self.keep.put(&name, &bytes).map_err(not_kept);
        let begun = kept.and_then(|()| {
            self.machine.start(id, &order).map_err(|error| {
                // A blob too many only means one more look at the next start.
                let _ = self.keep.remove(&name);
                refused(error)
            })
        });
        if let Err(problem) = begun {
            self.undo(moved);
            return Err(problem);
        }
        self.ledger = ledger;
        self.alter(id, |system| {
            system.active = Some(active);
            system.last_end = None;
            system.start_at = None;
        });
        self.enter(id, State::Starting, now);
        Ok(())
    }
}

/// The state while a job does its work.
const fn during(kind: JobKind) -> State {
    match kind {
        JobKind::Start | JobKind::StopHost | JobKind::RestartHost | JobKind::Refused => {
            State::Starting
        }
        JobKind::Resume => State::Resuming,
        JobKind::TurnOff => State::Stopping,
        JobKind::ShutDown | JobKind::Reboot => State::ShuttingDown,
        JobKind::Pause => State::Pausing,
        JobKind::Reset => State::Resetting,
        JobKind::TakeProcessors => State::Running,
    }
}

/// Why the machine did not begin.
pub(super) fn refused(error: MachineError) -> Problem {
    match error {
        MachineError::Resources(what) => Problem::new(
            ProblemKind::Resources,
            "BH-MACHINE-RESOURCES",
            what,
            "Turn another system off, or ask for less",
        ),
        MachineError::Busy(what) => {
            Problem::new(ProblemKind::Busy, "BH-MACHINE-BUSY", what, "Try again")
        }
        MachineError::Guest(what) => Problem::new(
            ProblemKind::State,
            "BH-GUEST-DEAF",
            what,
            "Try again when its operating system is up, or change the defined configuration",
        ),
        MachineError::Failed(what) => Problem::new(ProblemKind::Machine, "BH-MACHINE", what, ""),
    }
}
