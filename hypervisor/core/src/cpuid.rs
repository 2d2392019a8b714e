//! What a partition's CPUs say about themselves: a table computed once, read on every CPUID exit.
//!
//! [`CpuidTable::new`] derives it from the host's CPUID and the partition's [`CpuidPolicy`]; the exit loop calls
//! [`CpuidTable::query`]. Invariants: leaves outside the limits are filled with what the vendor answers there,
//! so that the common query is two range checks and one load; only the leaves in the `DYNAMIC` masks depend on
//! the vCPU. Sources: SDM 2A CPUID, APM 3 appendix E.

mod allowed;
mod build;
mod extended_state;
mod topology;

#[cfg(test)]
mod tests;

pub use allowed::{AllowedFeature, FEATURES, Reason};
pub use build::{CpuidFeatures, CpuidPolicy, HypervisorLeaves};
pub use extended_state::ExtendedStateLayout;

use crate::id::ApicId;
use topology::Topology;

/// One answer: EAX, EBX, ECX, EDX.
pub type Leaf = [u32; 4];

/// Number of basic leaves in the table.
const BASIC: usize = 32;
/// Number of extended leaves in the table.
const EXTENDED: usize = 64;
/// Number of leaves of each hypervisor range.
const HYPERVISOR: usize = 16;
/// First leaf of the extended range.
const EXTENDED_FIRST: u32 = 0x8000_0000;
/// First leaf of the hypervisor's own range.
const HYPERVISOR_FIRST: u32 = 0x4000_0000;
/// First leaf of the second hypervisor range, where guests look for an interface that they know.
const COMPATIBLE_FIRST: u32 = 0x4000_0100;

/// Basic leaves that depend on the subleaf or the vCPU: 1, 4, 7, 0xb, 0xd, 0x1f.
const BASIC_DYNAMIC: u32 = 1 << 1 | 1 << 4 | 1 << 7 | 1 << 0xb | 1 << 0xd | 1 << 0x1f;
/// Extended ones: 8000_001d and 8000_001e.
const EXTENDED_DYNAMIC: u64 = 1 << 0x1d | 1 << 0x1e;

/// CR4.OSXSAVE.
const CR4_OSXSAVE: u64 = 1 << 18;
/// CR4.PKE.
const CR4_PKE: u64 = 1 << 22;

/// What of an answer depends on the vCPU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VcpuDynamic {
    /// The vCPU's APIC id.
    pub apic_id: ApicId,
    /// The guest's CR4.
    pub cr4: u64,
    /// The guest's XCR0.
    pub xcr0: u64,
}

/// The answers for one partition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CpuidTable {
    basic: [Leaf; BASIC],
    extended: [Leaf; EXTENDED],
    hypervisor: [Leaf; HYPERVISOR],
    compatible: [Leaf; 2],
    /// Leaf 4, subleaves 0 to 7.
    caches: [Leaf; 8],
    /// Leaf 7, subleaves 0 to 3.
    features: [Leaf; 4],
    topology: Topology,
    /// Leaf 0xb and 0x1f, subleaves 0 to 3.
    levels: [Leaf; 4],
    /// Leaf 0x8000_001d, subleaves 0 to 7.
    cache_properties: [Leaf; 8],
    extended_state: ExtendedStateLayout,
    /// The highest basic leaf, for vendors that answer it for every leaf out of range.
    last_basic: Option<u32>,
}

impl CpuidTable {
    /// The answer for `leaf` (EAX) and `subleaf` (ECX).
    #[inline]
    pub fn query(&self, leaf: u32, subleaf: u32, vcpu: &VcpuDynamic) -> Leaf {
        if leaf < BASIC as u32 {
            let fixed = self.basic.get(leaf as usize & (BASIC - 1));
            if BASIC_DYNAMIC >> leaf & 1 == 0 {
                return fixed.copied().unwrap_or_default();
            }
            return self.basic_of(leaf, subleaf, vcpu);
        }
        let index = leaf.wrapping_sub(EXTENDED_FIRST);
        if index < EXTENDED as u32 {
            let fixed = self.extended.get(index as usize & (EXTENDED - 1));
            if EXTENDED_DYNAMIC >> index & 1 == 0 {
                return fixed.copied().unwrap_or_default();
            }
            return self.extended_of(leaf, subleaf, vcpu);
        }
        let index = leaf.wrapping_sub(HYPERVISOR_FIRST);
        if index < HYPERVISOR as u32 {
            let fixed = self.hypervisor.get(index as usize & (HYPERVISOR - 1));
            return fixed.copied().unwrap_or_default();
        }
        self.out_of_range(leaf, subleaf, vcpu)
    }

