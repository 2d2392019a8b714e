//! Dividing what the machine has into pools.
//!
//! A child pool takes what it holds out of its parent, whoever draws from it: physical CPUs of a child pool run only
//! what draws from that pool, also systems that are on already.

use super::{Domain, not_kept};
use crate::apply;
use crate::change::AllocationChange;
use crate::ledger::{Ledger, no_pool};
use crate::node_memory::NodeMemory;
use crate::notice::Notice;
use crate::pool::{Child, Pool, PoolId, PoolKind, PoolShare, Share};
use crate::problem::{Problem, ProblemKind};
use crate::{check, pool_record};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Child pools at once.
const MAX_POOLS: usize = 256;

impl Domain {
    /// Reads what a client says about a child pool as an allocation from its parent.
    ///
    /// # Errors
    /// [`ProblemKind::Invalid`].
    pub fn pool_share(
        &self,
        change: AllocationChange,
        kind: PoolKind,
    ) -> Result<PoolShare, Problem> {
        apply::pool_share(change, kind, &self.host)
    }

    /// Makes a child pool.
    ///
    /// # Errors
    /// [`ProblemKind::NotFound`], [`ProblemKind::Invalid`], [`ProblemKind::Resources`] where the parent has not so much
    /// left, [`ProblemKind::State`] where a processor is in use, [`ProblemKind::Store`], or why a system that is on cannot
    /// leave the processors; nothing has changed then.
    pub fn create_pool(
        &mut self,
        name: Option<String>,
        parent: PoolId,
        share: PoolShare,
    ) -> Result<PoolId, Problem> {
        let known = self.known_pool(parent)?;
        if self.ledger.pools().len() >= MAX_POOLS.saturating_add(PoolKind::ALL.len()) {
            let what = format!("There are {MAX_POOLS} child pools already");
            return Err(Problem::new(
                ProblemKind::Resources,
                "BH-POOLS",
                what,
                "Delete one first",
            ));
        }
        let id = PoolId::Child(parent.kind(), self.next_pool);
        let name = name.unwrap_or_else(|| id.to_string());
        check::name(&name, "ElementName")?;
        let share = self.granted(&known, share)?;
        let mut ledger = self.ledger.clone();
        ledger.put_child(
            id,
            Child {
                name,
                parent,
                share,
            },
        );
        // A number that is skipped because the rest fails does no harm.
        let next = self.next_pool.saturating_add(1);
        let number = next.to_string();
        self.keep
            .put(pool_record::NEXT_POOL, number.as_bytes())
            .map_err(not_kept)?;
        self.next_pool = next;
        self.rearrange(id, ledger)?;
        Ok(id)
    }

    /// Deletes a child pool; what it holds goes back to its parent.
    ///
    /// # Errors
    /// [`ProblemKind::State`] while a system or a child pool draws from it, also by its definition;
    /// [`ProblemKind::Unsupported`] for a primordial pool; [`ProblemKind::Store`], or why a system that is on cannot get
    /// the processors; nothing has changed then.
    pub fn delete_pool(&mut self, id: PoolId) -> Result<(), Problem> {
        self.known_child(id)?;
        if let Some((child, _)) = self.ledger.children_of(id).next() {
            let what = format!("The pool {child} is a part of it");
            return Err(in_use(what, "Delete that pool first"));
        }
        if let Some(system) = self.ledger.holders_of(id).next() {
            let name = self.known(system)?.defined.name.clone();
            let what = format!("The system {name} is on and draws from it");
            return Err(in_use(what, "Turn the system off"));
        }
        let text = id.to_string();
        let named = self.systems().find(|system| {
            let mut allocations = system.defined.allocations.iter();
            allocations.any(|allocation| allocation.pool.as_ref() == Some(&text))
        });
        if let Some(system) = named {
            let what = format!("The definition of {} draws from it", system.defined.name);
            return Err(in_use(what, "Change the PoolID of its allocation first"));
        }
        let mut ledger = self.ledger.clone();
        ledger.remove_child(id);
        self.rearrange(id, ledger)
    }

