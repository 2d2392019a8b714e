//! [`Ledger`]: what the host has, how it is divided into pools, and what of it is taken.

use crate::allocation::ResourceKind;
use crate::definition::Definition;
use crate::host::HostFacts;
use crate::id::SystemId;
use crate::pool::{Child, Pool, PoolId, PoolKind, Share};
use crate::problem::{Problem, ProblemKind};
use crate::resolve;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// What the host has and what of it is taken. A system takes what it needs when its start begins, and gives it back
/// when the machine says that it is off. Every figure is made of these facts when it is asked for, so that the levels
/// cannot drift apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    /// The physical CPUs.
    processors: BTreeSet<u32>,
    /// Bytes of RAM.
    memory: u64,
    children: BTreeMap<PoolId, Child>,
    holders: BTreeMap<SystemId, Need>,
}

/// What a system takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Need {
    /// Where its CPUs come from.
    processor_pool: PoolId,
    /// What they are promised together, in percent of one CPU.
    percent: u64,
    /// Virtual CPUs times 100.
    processors: u64,
    /// Where its RAM comes from.
    memory_pool: PoolId,
    /// Bytes.
    memory: u64,
}

impl Need {
    /// What it takes of a pool: promised, and in all.
    fn of(&self, pool: PoolId) -> (u64, u64) {
        if pool == self.processor_pool {
            (self.percent, self.processors)
        } else if pool == self.memory_pool {
            (self.memory, self.memory)
        } else {
            (0, 0)
        }
    }
}

impl Ledger {
    pub(crate) fn new(host: &HostFacts) -> Self {
        Ledger {
            processors: host.processors.iter().map(|known| known.number).collect(),
            memory: host.memory_bytes,
            children: BTreeMap::new(),
            holders: BTreeMap::new(),
        }
    }

    /// Every pool: the primordial ones, then those that clients made.
    #[must_use]
    pub fn pools(&self) -> Vec<Pool> {
        let primordial = PoolKind::ALL.map(PoolId::Primordial).into_iter();
        let all = primordial.chain(self.children.keys().copied());
        all.filter_map(|id| self.pool(id)).collect()
    }

    /// A pool, if it is there.
    #[must_use]
    pub fn pool(&self, id: PoolId) -> Option<Pool> {
        let child = match id {
            PoolId::Primordial(_) => None,
            PoolId::Child(..) => Some(self.children.get(&id)?),
        };
        let processors = self.processors_in(id);
        let capacity = match (child, id.kind()) {
            (Some(child), _) => child.share.amount(),
            (None, PoolKind::Memory) => self.memory,
            (None, PoolKind::Processor) => Share::Processors(processors.clone()).amount(),
        };
        let given = self.children_of(id).map(|(_, child)| child.share.amount());
        let given = given.fold(0, u64::saturating_add);
        let taken = self.holders.values().map(|need| need.of(id));
        let (reserved, consumed) = taken.fold((given, given), |sums, need| {
            (sums.0.saturating_add(need.0), sums.1.saturating_add(need.1))
        });
        Some(Pool {
            id,
            name: child.map(|child| child.name.clone()),
            parent: child.map(|child| child.parent),
            processors: processors.into_iter().collect(),
            capacity,
            reserved,
            consumed,
        })
    }

    /// The pool of a PoolID.
    #[must_use]
    pub fn find(&self, text: &str) -> Option<PoolId> {
        let id = PoolId::parse(text)?;
        self.is_there(id).then_some(id)
    }

    pub(crate) fn is_there(&self, id: PoolId) -> bool {
        matches!(id, PoolId::Primordial(_)) || self.children.contains_key(&id)
    }

    pub(crate) fn child(&self, id: PoolId) -> Option<&Child> {
        self.children.get(&id)
    }

    /// The child pools right below a pool.
    pub(crate) fn children_of(&self, id: PoolId) -> impl Iterator<Item = (PoolId, &Child)> {
        let children = self.children.iter();
        children.filter_map(move |(own, child)| (child.parent == id).then_some((*own, child)))
    }

    /// The systems that have something of a pool, apart from its child pools.
    pub(crate) fn holders_of(&self, id: PoolId) -> impl Iterator<Item = SystemId> {
        let holders = self.holders.iter();
        holders.filter_map(move |(system, need)| {
            (need.processor_pool == id || need.memory_pool == id).then_some(*system)
        })
    }

    /// The physical CPUs of a pool, with those that its child pools hold.
    fn processors_in(&self, id: PoolId) -> BTreeSet<u32> {
        match (id, self.children.get(&id)) {
            (PoolId::Primordial(PoolKind::Processor), _) => self.processors.clone(),
            (_, Some(child)) => match &child.share {
                Share::Processors(numbers) => numbers.clone(),
                Share::Memory(_) => BTreeSet::new(),
            },
            _ => BTreeSet::new(),
        }
    }

