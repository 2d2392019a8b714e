//! Changing the state configuration of a system that is on: what the scheduler can do without the guest.

use super::allocations::change_in;
use super::requests::refused;
use super::{Domain, not_kept};
use crate::allocation::{Allocation, ProcessorSettings, Resource};
use crate::change::NewAllocation;
use crate::definition::Definition;
use crate::id::{AllocationId, SystemId};
use crate::ledger::Ledger;
use crate::problem::{Problem, ProblemKind};
use crate::state::State;
use crate::{record, resolve};
use alloc::collections::BTreeMap;
use alloc::format;

impl Domain {
    /// Changes allocations in the state configurations of systems that are on, all or none: weight, reservation, limit
    /// and pool of their processors. Definitions stay as they are. NULL stands for what the host chooses.
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
            ledger.take(*id, draft)?;
        }
        let mut done = 0;
        let mut outcome = Ok(());
        for (id, draft) in &drafts {
            outcome = self.carry_out(*id, draft, &ledger);
            if outcome.is_err() {
                break;
            }
            done += 1;
        }
        if outcome.is_err() {
            let back = self.ledger.clone();
            for id in drafts.keys().take(done) {
                let active = self.systems.get(id).and_then(|known| known.active.clone());
                if let Some(active) = active {
                    // It was like that a moment ago. Where even this cannot be written, the client is told of the first
                    // failure.
                    let _ = self.carry_out(*id, &active, &back);
                }
            }
            return outcome;
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

    /// Has one system run as a configuration says, and keeps that; or leaves it as it is.
    fn carry_out(&mut self, id: SystemId, to: &Definition, ledger: &Ledger) -> Result<(), Problem> {
        let cpus = ledger.processors_for(id);
        let tuned = self.machine.tune(id, &resolve::processors(to), &cpus);
        tuned.map_err(refused)?;
        let kept = self.keep.put(&record::active_name(id), &record::encode(to));
        kept.map_err(|fault| {
            let active = self
                .systems
                .get(&id)
                .and_then(|known| known.active.as_ref());
            if let Some(active) = active {
                let before = resolve::processors(active);
                let cpus = self.ledger.processors_for(id);
                let _ = self.machine.tune(id, &before, &cpus);
            }
            not_kept(fault)
        })
    }
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
        "While a system is on, only weight, reservation, limit and pool of its processors can change",
        "Change its defined configuration, which counts from the next start on",
    ))
}
