//! Changing the state configuration of a system that is on: what the scheduler can do without the guest, and processors that come and
//! go.

use super::allocations::change_in;
use super::requests::refused;
use super::{Domain, not_kept};
use crate::allocation::{Allocation, Mapping, ProcessorSettings, Resource};
use crate::change::NewAllocation;
use crate::definition::Definition;
use crate::id::{AllocationId, SystemId};
use crate::job::{JobKind, JobState};
use crate::keep::KeepError;
use crate::ledger::Ledger;
use crate::now::Now;
use crate::order::ProcessorOrder;
use crate::patch::Patch;
use crate::problem::{Problem, ProblemKind};
use crate::state::State;
use crate::transition::{Requested, TimeLimit};
use crate::{record, resolve};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

impl Domain {
    /// Changes allocations in the state configurations of systems that are on, all or none: number, weight, reservation, limit,
    /// pool and physical CPUs of their processors. Definitions stay as they are. NULL stands for what the host chooses. Where a guest
    /// has to give processors back first, nothing has changed before it has: the job waits for it.
    ///
    /// # Errors
    /// [`ProblemKind::State`] for a system that neither runs nor is paused, and for what cannot change while it does;
    /// [`ProblemKind::Resources`]; or any [`Problem`] with the outcome; nothing has changed then.
    pub fn modify_active(
        &mut self,
        changes: impl IntoIterator<Item = (SystemId, AllocationId, NewAllocation)>,
        now: Now,
    ) -> Result<Requested, Problem> {
        let mut drafts: BTreeMap<SystemId, Definition> = BTreeMap::new();
        for (id, allocation, new) in changes {
            let active = self.changeable(id)?;
            let before = active.allocation(allocation).cloned();
            let draft = drafts.entry(id).or_insert_with(|| active.clone());
            let NewAllocation { place, change } = new;
            if change.quantity.given().is_some() && change.host == Patch::Keep {
                choose_anew(draft, self.known(id).map(|system| &system.defined)?);
            }
            change_in(draft, allocation, change, &self.host, &self.ledger)
                .and_then(|()| live(before.as_ref(), draft.allocation(allocation)))
                .map_err(|problem| problem.at(place))?;
        }
        let ledger = self.planned(&mut drafts)?;
        let shrinking = |(id, draft): &(&SystemId, &Definition)| {
            resolve::processors(draft).count < self.processors_of(**id)
        };
        if let Some((id, _)) = drafts.iter().find(shrinking) {
            let id = *id;
            return self.ask_back(id, drafts, now);
        }
        self.commit(ledger, drafts)?;
        Ok(Requested::Done)
    }

    /// Begins to take processors back from the guest of the one system of `drafts`.
    fn ask_back(
        &mut self,
        id: SystemId,
        drafts: BTreeMap<SystemId, Definition>,
        now: Now,
    ) -> Result<Requested, Problem> {
        let refuse = |kind, what: &str, fix| {
            let place = "VirtualQuantity";
            Err(Problem::new(kind, "BH-PROCESSORS-BACK", what, fix).at(place))
        };
        let system = self.known(id)?;
        if drafts.len() != 1 {
            let what = "The guests of several systems cannot give processors back together";
            let fix = "Change one system at a time";
            return refuse(ProblemKind::Invalid, what, fix);
        }
        if system.state != State::Running {
            let what = "The guest of a paused system cannot give processors back";
            return refuse(ProblemKind::State, what, "Ask for 2 (Enabled) first");
        }
        if system.job.is_some() {
            let what = "A job of the system is under way";
            return refuse(ProblemKind::Busy, what, "Wait for its end");
        }
        let Some(draft) = drafts.into_values().next() else {
            return Ok(Requested::Done);
        };
        let count = resolve::processors(&draft).count;
        self.machine
            .ask_back_processors(id, count)
            .map_err(refused)?;
        self.alter(id, |system| system.leaving = Some(draft));
        let job = self.begin_job(JobKind::TakeProcessors, Some(id), TimeLimit::Default, now);
        Ok(Requested::Job(job))
    }