    /// The feature words that the register checks need: leaf 1 ECX and EDX, leaf 7 EBX and ECX,
    /// leaf 0x8000_0001 ECX and EDX.
    pub fn feature_words(&self) -> FeatureWords {
        let [_, leaf1, ..] = self.basic;
        let [leaf7, ..] = self.features;
        let [_, extended1, ..] = self.extended;
        FeatureWords {
            leaf1_ecx: leaf1[2],
            leaf1_edx: leaf1[3],
            leaf7_ebx: leaf7[1],
            leaf7_ecx: leaf7[2],
            extended1_ecx: extended1[2],
            extended1_edx: extended1[3],
        }
    }

    /// The XCR0 bits that the guest may set.
    pub const fn allowed_xcr0(&self) -> u64 {
        self.extended_state.allowed()
    }

    /// The features of the paravirtual interface that is shown.
    pub const fn paravirtual_features(&self) -> u32 {
        let [_, [features, ..]] = self.compatible;
        features
    }

    /// The width of physical addresses in bits that the guest is told.
    pub fn physical_bits(&self) -> u8 {
        self.extended.get(8).map_or(36, |&[sizes, ..]| sizes as u8)
    }

    fn basic_of(&self, leaf: u32, subleaf: u32, vcpu: &VcpuDynamic) -> Leaf {
        let fixed = self.basic.get(leaf as usize).copied().unwrap_or_default();
        match leaf {
            1 => {
                let [eax, ebx, ecx, edx] = fixed;
                let osxsave = if vcpu.cr4 & CR4_OSXSAVE != 0 {
                    1 << 27
                } else {
                    0
                };
                [eax, ebx | vcpu.apic_id.0 << 24, ecx | osxsave, edx]
            }
            4 => subleaf_of(&self.caches, subleaf),
            7 => {
                let [eax, ebx, ecx, edx] = subleaf_of(&self.features, subleaf);
                let ospke = if subleaf == 0 && vcpu.cr4 & CR4_PKE != 0 {
                    1 << 4
                } else {
                    0
                };
                [eax, ebx, ecx | ospke, edx]
            }
            0xb | 0x1f if self.has_basic(leaf) => {
                topology::level(&self.levels, subleaf, vcpu.apic_id)
            }
            0xd if self.has_basic(leaf) => self.extended_state.query(subleaf, vcpu.xcr0),
            _ => fixed,
        }
    }

    fn extended_of(&self, leaf: u32, subleaf: u32, vcpu: &VcpuDynamic) -> Leaf {
        let [[limit, ..], ..] = self.extended;
        if leaf > limit {
            return self.out_of_range(leaf, subleaf, vcpu);
        }
        if leaf == EXTENDED_FIRST | 0x1d {
            return subleaf_of(&self.cache_properties, subleaf);
        }
        self.topology.identity(vcpu.apic_id)
    }

    /// Intel CPUs answer a leaf out of range like the highest basic one, AMD CPUs with zeros.
    #[cold]
    fn out_of_range(&self, leaf: u32, subleaf: u32, vcpu: &VcpuDynamic) -> Leaf {
        let index = leaf.wrapping_sub(COMPATIBLE_FIRST);
        let [[limit, ..], ..] = self.compatible;
        if index < 2 && leaf <= limit {
            return subleaf_of(&self.compatible, index);
        }
        match self.last_basic {
            // The hypervisor's ranges are software's: nothing answers there but what is defined.
            Some(last) if leaf >> 16 != HYPERVISOR_FIRST >> 16 => self.query(last, subleaf, vcpu),
            _ => [0; 4],
        }
    }

    fn has_basic(&self, leaf: u32) -> bool {
        let [[limit, ..], ..] = self.basic;
        leaf <= limit
    }
}

/// The feature words of a guest, with the bits that its CPUID shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FeatureWords {
    /// Leaf 1, ECX.
    pub leaf1_ecx: u32,
    /// Leaf 1, EDX.
    pub leaf1_edx: u32,
    /// Leaf 7, EBX.
    pub leaf7_ebx: u32,
    /// Leaf 7, ECX.
    pub leaf7_ecx: u32,
    /// Leaf 0x8000_0001, ECX.
    pub extended1_ecx: u32,
    /// Leaf 0x8000_0001, EDX.
    pub extended1_edx: u32,
}

fn subleaf_of(leaves: &[Leaf], subleaf: u32) -> Leaf {
    usize::try_from(subleaf)
        .ok()
        .and_then(|index| leaves.get(index))
        .copied()
        .unwrap_or_default()
}
