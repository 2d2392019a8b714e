//! Changing the state configuration of a system that is on: what the scheduler can do without the guest.

use super::allocations::change_in;
use super::requests::refused;
use super::{Domain, not_kept};
use crate::allocation::{Allocation, ProcessorSettings, Resource};
use crate::change::NewAllocation;
use crate::definition::Definition;
use crate::id::{AllocationId, SystemId};
use crate::keep::KeepError;
use crate::ledger::Ledger;
use crate::order::ProcessorOrder;
use crate::problem::{Problem, ProblemKind};
use crate::state::State;
use crate::{record, resolve};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

impl Domain {
    /// Changes allocations in the state configurations of systems that are on, all or none: weight, reservation, limit,
    /// pool and physical CPUs of their processors. Definitions stay as they are. NULL stands for what the host chooses.
    ///
    /// # Errors
    /// [`ProblemKind::State`] for a system that neither runs nor is paused, and for what cannot change while it does;
    /// [`ProblemKind::Resources`]; or any [`Problem`] with the outcome; nothing has changed then.
    pub fn modify_active(
        &mut self,
        changes: impl IntoIterator<Item = (SystemId, AllocationId, NewAllocation)>,
    ) -> Result<(), Problem> {
        let mut drafts: BTreeMap<SystemId, Definition> = BTreeMap::new();
        for (id, allocation, new) in changes {
            let active = self.changeable(id)?;
            let before = active.allocation(allocation).cloned();
            let draft = drafts.entry(id).or_insert_with(|| active.clone());
            let NewAllocation { place, change } = new;
            change_in(draft, allocation, change, &self.host, &self.ledger)
                .and_then(|()| live(before.as_ref(), draft.allocation(allocation)))
                .map_err(|problem| problem.at(place))?;
        }
        let mut ledger = self.ledger.clone();
        for id in drafts.keys() {
            ledger.give(*id);
        }
        for (id, draft) in &mut drafts {
            *draft = self.resolved(draft);
            self.check(draft)?;
            ledger.take(*id, draft, &self.ledger.memory_of(*id))?;
        }
        let done = self.carry_out(&ledger, &drafts)?;
        if let Err(fault) = self.keep_active(&drafts) {
            self.undo(done);
            return Err(not_kept(fault));
        }
        self.ledger = ledger;
        for (id, draft) in drafts {
            self.alter(id, |system| system.active = Some(draft));
        }
        Ok(())
    }

    /// The state configuration of a system that takes changes now.
    fn changeable(&self, id: SystemId) -> Result<&Definition, Problem> {
        let system = self.known(id)?;
        match (&system.active, system.state) {
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
            after.processors.reservation > before.processors.reservation
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
        "While a system is on, only weight, reservation, limit, pool, mapping and host resources of its processors can change",
        "Change its defined configuration, which counts from the next start on",
    ))
}
