//! [`Ledger`]: what the host has, how it is divided into pools, and what of it is taken.

mod choice;
mod need;

use self::need::{Claim, Need};
use crate::allocation::ResourceKind;
use crate::definition::Definition;
use crate::host::HostFacts;
use crate::id::SystemId;
use crate::node_memory::NodeMemory;
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
    /// Those on which other things run, with what it is.
    held: BTreeMap<u32, String>,
    /// How much of a CPU can be promised to those that share it, in percent.
    reservable: u64,
    /// The RAM.
    memory: NodeMemory,
    children: BTreeMap<PoolId, Child>,
    holders: BTreeMap<SystemId, Need>,
}

impl Ledger {
    pub(crate) fn new(host: &HostFacts) -> Self {
        let held = host.processors.iter();
        let held = held.filter_map(|known| Some((known.number, known.held_by.clone()?)));
        Ledger {
            held: held.collect(),
            reservable: host.reservable_percent.into(),
            processors: host.processors.iter().map(|known| known.number).collect(),
            memory: host.nodes.clone(),
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
            (None, PoolKind::Memory) => self.memory.total(),
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
            memory: self.memory_in(id),
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

    /// The RAM of a pool, with that of its child pools.
    fn memory_in(&self, id: PoolId) -> NodeMemory {
        match (id, self.children.get(&id)) {
            (PoolId::Primordial(PoolKind::Memory), _) => self.memory.clone(),
            (_, Some(child)) => match &child.share {
                Share::Memory(memory) => memory.clone(),
                Share::Processors(_) => NodeMemory::default(),
            },
            _ => NodeMemory::default(),
        }
    }

    /// The RAM of a pool that child pools and systems have.
    pub(crate) fn memory_taken(&self, id: PoolId) -> NodeMemory {
        let mut taken = NodeMemory::default();
        for (_, child) in self.children_of(id) {
            if let Share::Memory(memory) = &child.share {
                taken.add_all(memory);
            }
        }
        for need in self.holders.values().filter(|need| need.memory_pool == id) {
            taken.add_all(&need.memory);
        }
        taken
    }

    /// The RAM of a pool that nobody has.
    pub(crate) fn memory_free(&self, id: PoolId) -> NodeMemory {
        self.memory_in(id).without(&self.memory_taken(id))
    }

    /// The RAM of a system that is on.
    #[must_use]
    pub fn memory_of(&self, system: SystemId) -> NodeMemory {
        let need = self.holders.get(&system);
        need.map(|need| need.memory.clone()).unwrap_or_default()
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

    /// The physical CPUs that systems own.
    fn owned(&self) -> impl Iterator<Item = u32> {
        let owned = self.holders.values().filter_map(Need::owned);
        owned.flatten().copied()
    }

    /// The physical CPUs of a pool that neither a child pool nor a system holds: whoever draws from the pool shares them.
    pub(crate) fn shared_processors(&self, id: PoolId) -> BTreeSet<u32> {
        let mut shared = self.own_processors(id);
        for owned in self.owned() {
            shared.remove(&owned);
        }
        shared
    }

    /// Those of them that can be given away, and on which nothing else runs.
    pub(crate) fn free_processors(&self, id: PoolId) -> BTreeSet<u32> {
        let mut free = self.shared_processors(id);
        free.retain(|number| !self.held.contains_key(number));
        free
    }

    /// Why a physical CPU of a pool cannot be given away; `None` where it can.
    pub(crate) fn why_not_free(&self, id: PoolId, number: u32) -> Option<(String, &'static str)> {
        if !self.own_processors(id).contains(&number) {
            return Some((
                format!("The processor {number} does not belong to {id} itself"),
                "Name one that does: an associator of that pool by CIM_ConcreteComponent and of none of its child pools",
            ));
        }
        if let Some(holder) = self.held.get(&number) {
            let what = format!("The processor {number} runs {holder}, and stays where it is");
            return Some((what, "Name another one"));
        }
        let owned = self.owned().any(|owned| owned == number);
        let what = || format!("The processor {number} is dedicated to a system that is on");
        owned.then(|| (what(), "Turn that system off, or name another processor"))
    }

    /// The physical CPUs that run a system that is on, or may: one for each of its CPUs where it owns them.
    #[must_use]
    pub fn runs_on(&self, system: SystemId) -> BTreeSet<u32> {
        let Some(need) = self.holders.get(&system) else {
            return BTreeSet::new();
        };
        let shared = || self.shared_processors(need.processor_pool);
        let within = |named: &BTreeSet<u32>| -> BTreeSet<u32> {
            let shared = shared();
            named.intersection(&shared).copied().collect()
        };
        match &need.claim {
            Claim::Own(owned) => owned.clone(),
            Claim::Hard(named) => within(named),
            Claim::Soft(named) => Some(within(named))
                .filter(|within| !within.is_empty())
                .unwrap_or_else(shared),
            Claim::Any => shared(),
        }
    }

    /// Whether a system owns the physical CPUs that run it.
    #[must_use]
    pub fn owns_processors(&self, system: SystemId) -> bool {
        let need = self.holders.get(&system);
        need.is_some_and(|need| need.owned().is_some())
    }

    /// The physical CPUs that may run a system that is on; none where any may.
    pub(crate) fn processors_for(&self, system: SystemId) -> Vec<u32> {
        let runs_on = self.runs_on(system);
        if runs_on == self.processors {
            return Vec::new();
        }
        runs_on.into_iter().collect()
    }

    /// The systems that are on.
    pub(crate) fn holders(&self) -> impl Iterator<Item = SystemId> {
        self.holders.keys().copied()
    }

    /// Takes what a system needs, all or nothing. Chooses the processors that it is to own, where it does not say which, and
    /// the nodes of its memory, which is `memory` where it has that already.
    pub(crate) fn take(
        &mut self,
        id: SystemId,
        active: &mut Definition,
        memory: &NodeMemory,
    ) -> Result<(), Problem> {
        self.choose(active)?;
        let mut need = self.need(active)?;
        let left = |pool| self.pool(pool).map_or(0, |pool| pool.left());
        let bytes = active.memory_bytes().unwrap_or(0);
        let in_memory = left(need.memory_pool);
        if bytes > in_memory {
            return Err(short(
                "BH-MEMORY-SHORT",
                format!(
                    "It needs {} MiB of memory, and {} MiB are left in {}",
                    bytes >> 20,
                    in_memory >> 20,
                    need.memory_pool
                ),
            ));
        }
        let free = self.memory_free(need.memory_pool);
        let node = resolve::memory_node(active);
        let chosen = free.choose(bytes, node, &[memory]);
        need.memory = chosen.ok_or_else(|| {
            let node = node.unwrap_or(0);
            let what = format!(
                "It needs {} MiB of memory of NUMA node {node}, and {} MiB of that node are left in {}",
                bytes >> 20,
                free.on(node) >> 20,
                need.memory_pool
            );
            short("BH-MEMORY-SHORT", what)
        })?;
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
        let pool = need.processor_pool;
        let before = self.clone();
        self.holders.insert(id, need);
        if let Err(what) = self.judge_against(&before) {
            let problem = match self.runs_on(id).is_empty() {
                true => format!("Systems own all processors of {pool} that it could run on"),
                false => what,
            };
            *self = before;
            return Err(short("BH-PROCESSOR-SHORT", problem));
        }
        Ok(())
    }

    /// Whether every system has a CPU to run on, and all that is promised can be kept; or at least no worse than before. The
    /// sentence says what is not.
    pub(crate) fn judge_against(&self, before: &Ledger) -> Result<(), String> {
        for (id, need) in &self.holders {
            if !self.is_served(*id) && (!before.holders.contains_key(id) || before.is_served(*id)) {
                let pool = need.processor_pool;
                return Err(match need.claim {
                    Claim::Own(_) => {
                        format!("A processor of {pool} is dedicated to a system that is on")
                    }
                    Claim::Hard(_) => format!(
                        "A system that is on has an affinity to processors of {pool}, and would have none of them left"
                    ),
                    Claim::Any | Claim::Soft(_) => {
                        format!("{pool} would have no processor left for the systems that share it")
                    }
                });
            }
        }
        for pool in self.pools() {
            let (promised, room) = self.promises(pool.id);
            let excess = promised.saturating_sub(room);
            let (promised_before, room_before) = before.promises(pool.id);
            if excess > promised_before.saturating_sub(room_before) {
                return Err(format!(
                    "{promised} percent of a processor are promised to the systems that share {}, which has {room} for them",
                    pool.id
                ));
            }
        }
        Ok(())
    }

    /// Whether a system has CPUs to run on that nobody else has a right to.
    fn is_served(&self, id: SystemId) -> bool {
        let Some(need) = self.holders.get(&id) else {
            return false;
        };
        let Some(owned) = need.owned() else {
            return !self.runs_on(id).is_empty();
        };
        let own = self.own_processors(need.processor_pool);
        let once = |number: &u32| self.owned().filter(|owned| owned == number).count() == 1;
        owned
            .iter()
            .all(|number| own.contains(number) && !self.held.contains_key(number) && once(number))
    }

    /// What is promised to those that share a pool's processors, and what can be, in percent of a CPU.
    fn promises(&self, pool: PoolId) -> (u64, u64) {
        let sharing = self.holders.values();
        let sharing = sharing.filter(|need| need.processor_pool == pool && need.owned().is_none());
        let promised = sharing
            .map(|need| need.percent)
            .fold(0, u64::saturating_add);
        let shared = u64::try_from(self.shared_processors(pool).len()).unwrap_or(u64::MAX);
        (promised, shared.saturating_mul(self.reservable))
    }

    /// Takes what an adopted system has, whether it fits or not: it is there.
    pub(crate) fn adopt(&mut self, id: SystemId, active: &Definition, memory: Option<NodeMemory>) {
        let mut anywhere = active.clone();
        let need = self.need(active).or_else(|_| {
            // Its pool could not be read.
            for allocation in &mut anywhere.allocations {
                allocation.pool = None;
            }
            self.need(&anywhere)
        });
        if let Ok(mut need) = need {
            let bytes = active.memory_bytes().unwrap_or(0);
            let known = memory.filter(|memory| memory.total() == bytes);
            need.memory = known.unwrap_or_else(|| {
                let free = self.memory_free(need.memory_pool);
                let node = resolve::memory_node(active);
                let chosen = free.choose(bytes, node, &[]);
                chosen.unwrap_or_else(|| NodeMemory::of_node(node.unwrap_or(0), bytes))
            });
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
                numbers.retain(|number| {
                    self.processors.contains(number) && !self.held.contains_key(number)
                });
            }
            if let Share::Memory(memory) = &mut child.share {
                // Memory of nodes that are not there any more counts for the first one.
                let mut there = NodeMemory::default();
                for node in memory.used_nodes() {
                    let known = node < self.memory.nodes();
                    there.add(if known { node } else { 0 }, memory.on(node));
                }
                *memory = there;
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
            claim: Claim::of(active),
            memory_pool: pool(ResourceKind::Memory, PoolKind::Memory)?,
            memory: NodeMemory::default(),
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
