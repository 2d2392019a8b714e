//! Which physical CPUs the vCPUs of a partition may be placed on.

use crate::host::Host;
use crate::id::CpuId;

/// A set of physical CPUs as management tells it: a bit for each, none for any.
#[derive(Clone, Copy, Debug)]
pub struct CpuChoice([u64; 4]);

impl CpuChoice {
    /// The choice of these bits; `None` where no CPU of it exists and runs partitions.
    pub fn new<H: Host>(bits: [u64; 4], host: &H) -> Option<Self> {
        let choice = Self(bits);
        (0..host.machine().cpus())
            .any(|cpu| choice.allows(CpuId(cpu), host))
            .then_some(choice)
    }

    /// Whether a vCPU may be placed on this CPU, which exists.
    pub fn allows<H: Host>(&self, cpu: CpuId, host: &H) -> bool {
        let Self(bits) = self;
        let word = bits.get(usize::from(cpu.0 / 64)).copied().unwrap_or(0);
        (*bits == [0; 4] || word >> (cpu.0 % 64) & 1 != 0) && host.has_cpu(cpu)
    }
}