    /// The physical CPUs of a pool that no child pool holds.
    pub(crate) fn own_processors(&self, id: PoolId) -> BTreeSet<u32> {
        let mut own = self.processors_in(id);
        for (_, child) in self.children_of(id) {
            if let Share::Processors(held) = &child.share {
                own.retain(|number| !held.contains(number));
            }
        }
        own
    }

    /// The physical CPUs that may run a system that is on; none where any may.
    pub(crate) fn processors_for(&self, system: SystemId) -> Vec<u32> {
        let pool = self.holders.get(&system).map(|need| need.processor_pool);
        let own = pool.map(|pool| self.own_processors(pool));
        let own = own.filter(|own| *own != self.processors);
        own.unwrap_or_default().into_iter().collect()
    }

    /// The systems that are on.
    pub(crate) fn holders(&self) -> impl Iterator<Item = SystemId> {
        self.holders.keys().copied()
    }

    /// Takes what a system needs, all or nothing.
    pub(crate) fn take(&mut self, id: SystemId, active: &Definition) -> Result<(), Problem> {
        let need = self.need(active)?;
        let left = |pool| self.pool(pool).map_or(0, |pool| pool.left());
        let in_memory = left(need.memory_pool);
        if need.memory > in_memory {
            return Err(short(
                "BH-MEMORY-SHORT",
                format!(
                    "It needs {} MiB of memory, and {} MiB are left in {}",
                    need.memory >> 20,
                    in_memory >> 20,
                    need.memory_pool
                ),
            ));
        }
        let percent = left(need.processor_pool);
        if need.percent > percent {
            return Err(short(
                "BH-PROCESSOR-SHORT",
                format!(
                    "It reserves {} percent of a CPU, and {percent} percent are left in {}",
                    need.percent, need.processor_pool
                ),
            ));
        }
        if self.own_processors(need.processor_pool).is_empty() {
            return Err(short(
                "BH-PROCESSOR-SHORT",
                format!(
                    "All processors of {} belong to its child pools",
                    need.processor_pool
                ),
            ));
        }
        self.holders.insert(id, need);
        Ok(())
    }

    /// Takes what an adopted system has, whether it fits or not: it is there.
    pub(crate) fn adopt(&mut self, id: SystemId, active: &Definition) {
        let mut anywhere = active.clone();
        let need = self.need(active).or_else(|_| {
            // Its pool could not be read.
            for allocation in &mut anywhere.allocations {
                allocation.pool = None;
            }
            self.need(&anywhere)
        });
        if let Ok(need) = need {
            self.holders.insert(id, need);
        }
    }

    /// Gives back what a system took.
    pub(crate) fn give(&mut self, id: SystemId) {
        self.holders.remove(&id);
    }

    /// Puts a child pool in place of one with that identifier.
    pub(crate) fn put_child(&mut self, id: PoolId, child: Child) {
        self.children.insert(id, child);
    }

    pub(crate) fn remove_child(&mut self, id: PoolId) {
        self.children.remove(&id);
    }

    /// After a restart: pools give up CPUs that the machine does not have any more, and pools without their parent hang
    /// from the primordial one.
    pub(crate) fn forget_what_is_gone(&mut self) {
        let known: BTreeSet<PoolId> = self.children.keys().copied().collect();
        for (id, child) in &mut self.children {
            if let Share::Processors(numbers) = &mut child.share {
                numbers.retain(|number| self.processors.contains(number));
            }
            if matches!(child.parent, PoolId::Child(..)) && !known.contains(&child.parent) {
                child.parent = PoolId::Primordial(id.kind());
            }
        }
    }

    fn need(&self, active: &Definition) -> Result<Need, Problem> {
        let pool = |kind: ResourceKind, of: PoolKind| {
            let mut known = active.allocations.iter();
            let allocation = known.find(|known| known.resource.kind() == kind);
            match allocation.and_then(|allocation| allocation.pool.as_deref()) {
                None => Ok(PoolId::Primordial(of)),
                Some(text) => {
                    let found = self.find(text).filter(|found| found.kind() == of);
                    found.ok_or_else(|| no_pool(text))
                }
            }
        };
        let processors = u64::from(active.processors().unwrap_or(0));
        Ok(Need {
            processor_pool: pool(ResourceKind::Processor, PoolKind::Processor)?,
            percent: resolve::reservation(active),
            processors: processors.saturating_mul(100),
            memory_pool: pool(ResourceKind::Memory, PoolKind::Memory)?,
            memory: active.memory_bytes().unwrap_or(0),
        })
    }
}

pub(crate) fn no_pool(text: &str) -> Problem {
    Problem::new(
        ProblemKind::NotFound,
        "BH-POOL-UNKNOWN",
        format!("There is no pool \"{text}\""),
        "",
    )
}

fn short(id: &'static str, what: String) -> Problem {
    Problem::new(
        ProblemKind::Resources,
        id,
        what,
        "Turn another system off, or ask for less",
    )
}
