//! The leaves that describe how the guest's CPUs and caches belong together, after the partition's [`CpuShape`].
//!
//! A core's threads share its caches of levels 1 and 2, a socket's cores those above.

use super::Leaf;
use crate::cpu_shape::CpuShape;
use crate::id::ApicId;

/// The topology of a partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Topology(pub CpuShape);

impl Topology {
    /// Leaves 0xb and 0x1f: thread level, core level, end.
    pub(super) const fn levels(self) -> [Leaf; 4] {
        const THREAD: u32 = 1 << 8;
        const CORE: u32 = 2 << 8;
        let Self(shape) = self;
        [
            [shape.thread_bits(), shape.threads(), THREAD, 0],
            [shape.socket_bits(), shape.socket_threads(), CORE | 1, 0],
            [0, 0, 2, 0],
            [0, 0, 3, 0],
        ]
    }

    /// Leaf 4: the ids that share the cache, and the ids of a socket's cores.
    pub(super) const fn cache(self, leaf: Leaf) -> Leaf {
        let Self(shape) = self;
        let [eax, ebx, ecx, edx] = leaf;
        if eax & 0x1f == 0 {
            return [0; 4];
        }
        let bits = if is_of_socket(eax) {
            shape.socket_bits()
        } else {
            shape.thread_bits()
        };
        // The fields have 12 and 6 bits; larger packages saturate, and guests use leaf 0xb then.
        let sharing = saturated(ids(bits), 0xfff);
        let cores = saturated(ids(shape.core_bits()), 0x3f);
        [eax & 0x3fff | sharing << 14 | cores << 26, ebx, ecx, edx]
    }

    /// Leaf 8000_001d: how many threads share the cache.
    pub(super) const fn cache_properties(self, leaf: Leaf) -> Leaf {
        let Self(shape) = self;
        let [eax, ebx, ecx, edx] = leaf;
        if eax & 0x1f == 0 {
            return [0; 4];
        }
        let threads = if is_of_socket(eax) {
            shape.socket_threads()
        } else {
            shape.threads()
        };
        let others = saturated(threads.wrapping_sub(1), 0xfff);
        [eax & 0x3fff | others << 14, ebx, ecx, edx]
    }

    /// Leaf 8000_001e: the APIC id, the core's number and how many threads it has, the socket as the node.
    pub(super) const fn identity(self, apic_id: ApicId) -> Leaf {
        let Self(shape) = self;
        let core = apic_id.0.wrapping_shr(shape.thread_bits()) & ids(shape.core_bits());
        let threads = saturated(shape.threads().wrapping_sub(1), 0xff);
        let node = apic_id.0.wrapping_shr(shape.socket_bits());
        [apic_id.0, core & 0xff | threads << 8, node & 0xff, 0]
    }
}

/// Whether a cache of this description's EAX is one of level 3 or above.
const fn is_of_socket(eax: u32) -> bool {
    eax >> 5 & 7 >= 3
}

/// The highest number of so many bits.
const fn ids(bits: u32) -> u32 {
    1u32.wrapping_shl(bits).wrapping_sub(1)
}

const fn saturated(value: u32, most: u32) -> u32 {
    if value > most { most } else { value }
}

/// The answer of leaf 0xb or 0x1f.
pub(super) fn level(levels: &[Leaf; 4], subleaf: u32, apic_id: ApicId) -> Leaf {
    let [eax, ebx, ecx, _] = super::subleaf_of(levels, subleaf);
    // Beyond the last level only the subleaf and the id are answered.
    let ecx = if ecx == 0 { subleaf & 0xff } else { ecx };
    [eax, ebx, ecx, apic_id.0]
}
