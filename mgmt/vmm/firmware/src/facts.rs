//! [`BoardFacts`]: what the tables are made from.

use vmm_ram::RamLayout;

/// A system as its owner defined it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BoardFacts<'a> {
    /// Its name; SMBIOS shows it as the chassis' asset tag.
    pub name: &'a str,
    /// Its UUID, in the byte order of its text (RFC 9562).
    pub uuid: [u8; 16],
    /// Number of vCPUs that there can be; [`BoardFacts::apic_id`] says which APIC ids they have.
    pub vcpus: u32,
    /// Those that are there at the start, the first of them.
    pub present_vcpus: u32,
    /// Threads of a core.
    pub threads_per_core: u16,
    /// Cores of a socket.
    pub cores_per_socket: u16,
    /// Its RAM.
    pub ram: RamLayout,
}

impl BoardFacts<'_> {
    /// The APIC id of a vCPU: the numbers of its socket, core and thread in fields that are just wide enough, as
    /// `bulkhead_abi::partition::PartitionRequest` has it.
    pub fn apic_id(&self, vcpu: u32) -> u32 {
        let threads = u32::from(self.threads_per_core).max(1);
        let cores = u32::from(self.cores_per_socket).max(1);
        let thread_bits = threads.next_power_of_two().trailing_zeros();
        let core_bits = cores.next_power_of_two().trailing_zeros();
        let core = vcpu / threads;
        ((core / cores) << (thread_bits + core_bits))
            | ((core % cores) << thread_bits)
            | (vcpu % threads)
    }

    /// vCPUs of a full socket.
    pub fn vcpus_per_socket(&self) -> u32 {
        u32::from(self.threads_per_core) * u32::from(self.cores_per_socket)
    }
}
