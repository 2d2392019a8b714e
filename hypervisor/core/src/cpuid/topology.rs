//! The topology a guest sees: one package, one core for each vCPU, one thread a core.
//!
//! APIC ids are the vCPU numbers, so that the package's id space is the next power of two.

use super::Leaf;
use crate::id::ApicId;

/// The topology of a partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Topology {
    /// Number of vCPUs, at least 1.
    cpus: u32,
}

impl Topology {
    pub(super) const fn new(cpus: u16) -> Self {
        Self {
            cpus: if cpus == 0 { 1 } else { cpus as u32 },
        }
    }

    pub(super) const fn cpus(self) -> u32 {
        self.cpus
    }

    /// Bits of the APIC id that number the cores of the package.
    pub(super) const fn core_bits(self) -> u32 {
        32u32.wrapping_sub(self.cpus.wrapping_sub(1).leading_zeros())
    }

    /// Leaves 0xb and 0x1f: thread level, core level, end.
    pub(super) const fn levels(self) -> [Leaf; 4] {
        const THREAD: u32 = 1 << 8;
        const CORE: u32 = 2 << 8;
        [
            [0, 1, THREAD, 0],
            [self.core_bits(), self.cpus, CORE | 1, 0],
            [0, 0, 2, 0],
            [0, 0, 3, 0],
        ]
    }

    /// Leaf 4: caches of level 3 and up are shared by all cores, others by none.
    pub(super) const fn cache(self, leaf: Leaf) -> Leaf {
        let [eax, ebx, ecx, edx] = leaf;
        if eax & 0x1f == 0 {
            return [0; 4];
        }
        let ids = (1u32 << self.core_bits()).wrapping_sub(1);
        let sharing = if eax >> 5 & 7 >= 3 { ids } else { 0 };
        // The fields have 12 and 6 bits; larger packages saturate, and guests use leaf 0xb then.
        let sharing = if sharing > 0xfff { 0xfff } else { sharing };
        let cores = if ids > 0x3f { 0x3f } else { ids };
        [eax & 0x3fff | sharing << 14 | cores << 26, ebx, ecx, edx]
    }

    /// Leaf 8000_001d, likewise (without the number of cores).
    pub(super) const fn cache_properties(self, leaf: Leaf) -> Leaf {
        let [eax, ebx, ecx, edx] = leaf;
        if eax & 0x1f == 0 {
            return [0; 4];
        }
        let others = self.cpus.wrapping_sub(1);
        let sharing = if eax >> 5 & 7 >= 3 { others } else { 0 };
        let sharing = if sharing > 0xfff { 0xfff } else { sharing };
        [eax & 0x3fff | sharing << 14, ebx, ecx, edx]
    }
}

/// The answer of leaf 0xb or 0x1f.
pub(super) fn level(levels: &[Leaf; 4], subleaf: u32, apic_id: ApicId) -> Leaf {
    let [eax, ebx, ecx, _] = super::subleaf_of(levels, subleaf);
    // Beyond the last level only the subleaf and the id are answered.
    let ecx = if ecx == 0 { subleaf & 0xff } else { ecx };
    [eax, ebx, ecx, apic_id.0]
}