    /// Moves physical CPUs of the parent into a child pool.
    ///
    /// # Errors
    /// As [`Domain::create_pool`].
    pub fn add_to_pool(&mut self, id: PoolId, numbers: &[u32]) -> Result<(), Problem> {
        let mut child = self.known_child(id)?;
        let Share::Processors(held) = &mut child.share else {
            return Err(only_processors());
        };
        let parent = self.known_pool(child.parent)?;
        let added = self.free_processors(&parent, numbers)?;
        held.extend(added);
        let mut ledger = self.ledger.clone();
        ledger.put_child(id, child);
        self.rearrange(id, ledger)
    }

    /// Moves physical CPUs of a child pool back into its parent.
    ///
    /// # Errors
    /// As [`Domain::create_pool`].
    pub fn remove_from_pool(&mut self, id: PoolId, numbers: &[u32]) -> Result<(), Problem> {
        let mut child = self.known_child(id)?;
        let pool = self.known_pool(id)?;
        let Share::Processors(held) = &mut child.share else {
            return Err(only_processors());
        };
        let removed = self.free_processors(&pool, numbers)?;
        held.retain(|number| !removed.contains(number));
        let mut ledger = self.ledger.clone();
        ledger.put_child(id, child);
        self.rearrange(id, ledger)
    }

    /// Gives a child pool another parent, and where `share` says so another size. Physical CPUs that the new parent has
    /// no claim to stay behind: the pool gets others of the same number there.
    ///
    /// # Errors
    /// As [`Domain::create_pool`]; [`ProblemKind::Invalid`] for a parent that is a part of the pool.
    pub fn change_pool(
        &mut self,
        id: PoolId,
        parent: PoolId,
        share: Option<PoolShare>,
    ) -> Result<(), Problem> {
        let child = self.known_child(id)?;
        self.known_pool(parent)?;
        if parent.kind() != id.kind() {
            return Err(wrong_kind(parent));
        }
        let mut above = Some(parent);
        while let Some(pool) = above {
            if pool == id {
                let what = format!("The pool {parent} is a part of {id}");
                let fix = "Name a pool that is not";
                let problem = Problem::new(ProblemKind::Invalid, "BH-POOL-PARENT", what, fix);
                return Err(problem.at("ParentPool"));
            }
            above = self.ledger.child(pool).map(|child| child.parent);
        }
        let mut ledger = self.ledger.clone();
        // As if it were not there yet, so that its own share counts as free.
        ledger.remove_child(id);
        let free = core::mem::replace(&mut self.ledger, ledger.clone());
        let known = self.known_pool(parent);
        let same_place = child.parent == parent;
        let wanted = share.unwrap_or_else(|| match &child.share {
            Share::Processors(numbers) if same_place => {
                PoolShare::Processors(numbers.iter().copied().collect())
            }
            Share::Processors(numbers) => {
                PoolShare::ProcessorCount(u32::try_from(numbers.len()).unwrap_or(u32::MAX))
            }
            Share::Memory(memory) => PoolShare::Memory {
                bytes: memory.total(),
                node: None,
            },
        });
        let granted = known.and_then(|known| match (&child.share, &wanted) {
            (Share::Processors(held), PoolShare::ProcessorCount(count)) => {
                self.keeping(&known, held, *count)
            }
            (Share::Memory(held), PoolShare::Memory { bytes, node }) => {
                // What is in use in it stays where it is.
                let used = free.memory_taken(id);
                let like = [&used, &held.without(&used)];
                self.granted_memory(&known, *bytes, *node, &like)
            }
            _ => self.granted(&known, wanted),
        });
        self.ledger = free;
        ledger.put_child(
            id,
            Child {
                share: granted?,
                parent,
                ..child
            },
        );
        self.rearrange(id, ledger)
    }

