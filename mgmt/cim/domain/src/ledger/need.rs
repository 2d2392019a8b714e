//! [`Need`]: what a system takes of the host while it is on.

use crate::allocation::Mapping;
use crate::definition::Definition;
use crate::node_memory::NodeMemory;
use crate::pool::PoolId;
use crate::resolve;
use alloc::collections::BTreeSet;

/// What a system takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Need {
    /// Where its CPUs come from.
    pub(super) processor_pool: PoolId,
    /// What they are promised together, in percent of one CPU.
    pub(super) percent: u64,
    /// Virtual CPUs times 100.
    pub(super) processors: u64,
    /// Which physical CPUs.
    pub(super) claim: Claim,
    /// Where its RAM comes from.
    pub(super) memory_pool: PoolId,
    /// Its RAM.
    pub(super) memory: NodeMemory,
}

/// Which physical CPUs of its pool a system has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// Any that nobody owns.
    Any,
    /// These as far as nobody owns them, else any.
    Soft(BTreeSet<u32>),
    /// Only these, as far as nobody owns them.
    Hard(BTreeSet<u32>),
    /// It owns these.
    Own(BTreeSet<u32>),
}

impl Claim {
    /// The claim of a definition whose choices are all made.
    pub(super) fn of(active: &Definition) -> Self {
        let Some(settings) = resolve::processor_settings(active) else {
            return Claim::Any;
        };
        let named: BTreeSet<u32> = settings.cpus.iter().copied().collect();
        match settings.mapping {
            Some(_) if named.is_empty() => Claim::Any,
            Some(Mapping::Dedicated) => Claim::Own(named),
            Some(Mapping::HardAffinity) => Claim::Hard(named),
            Some(Mapping::SoftAffinity) => Claim::Soft(named),
            None => Claim::Any,
        }
    }
}

impl Need {
    /// What it takes of a pool: promised, and in all.
    pub(super) fn of(&self, pool: PoolId) -> (u64, u64) {
        if pool == self.processor_pool {
            (self.percent, self.processors)
        } else if pool == self.memory_pool {
            (self.memory.total(), self.memory.total())
        } else {
            (0, 0)
        }
    }

    /// The physical CPUs that it owns.
    pub(super) fn owned(&self) -> Option<&BTreeSet<u32>> {
        match &self.claim {
            Claim::Own(owned) => Some(owned),
            _ => None,
        }
    }
}