    /// The guest has given back the processors that it was asked for.
    pub(super) fn processors_left(&mut self, id: SystemId, now: Now) {
        let system = self.systems.get(&id);
        let Some(draft) = system.and_then(|system| system.leaving.clone()) else {
            // They were not wanted any more when they came.
            return self.leave_processors(id);
        };
        let mut drafts = BTreeMap::from([(id, draft)]);
        let done = self
            .planned(&mut drafts)
            .and_then(|ledger| self.commit(ledger, drafts));
        let state = match done {
            Ok(()) => {
                self.alter(id, |system| system.leaving = None);
                JobState::Completed
            }
            Err(problem) => JobState::Failed(problem),
        };
        self.end_job_of(id, &[JobKind::TakeProcessors], state, now);
    }

    /// The guest has as many processors as the state configuration says, and none of them is wanted back.
    pub(super) fn leave_processors(&mut self, id: SystemId) {
        self.alter(id, |system| system.leaving = None);
        let on = self
            .systems
            .get(&id)
            .is_some_and(|system| system.active.is_some() && system.state.is_active());
        if on {
            let count = self.processors_of(id);
            self.machine.offer_processors(id, count);
        }
    }

    /// How many processors a system has that is on.
    fn processors_of(&self, id: SystemId) -> u32 {
        let system = self.systems.get(&id);
        let active = system.and_then(|system| system.active.as_ref());
        active.map_or(0, |active| resolve::processors(active).count)
    }

    /// The ledger with these state configurations, whose choices are made.
    fn planned(&self, drafts: &mut BTreeMap<SystemId, Definition>) -> Result<Ledger, Problem> {
        let mut ledger = self.ledger.clone();
        for id in drafts.keys() {
            ledger.give(*id);
        }
        for (id, draft) in drafts {
            *draft = self.resolved(draft);
            self.check(draft)?;
            ledger.take(*id, draft, &self.ledger.memory_of(*id))?;
        }
        Ok(ledger)
    }

    /// Has systems run as they say there, all or none.
    fn commit(
        &mut self,
        ledger: Ledger,
        drafts: BTreeMap<SystemId, Definition>,
    ) -> Result<(), Problem> {
        let done = self.carry_out(&ledger, &drafts)?;
        if let Err(fault) = self.keep_active(&drafts) {
            self.undo(done);
            return Err(not_kept(fault));
        }
        self.ledger = ledger;
        for (id, draft) in drafts {
            let count = resolve::processors(&draft).count;
            let more = count > self.processors_of(id);
            self.alter(id, |system| system.active = Some(draft));
            if more {
                self.machine.offer_processors(id, count);
            }
        }
        Ok(())
    }

    /// The state configuration of a system that takes changes now.
    fn changeable(&self, id: SystemId) -> Result<&Definition, Problem> {
        let system = self.known(id)?;
        match (&system.active, system.state) {
            _ if system.leaving.is_some() => Err(Problem::new(
                ProblemKind::Busy,
                "BH-BUSY",
                format!(
                    "The guest of the system {} is asked to give processors back",
                    system.defined.name
                ),
                "Wait for the end of that job, or terminate it",
            )),
            (Some(active), State::Running | State::Paused) => Ok(active),
            _ => Err(Problem::new(
                ProblemKind::State,
                "BH-STATE",
                format!(
                    "The system {} {}",
                    system.defined.name,
                    system.state.phrase()
                ),
                "Change its defined configuration, or wait until it runs",
            )),
        }
    }