    /// So many processors that a pool can give away, with preference for those held already.
    fn keeping(&self, pool: &Pool, held: &BTreeSet<u32>, count: u32) -> Result<Share, Problem> {
        let free = self.ledger.free_processors(pool.id);
        let wanted = usize::try_from(count).unwrap_or(usize::MAX);
        let first = held.intersection(&free);
        // The last ones, because the first ones have more to do with the machine itself.
        let others = free.iter().rev().filter(|number| !held.contains(number));
        let taken: BTreeSet<u32> = first.chain(others).take(wanted).copied().collect();
        if taken.len() < wanted {
            let what = format!(
                "{count} processors are more than the {} that {} can give away",
                free.len(),
                pool.id
            );
            return Err(short(what));
        }
        Ok(Share::Processors(taken))
    }

    /// What a pool gives to a new child.
    fn granted(&self, parent: &Pool, share: PoolShare) -> Result<Share, Problem> {
        if share.kind() != parent.id.kind() {
            return Err(wrong_kind(parent.id));
        }
        match share {
            PoolShare::Memory { bytes, node } => self.granted_memory(parent, bytes, node, &[]),
            PoolShare::ProcessorCount(count) => self.keeping(parent, &BTreeSet::new(), count),
            PoolShare::Processors(numbers) => self
                .free_processors(parent, &numbers)
                .map(Share::Processors),
        }
    }

    /// So much memory of a pool, of one node where it is given, else with preference for what is `like` this.
    fn granted_memory(
        &self,
        parent: &Pool,
        bytes: u64,
        node: Option<u32>,
        like: &[&NodeMemory],
    ) -> Result<Share, Problem> {
        let free = self.ledger.memory_free(parent.id);
        let node = node.map(|node| usize::try_from(node).unwrap_or(usize::MAX));
        let (left, place) = match node {
            Some(node) => (free.on(node), format!(" of NUMA node {node}")),
            None => (parent.left(), String::new()),
        };
        let chosen = free.choose(bytes, node, like).filter(|_| bytes <= left);
        chosen.map(Share::Memory).ok_or_else(|| {
            short(format!(
                "{} MiB{place} are more than the {} MiB that {} has left",
                bytes >> 20,
                left >> 20,
                parent.id
            ))
        })
    }

    /// These processors of a pool, none of which may belong to a child pool.
    fn free_processors(&self, pool: &Pool, numbers: &[u32]) -> Result<BTreeSet<u32>, Problem> {
        if numbers.is_empty() {
            let what = "It names no processor";
            let problem = Problem::new(ProblemKind::Invalid, "BH-POOL-EMPTY", what, "Name one");
            return Err(problem.at("HostResources"));
        }
        let refusal = |number: &u32| self.ledger.why_not_free(pool.id, *number);
        match numbers.iter().find_map(refusal) {
            None => Ok(numbers.iter().copied().collect()),
            Some((what, fix)) => Err(in_use(what, fix)),
        }
    }

    fn known_pool(&self, id: PoolId) -> Result<Pool, Problem> {
        let pool = self.ledger.pool(id);
        pool.ok_or_else(|| no_pool(&id.to_string()))
    }

    fn known_child(&self, id: PoolId) -> Result<Child, Problem> {
        self.known_pool(id)?;
        let child = self.ledger.child(id).cloned();
        child.ok_or_else(|| {
            Problem::new(
                ProblemKind::Unsupported,
                "BH-POOL-PRIMORDIAL",
                format!("The pool {id} is all that the machine has of its kind, and cannot change"),
                "Name a child pool",
            )
        })
    }

    /// Puts another division in place of this one: judged, carried out on what runs, and kept, or nothing of it.
    fn rearrange(&mut self, changed: PoolId, ledger: Ledger) -> Result<(), Problem> {
        judge(&self.ledger, &ledger)?;
        let moved = self.carry_out(&ledger, &BTreeMap::new())?;
        let name = pool_record::pool_name(changed);
        let kept = match ledger.child(changed) {
            Some(child) => self.keep.put(&name, &pool_record::encode(changed, child)),
            None => self.keep.remove(&name),
        };
        if let Err(fault) = kept {
            self.undo(moved);
            return Err(not_kept(fault));
        }
        let before = self.ledger.pools();
        self.ledger = ledger;
        let after = self.ledger.pools();
        self.notices.add(Notice::PoolsModified { before, after });
        Ok(())
    }

