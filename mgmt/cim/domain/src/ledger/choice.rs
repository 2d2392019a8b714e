//! Choosing the physical CPUs that a system is to own.

use super::{Ledger, short};
use crate::allocation::{Mapping, Resource};
use crate::definition::Definition;
use crate::problem::{Problem, ProblemKind};
use alloc::format;

impl Ledger {
    /// Checks the physical CPUs that a definition names, or chooses them where they are to be its own.
    ///
    /// # Errors
    /// [`ProblemKind::State`] for a CPU that it cannot have; [`ProblemKind::Resources`] where there are not enough.
    pub(super) fn choose(&self, active: &mut Definition) -> Result<(), Problem> {
        let pool = self.need(active)?.processor_pool;
        for allocation in &mut active.allocations {
            let Resource::Processor(settings) = &mut allocation.resource else {
                continue;
            };
            if settings.mapping != Some(Mapping::Dedicated) {
                continue;
            }
            if settings.cpus.is_empty() {
                let count = usize::try_from(settings.count.unwrap_or(1)).unwrap_or(usize::MAX);
                let free = self.free_processors(pool);
                if free.len() < count {
                    return Err(short(
                        "BH-PROCESSOR-SHORT",
                        format!(
                            "It needs {count} processors of its own, and {pool} has {} that nobody owns",
                            free.len()
                        ),
                    ));
                }
                // The last ones, because the first ones have more to do with the machine itself.
                settings.cpus = free.into_iter().rev().take(count).collect();
                settings.cpus.sort_unstable();
                continue;
            }
            let refusal = |number: &u32| self.why_not_free(pool, *number);
            if let Some((what, fix)) = settings.cpus.iter().find_map(refusal) {
                let problem = Problem::new(ProblemKind::State, "BH-PROCESSOR-TAKEN", what, fix);
                return Err(problem.at("HostResource"));
            }
        }
        Ok(())
    }
}