    /// Keeps state configurations, all or none.
    fn keep_active(&mut self, drafts: &BTreeMap<SystemId, Definition>) -> Result<(), KeepError> {
        for (done, (id, draft)) in drafts.iter().enumerate() {
            let kept = self
                .keep
                .put(&record::active_name(*id), &record::encode(draft));
            if let Err(fault) = kept {
                for id in drafts.keys().take(done) {
                    let system = self.systems.get(id);
                    if let Some(active) = system.and_then(|known| known.active.as_ref()) {
                        // Where even this cannot be written, the client is told of the first failure.
                        let _ = self
                            .keep
                            .put(&record::active_name(*id), &record::encode(active));
                    }
                }
                return Err(fault);
            }
        }
        Ok(())
    }

    /// Has the machine run every system that is on as `ledger` says, and those of `drafts` as they say there, all or none. Tells
    /// what to [`Domain::undo`].
    ///
    /// # Errors
    /// The machine's; nothing has changed.
    pub(super) fn carry_out(
        &mut self,
        ledger: &Ledger,
        drafts: &BTreeMap<SystemId, Definition>,
    ) -> Result<Vec<Tuned>, Problem> {
        let mut planned: Vec<(Tuned, Tuned)> = Vec::new();
        for id in self.ledger.holders() {
            let system = self.systems.get(&id);
            let Some(active) = system.and_then(|known| known.active.as_ref()) else {
                continue;
            };
            let tuned = |definition: &Definition, ledger: &Ledger| Tuned {
                id,
                processors: resolve::processors(definition),
                cpus: ledger.processors_for(id),
            };
            let before = tuned(active, &self.ledger);
            let after = tuned(drafts.get(&id).unwrap_or(active), ledger);
            if before != after {
                planned.push((before, after));
            }
        }
        // Who gives something back goes before who gets it.
        planned.sort_by_key(|(before, after)| {
            (
                after.processors.count > before.processors.count,
                after.processors.reservation > before.processors.reservation,
            )
        });
        let mut done = Vec::new();
        for (before, after) in planned {
            if let Err(error) = self.machine.tune(after.id, &after.processors, &after.cpus) {
                self.undo(done);
                return Err(refused(error));
            }
            done.push(before);
        }
        Ok(done)
    }

    /// Has the machine run systems as they ran before.
    pub(super) fn undo(&mut self, done: Vec<Tuned>) {
        for before in done.into_iter().rev() {
            // It was like that a moment ago.
            let _ = self
                .machine
                .tune(before.id, &before.processors, &before.cpus);
        }
    }
}

/// Leaves the choice of processors that a system owns to the host again, where it was the host's.
fn choose_anew(draft: &mut Definition, defined: &Definition) {
    let chosen = resolve::processor_settings(defined).is_some_and(|said| said.cpus.is_empty());
    for allocation in &mut draft.allocations {
        if let Resource::Processor(settings) = &mut allocation.resource
            && settings.mapping == Some(Mapping::Dedicated)
            && chosen
        {
            settings.cpus.clear();
        }
    }
}

/// How a system runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tuned {
    id: SystemId,
    processors: ProcessorOrder,
    cpus: Vec<u32>,
}

/// Whether a change of an allocation is one that counts at once.
fn live(before: Option<&Allocation>, after: Option<&Allocation>) -> Result<(), Problem> {
    let fixed = |allocation: &Allocation| match &allocation.resource {
        Resource::Processor(settings) => Allocation {
            name: None,
            pool: None,
            resource: Resource::Processor(ProcessorSettings {
                count: None,
                reservation: None,
                limit: None,
                weight: None,
                mapping: None,
                cpus: Vec::new(),
                ..settings.clone()
            }),
            ..*allocation
        },
        _ => allocation.clone(),
    };
    if before.map(fixed) == after.map(fixed) {
        return Ok(());
    }
    Err(Problem::new(
        ProblemKind::State,
        "BH-STATE-CONFIGURATION",
        "While a system is on, only number, weight, reservation, limit, pool, mapping and host resources of its processors can change",
        "Change its defined configuration, which counts from the next start on",
    ))
}
