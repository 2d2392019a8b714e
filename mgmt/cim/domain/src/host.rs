//! [`HostFacts`]: what the machine has for virtual systems.

use alloc::string::String;
use alloc::vec::Vec;

/// What the machine has. The machine reports it at the start and it does not change until the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostFacts {
    /// Name of the host system, unique in its network and the same after a restart.
    pub name: String,
    /// Bytes of RAM that virtual systems may have together, a multiple of [`crate::MEMORY_INCREMENT`].
    pub memory_bytes: u64,
    /// The physical CPUs that run virtual systems.
    pub processors: Vec<HostProcessor>,
    /// Most virtual CPUs of one system.
    pub max_processors: u32,
    /// Fewest bytes of RAM of one system.
    pub min_memory_bytes: u64,
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
}

impl HostFacts {
    /// What all CPUs can do together, in percent of one.
    #[must_use]
    pub fn processor_percent(&self) -> u64 {
        u64::try_from(self.processors.len())
            .unwrap_or(u64::MAX)
            .saturating_mul(100)
    }
}