    /// Reads the child pools. Also tells what could not be read.
    pub(super) fn load_pools(&mut self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let kept = self.keep.entries(pool_record::NEXT_POOL).into_iter().next();
        let number = kept.and_then(|(_, value)| core::str::from_utf8(&value).ok()?.parse().ok());
        let mut next: u64 = number.unwrap_or(1);
        for (name, value) in self.keep.entries(pool_record::POOLS) {
            match pool_record::decode(&value) {
                Some((id, child)) if pool_record::pool_name(id) == name => {
                    if let PoolId::Child(_, number) = id {
                        next = next.max(number.saturating_add(1));
                    }
                    self.ledger.put_child(id, child);
                }
                _ => problems.push(Problem::new(
                    ProblemKind::Store,
                    "BH-UNREADABLE",
                    format!("The pool that is kept as {name} cannot be read and is left alone"),
                    "",
                )),
            }
        }
        self.next_pool = next;
        self.ledger.forget_what_is_gone();
        problems
    }
}

/// Whether every level can carry what is promised, or at least no worse than before: the machine may have become smaller.
fn judge(before: &Ledger, ledger: &Ledger) -> Result<(), Problem> {
    for pool in ledger.pools() {
        let excess = |pool: &Pool| pool.reserved.saturating_sub(pool.capacity);
        if excess(&pool) > before.pool(pool.id).map_or(0, |known| excess(&known)) {
            let what = match pool.id.kind() {
                PoolKind::Memory => format!(
                    "{} would have {} MiB, and {} MiB of it are promised",
                    pool.id,
                    pool.capacity >> 20,
                    pool.reserved >> 20
                ),
                PoolKind::Processor => format!(
                    "{} would have {} percent of a CPU, and {} percent are promised",
                    pool.id, pool.capacity, pool.reserved
                ),
            };
            return Err(short(what));
        }
        let outside = |(_, child): &(PoolId, &Child)| match &child.share {
            Share::Processors(held) => held.iter().any(|held| !pool.processors.contains(held)),
            Share::Memory(_) => false,
        };
        let taken = ledger.memory_taken(pool.id);
        if !pool.memory.covers(&taken)
            && before
                .pool(pool.id)
                .is_none_or(|known| known.memory.covers(&before.memory_taken(pool.id)))
        {
            let what = format!(
                "Memory of {} is in use on a NUMA node where it would have less",
                pool.id
            );
            return Err(short(what));
        }
        if let Some((child, _)) = ledger.children_of(pool.id).find(outside) {
            return Err(in_use(
                format!(
                    "The pool {child} holds a processor that {} would lose",
                    pool.id
                ),
                "Remove the processor from that pool first",
            ));
        }
        // The machine itself runs on the primordial pool, with the management partition.
        if pool.id == PoolId::Primordial(PoolKind::Processor)
            && ledger.own_processors(pool.id).is_empty()
        {
            return Err(short(format!(
                "{} would have no processor left of its own, and the host needs one",
                pool.id
            )));
        }
    }
    let fix = "Turn systems off, or leave the pool a processor";
    ledger
        .judge_against(before)
        .map_err(|what| in_use(what, fix))
}

fn short(what: String) -> Problem {
    let fix = "Ask for less";
    Problem::new(ProblemKind::Resources, "BH-POOL-SHORT", what, fix)
}

fn in_use(what: String, fix: &str) -> Problem {
    Problem::new(ProblemKind::State, "BH-POOL-IN-USE", what, fix)
}

fn wrong_kind(pool: PoolId) -> Problem {
    let what = match pool.kind() {
        PoolKind::Processor => format!("The pool {pool} has processors and nothing else"),
        PoolKind::Memory => format!("The pool {pool} has memory and nothing else"),
    };
    let fix = "Name a pool of that kind";
    Problem::new(ProblemKind::Invalid, "BH-POOL-KIND", what, fix)
}

fn only_processors() -> Problem {
    Problem::new(
        ProblemKind::Unsupported,
        "BH-POOL-WHOLE",
        "Memory does not change pools by whole devices",
        "Use ChangeParentResourcePool with settings to make a pool of memory larger or smaller",
    )
}
