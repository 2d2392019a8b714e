//! Which physical CPU a vCPU is given to: the one with the least weight on it that has room for its reservation.
//!
//! A vCPU stays where it was placed until management wants it on other CPUs. Asked under the lock of the machine's works, when a
//! partition is made, removed or changed.

use super::Entitlement;
use crate::id::CpuId;

/// How much of a CPU may be reserved, in thousandths of a percent: the rest is for those without a reservation, so that none starves.
pub const RESERVABLE: u32 = 90_000;

/// What a CPU has taken on, or what one vCPU brings.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Load {
    /// Weight, in units of 1/65536.
    pub weight: u64,
    /// Reserved, in thousandths of a percent of the CPU.
    pub reserved: u32,
}

impl Load {
    /// What each vCPU of a system brings.
    pub fn of_vcpu(entitlement: Entitlement, vcpus: u32) -> Self {
        let reserved = entitlement.reservation().saturating_mul(1000);
        Self {
            weight: entitlement.weight_of_vcpu(vcpus),
            // Rounded up: what is promised is kept.
            reserved: reserved.div_ceil(vcpus.max(1)),
        }
    }

    /// Both together.
    pub fn and(self, more: Load) -> Load {
        Load {
            weight: self.weight.saturating_add(more.weight),
            reserved: self.reserved.saturating_add(more.reserved),
        }
    }

    /// Both together; `None` where more than [`RESERVABLE`] would be reserved.
    pub fn with(self, more: Load) -> Option<Load> {
        let both = self.and(more);
        (more.reserved == 0 || both.reserved <= RESERVABLE).then_some(both)
    }

    /// What is left when this much goes.
    pub fn without(self, less: Load) -> Load {
        Load {
            weight: self.weight.saturating_sub(less.weight),
            reserved: self.reserved.saturating_sub(less.reserved),
        }
    }
}

/// The CPU for a vCPU that brings `more`, and its load then; `None` where none has room for the reservation. Equal ones are taken in
/// the order of their numbers.
pub fn choose(cpus: impl Iterator<Item = (CpuId, Load)>, more: Load) -> Option<(CpuId, Load)> {
    cpus.filter_map(|(cpu, load)| Some((cpu, load.with(more)?)))
        .min_by_key(|(cpu, load)| (load.weight, load.reserved, *cpu))
}
