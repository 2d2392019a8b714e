//! How a partition's vCPUs are arranged in sockets, cores and threads, and the APIC ids that follow.
//!
//! A vCPU's number counts threads first, then cores, then sockets. Its APIC id holds the three in fields that are just wide
//! enough (SDM 3A 10.9.1, APM 3 E.5): as CPUID describes topologies by shifts of the id, ids have gaps where a core's threads
//! or a socket's cores are not a power of two in number. The creation of partitions and the CPUID table use it.

use crate::id::ApicId;

/// How many vCPUs there are, and how CPUID shows them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CpuShape {
    /// vCPUs.
    pub vcpus: u16,
    /// Threads of a core.
    pub threads_per_core: u16,
    /// Cores of a socket.
    pub cores_per_socket: u16,
}

impl CpuShape {
    /// One socket of single-threaded cores.
    pub const fn flat(vcpus: u16) -> Self {
        Self {
            vcpus,
            threads_per_core: 1,
            cores_per_socket: vcpus,
        }
    }

    /// Threads of a core.
    pub const fn threads(self) -> u32 {
        at_least_one(self.threads_per_core)
    }

    /// Threads of a socket.
    pub const fn socket_threads(self) -> u32 {
        self.threads()
            .saturating_mul(at_least_one(self.cores_per_socket))
    }

    /// Bits of the APIC id that number a core's threads.
    pub const fn thread_bits(self) -> u32 {
        bits_for(self.threads())
    }

    /// Bits of the APIC id that number a socket's cores.
    pub const fn core_bits(self) -> u32 {
        bits_for(at_least_one(self.cores_per_socket))
    }

    /// Bits of the APIC id below the socket's number.
    pub const fn socket_bits(self) -> u32 {
        self.thread_bits().saturating_add(self.core_bits())
    }

    /// The APIC id of a vCPU.
    pub fn apic_id(self, vcpu: u16) -> ApicId {
        let vcpu = u32::from(vcpu);
        let thread = vcpu.checked_rem(self.threads()).unwrap_or(0);
        let in_socket = vcpu.checked_rem(self.socket_threads()).unwrap_or(0);
        let core = in_socket.checked_div(self.threads()).unwrap_or(0);
        let socket = vcpu.checked_div(self.socket_threads()).unwrap_or(0);
        ApicId(
            socket.wrapping_shl(self.socket_bits())
                | core.wrapping_shl(self.thread_bits())
                | thread,
        )
    }
}

const fn at_least_one(count: u16) -> u32 {
    if count == 0 { 1 } else { count as u32 }
}

/// Bits that number `count` things.
const fn bits_for(count: u32) -> u32 {
    32u32.wrapping_sub(count.wrapping_sub(1).leading_zeros())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(vcpus: u16, threads_per_core: u16, cores_per_socket: u16) -> Vec<u32> {
        let shape = CpuShape {
            vcpus,
            threads_per_core,
            cores_per_socket,
        };
        (0..vcpus).map(|vcpu| shape.apic_id(vcpu).0).collect()
    }

    #[test]
    fn powers_of_two_leave_no_gaps() {
        for (threads, cores) in [(1, 1), (1, 4), (2, 2), (2, 4), (1, 8), (4, 1)] {
            assert_eq!(ids(8, threads, cores), (0..8).collect::<Vec<_>>());
        }
        assert_eq!(ids(3, 1, 3), [0, 1, 2]);
        assert_eq!(ids(6, 2, 3), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn each_socket_and_core_begins_at_its_own_bits() {
        assert_eq!(ids(6, 1, 3), [0, 1, 2, 4, 5, 6]);
        assert_eq!(ids(6, 3, 1), [0, 1, 2, 4, 5, 6]);
        assert_eq!(ids(12, 2, 3), [0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13]);
        assert_eq!(ids(9, 3, 3), [0, 1, 2, 4, 5, 6, 8, 9, 10]);
    }

    #[test]
    fn nothing_of_nothing_is_one_cpu() {
        let shape = CpuShape {
            vcpus: 0,
            threads_per_core: 0,
            cores_per_socket: 0,
        };
        assert_eq!((shape.socket_bits(), shape.apic_id(0)), (0, ApicId(0)));
    }
}
