//! [`PoolId`], [`Pool`]: resource pools, those that the machine has and those that clients make of them.

use crate::allocation::ResourceKind;
use crate::node_memory::NodeMemory;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// What a pool holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PoolKind {
    /// Physical CPUs; amounts in percent of one.
    Processor,
    /// RAM; amounts in bytes.
    Memory,
}

impl PoolKind {
    /// All of them.
    pub const ALL: [PoolKind; 2] = [PoolKind::Processor, PoolKind::Memory];

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

    /// What PoolIDs begin with.
    const fn prefix(self) -> &'static str {
        match self {
            PoolKind::Processor => "processor/",
            PoolKind::Memory => "memory/",
        }
    }
}

/// A pool. The numbers of child pools count up over the life of the configuration store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PoolId {
    /// All that the machine has of a kind.
    Primordial(PoolKind),
    /// A part of another pool.
    Child(PoolKind, u64),
}

impl PoolId {
    /// What it holds.
    #[must_use]
    pub const fn kind(self) -> PoolKind {
        match self {
            PoolId::Primordial(kind) | PoolId::Child(kind, _) => kind,
        }
    }

    /// Reads a PoolID; `None` for what no pool of this host can be called.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let of = |kind: PoolKind| {
            let number = text.strip_prefix(kind.prefix())?;
            let id = match number {
                "primordial" => PoolId::Primordial(kind),
                number => PoolId::Child(kind, number.parse().ok()?),
            };
            // A number can be spelled in several ways, and only one of them is ours.
            (alloc::format!("{id}") == text).then_some(id)
        };
        PoolKind::ALL.into_iter().find_map(of)
    }
}

impl fmt::Display for PoolId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PoolId::Primordial(kind) => f.write_str(kind.primordial()),
            PoolId::Child(kind, number) => write!(f, "{}{number}", kind.prefix()),
        }
    }
}

/// A resource pool and its book-keeping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// PoolID.
    pub id: PoolId,
    /// What a client called it; `None` for a primordial pool.
    pub name: Option<String>,
    /// The pool that it is a part of; `None` for a primordial pool.
    pub parent: Option<PoolId>,
    /// The physical CPUs in it, in ascending order, with those that its child pools hold; none in a pool of memory.
    pub processors: Vec<u32>,
    /// The RAM in it by NUMA node, with that of its child pools; nothing in a pool of processors.
    pub memory: NodeMemory,
    /// What it has in all.
    pub capacity: u64,
    /// What is promised to systems that are on, and what child pools hold.
    pub reserved: u64,
    /// What systems that are on have (virtual CPUs times 100, or bytes), and what child pools hold.
    pub consumed: u64,
}

impl Pool {
    /// What is not promised to anybody.
    #[must_use]
    pub const fn left(&self) -> u64 {
        self.capacity.saturating_sub(self.reserved)
    }
}

/// What a child pool is to hold of its parent, as a client asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PoolShare {
    /// These physical CPUs.
    Processors(Vec<u32>),
    /// So many physical CPUs, whichever they are.
    ProcessorCount(u32),
    /// RAM.
    Memory {
        /// Bytes, a multiple of [`crate::MEMORY_INCREMENT`].
        bytes: u64,
        /// The NUMA node that it is to be on; `None`: any.
        node: Option<u32>,
    },
}

impl PoolShare {
    /// The kind of pool that can hold it.
    #[must_use]
    pub const fn kind(&self) -> PoolKind {
        match self {
            PoolShare::Processors(_) | PoolShare::ProcessorCount(_) => PoolKind::Processor,
            PoolShare::Memory { .. } => PoolKind::Memory,
        }
    }
}

/// What a child pool holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    /// Physical CPUs of its own.
    Processors(BTreeSet<u32>),
    /// Bytes of RAM.
    Memory(NodeMemory),
}

/// A pool that a client has made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Child {
    /// ElementName.
    pub(crate) name: String,
    /// The pool that it is a part of.
    pub(crate) parent: PoolId,
    /// What it holds.
    pub(crate) share: Share,
}

impl Share {
    /// Percent of a CPU, or bytes.
    pub(crate) fn amount(&self) -> u64 {
        match self {
            Share::Processors(numbers) => {
                let count = u64::try_from(numbers.len()).unwrap_or(u64::MAX);
                count.saturating_mul(100)
            }
            Share::Memory(memory) => memory.total(),
        }
    }
}
