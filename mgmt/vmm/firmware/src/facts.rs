//! [`BoardFacts`]: what the tables are made from.

use vmm_ram::RamLayout;

/// A system as its owner defined it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BoardFacts<'a> {
    /// Its name; SMBIOS shows it as the chassis' asset tag.
    pub name: &'a str,
    /// Its UUID, in the byte order of its text (RFC 9562).
    pub uuid: [u8; 16],
    /// Number of vCPUs. Their APIC ids are 0, 1, 2 and so on.
    pub vcpus: u32,
    /// Threads of a core.
    pub threads_per_core: u16,
    /// Cores of a socket.
    pub cores_per_socket: u16,
    /// Its RAM.
    pub ram: RamLayout,
}

impl BoardFacts<'_> {
    /// vCPUs of a full socket.
    pub fn vcpus_per_socket(&self) -> u32 {
        u32::from(self.threads_per_core) * u32::from(self.cores_per_socket)
    }
}
