//! [`Ledger`]: what the host has and what of it is taken.

use crate::allocation::ResourceKind;
use crate::definition::Definition;
use crate::host::HostFacts;
use crate::problem::{Problem, ProblemKind};
use crate::resolve;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// What a pool holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PoolKind {
    /// Physical CPUs; amounts in percent of one.
    Processor,
    /// RAM; amounts in bytes.
    Memory,
}

/// A resource pool and its book-keeping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// PoolID.
    pub id: String,
    /// What it holds.
    pub kind: PoolKind,
    /// What it has in all.
    pub capacity: u64,
    /// What is promised to systems that are on.
    pub reserved: u64,
    /// What systems that are on have: virtual CPUs times 100, or bytes.
    pub consumed: u64,
}

impl PoolKind {
    /// PoolID of the primordial pool.
    #[must_use]
    pub const fn primordial(self) -> &'static str {
        match self {
            PoolKind::Processor => "processor/primordial",
            PoolKind::Memory => "memory/primordial",
        }
    }

    /// The pool that a kind of resource comes from; `None` where it costs nothing that is counted.
    #[must_use]
    pub const fn of(kind: ResourceKind) -> Option<Self> {
        match kind {
            ResourceKind::Processor => Some(PoolKind::Processor),
            ResourceKind::Memory => Some(PoolKind::Memory),
            ResourceKind::Console | ResourceKind::Entropy => None,
        }
    }
}

/// What the host has and what of it is taken. A system takes what it needs when its start begins, and gives it back
/// when the machine says that it is off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    processor: Pool,
    memory: Pool,
}

/// What a system takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Need {
    percent: u64,
    processors: u64,
    memory: u64,
}

impl Need {
    fn of(active: &Definition) -> Self {
        let processors = u64::from(active.processors().unwrap_or(0));
        Need {
            percent: resolve::reservation(active),
            processors: processors.saturating_mul(100),
            memory: active.memory_bytes().unwrap_or(0),
        }
    }
}

impl Ledger {
    pub(crate) fn new(host: &HostFacts) -> Self {
        let pool = |kind: PoolKind, capacity| Pool {
            id: kind.primordial().into(),
            kind,
            capacity,
            reserved: 0,
            consumed: 0,
        };
        Ledger {
            processor: pool(PoolKind::Processor, host.processor_percent()),
            memory: pool(PoolKind::Memory, host.memory_bytes),
        }
    }

    /// Every pool.
    #[must_use]
    pub fn pools(&self) -> Vec<Pool> {
        Vec::from([self.processor.clone(), self.memory.clone()])
    }

    /// The pool of an identifier.
    #[must_use]
    pub fn pool(&self, id: &str) -> Option<Pool> {
        self.pools().into_iter().find(|pool| pool.id == id)
    }

    /// Takes what a system needs, all or nothing.
    pub(crate) fn take(&mut self, active: &Definition) -> Result<(), Problem> {
        let need = Need::of(active);
        let left = self.memory.capacity.saturating_sub(self.memory.reserved);
        if need.memory > left {
            return Err(short(
                "BH-MEMORY-SHORT",
                format!(
                    "It needs {} MiB of memory, and {} MiB are left in {}",
                    need.memory >> 20,
                    left >> 20,
                    self.memory.id
                ),
            ));
        }
        let left = self
            .processor
            .capacity
            .saturating_sub(self.processor.reserved);
        if need.percent > left {
            return Err(short(
                "BH-PROCESSOR-SHORT",
                format!(
                    "It reserves {} percent of a CPU, and {left} percent are left in {}",
                    need.percent, self.processor.id
                ),
            ));
        }
        self.memory.reserved = self.memory.reserved.saturating_add(need.memory);
        self.memory.consumed = self.memory.reserved;
        self.processor.reserved = self.processor.reserved.saturating_add(need.percent);
        self.processor.consumed = self.processor.consumed.saturating_add(need.processors);
        Ok(())
    }

    /// Takes what an adopted system has, whether it fits or not: it is there.
    pub(crate) fn adopt(&mut self, active: &Definition) {
        let need = Need::of(active);
        self.memory.reserved = self.memory.reserved.saturating_add(need.memory);
        self.memory.consumed = self.memory.reserved;
        self.processor.reserved = self.processor.reserved.saturating_add(need.percent);
        self.processor.consumed = self.processor.consumed.saturating_add(need.processors);
    }

    /// Gives back what a system took.
    pub(crate) fn give(&mut self, active: &Definition) {
        let need = Need::of(active);
        self.memory.reserved = self.memory.reserved.saturating_sub(need.memory);
        self.memory.consumed = self.memory.reserved;
        self.processor.reserved = self.processor.reserved.saturating_sub(need.percent);
        self.processor.consumed = self.processor.consumed.saturating_sub(need.processors);
    }
}

fn short(id: &'static str, what: String) -> Problem {
    Problem::new(
        ProblemKind::Resources,
        id,
        what,
        "Turn another system off, or ask for less",
    )
}
