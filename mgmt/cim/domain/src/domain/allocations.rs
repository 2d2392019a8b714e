//! Adding, modifying and removing resource allocations.

use super::Domain;
use crate::apply;
use crate::change::{AllocationChange, NewAllocation};
use crate::definition::Definition;
use crate::host::HostFacts;
use crate::id::{AllocationId, SystemId};
use crate::ledger::Ledger;
use crate::problem::{Problem, ProblemKind};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

impl Domain {
    /// Adds allocations to the defined configuration of a system, all or none.
    ///
    /// # Errors
    /// Any [`Problem`] with the outcome; nothing has changed then.
    pub fn add_allocations(
        &mut self,
        id: SystemId,
        new: Vec<NewAllocation>,
    ) -> Result<Vec<AllocationId>, Problem> {
        let mut definition = self.known(id)?.defined.clone();
        let added = self.add_to(&mut definition, new)?;
        self.replace(id, definition)?;
        Ok(added)
    }

    /// Changes allocations in defined configurations, all or none; `place` says where each stands in the request.
    ///
    /// # Errors
    /// Any [`Problem`] with the outcome; nothing has changed then.
    pub fn modify_allocations(
        &mut self,
        changes: Vec<(SystemId, AllocationId, NewAllocation)>,
    ) -> Result<(), Problem> {
        let mut definitions = BTreeMap::new();
        for (system, id, change) in changes {
            let NewAllocation { place, change } = change;
            let definition = self.draft(&mut definitions, system)?;
            change_in(definition, id, change, &self.host, &self.ledger)
                .map_err(|problem| problem.at(place))?;
        }
        self.replace_all(definitions)
    }

    /// Removes allocations from defined configurations, all or none.
    ///
    /// # Errors
    /// Any [`Problem`] with the outcome; nothing has changed then.
    pub fn remove_allocations(
        &mut self,
        wanted: &[(SystemId, AllocationId)],
    ) -> Result<(), Problem> {
        let mut definitions = BTreeMap::new();
        for (system, id) in wanted {
            let definition = self.draft(&mut definitions, *system)?;
            if definition.allocation(*id).is_none() {
                return Err(no_allocation(*id));
            }
            definition.allocations.retain(|known| known.id != *id);
        }
        self.replace_all(definitions)
    }

    /// The copy of a definition that is being changed.
    fn draft<'a>(
        &self,
        drafts: &'a mut BTreeMap<SystemId, Definition>,
        id: SystemId,
    ) -> Result<&'a mut Definition, Problem> {
        let current = self.known(id)?.defined.clone();
        Ok(drafts.entry(id).or_insert(current))
    }

    /// Puts definitions in place of others, all or none.
    fn replace_all(&mut self, definitions: BTreeMap<SystemId, Definition>) -> Result<(), Problem> {
        for definition in definitions.values() {
            self.check(definition)?;
        }
        let mut done: Vec<(SystemId, Definition)> = Vec::new();
        for (id, definition) in definitions {
            let before = self.known(id)?.defined.clone();
            if let Err(problem) = self.replace(id, definition) {
                for (id, before) in done.into_iter().rev() {
                    // Where even this cannot be written, the client is told that the store failed.
                    let _ = self.replace(id, before);
                }
                return Err(problem);
            }
            done.push((id, before));
        }
        Ok(())
    }
}

pub(super) fn change_in(
    definition: &mut Definition,
    id: AllocationId,
    change: AllocationChange,
    host: &HostFacts,
    pools: &Ledger,
) -> Result<(), Problem> {
    let mut known = definition.allocations.iter_mut();
    let allocation = known
        .find(|known| known.id == id)
        .ok_or_else(|| no_allocation(id))?;
    apply::alter(change, allocation, host, pools)
}

fn no_allocation(id: AllocationId) -> Problem {
    Problem::new(
        ProblemKind::NotFound,
        "BH-ALLOCATION-UNKNOWN",
        format!("The system has no allocation {id}"),
        "",
    )
}
