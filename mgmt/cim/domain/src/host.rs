//! [`HostFacts`]: what the machine has for virtual systems.

use crate::node_memory::NodeMemory;
use alloc::string::String;
use alloc::vec::Vec;

/// What the machine has. The machine reports it at the start and it does not change until the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostFacts {
    /// Name of the host system, unique in its network and the same after a restart.
    pub name: String,
    /// Bytes of RAM that virtual systems may have together, a multiple of [`crate::MEMORY_INCREMENT`].
    pub memory_bytes: u64,
    /// The same by NUMA node.
    pub nodes: NodeMemory,
    /// The physical CPUs that run virtual systems.
    pub processors: Vec<HostProcessor>,
    /// Most virtual CPUs of one system.
    pub max_processors: u32,
    /// Fewest bytes of RAM of one system.
    pub min_memory_bytes: u64,
    /// How much of each physical CPU can be promised to systems that share it, in percent.
    pub reservable_percent: u32,
    /// Most virtual systems that run at once.
    pub max_running: usize,
}

/// A physical CPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostProcessor {
    /// The hypervisor's number for it.
    pub number: u32,
    /// What it says about itself.
    pub model: String,
    /// Its clock in MHz; 0 where it is not known.
    pub megahertz: u32,
    /// What else runs on it, for sentences: the partitions that the host itself is made of. Such a CPU stays in the primordial
    /// pool, and no system can own it.
    pub held_by: Option<String>,
}

impl HostFacts {
    /// What else runs on a physical CPU.
    #[must_use]
    pub fn held_by(&self, number: u32) -> Option<&str> {
        let mut known = self.processors.iter();
        let processor = known.find(|known| known.number == number)?;
        processor.held_by.as_deref()
    }

    /// What can be promised to so many CPUs of one system, in percent of one physical CPU.
    #[must_use]
    pub fn reservable(&self, processors: u32) -> u64 {
        let physical = u64::try_from(self.processors.len()).unwrap_or(u64::MAX);
        u64::from(processors)
            .min(physical)
            .saturating_mul(self.reservable_percent.into())
    }
}
