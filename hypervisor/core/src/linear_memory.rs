//! A vCPU's linear memory: what an instruction of the guest sees at a guest-virtual address.
//!
//! For the slow paths that must read the guest's instructions and operands: the emulator and the crash record.

use crate::addr::{Gpa, Gva};
use crate::guest_memory::{GuestMemory, NotRam};
use crate::host::Host;
use crate::paging::GigabytePages;
use crate::paging::guest_walk::{
    self, Access, AccessKind, ControlRegisters, GuestPage, GuestPaging, Privilege, WalkError,
};
use crate::vcpu::SystemState;

/// RFLAGS.AC.
const RFLAGS_AC: u64 = 1 << 18;

/// Guest-physical reads for the page walker.
struct Physical<'a, H> {
    memory: &'a GuestMemory,
    host: &'a mut H,
}

impl<H: Host> guest_walk::GuestMemory for Physical<'_, H> {
    type Error = NotRam;

    fn read_u64(&mut self, at: Gpa) -> Result<u64, NotRam> {
        let mut bytes = [0; 8];
        self.memory.read(self.host, at, &mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn read_u32(&mut self, at: Gpa) -> Result<u32, NotRam> {
        let mut bytes = [0; 4];
        self.memory.read(self.host, at, &mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }
}

/// The linear memory of a vCPU in a given state.
pub struct LinearMemory<'a, H> {
    physical: Physical<'a, H>,
    paging: GuestPaging,
    privilege: Privilege,
}

impl<'a, H: Host> LinearMemory<'a, H> {
    /// The memory as `system` translates it.
    pub fn new(system: &SystemState, memory: &'a GuestMemory, host: &'a mut H) -> Self {
        let registers = ControlRegisters {
            cr0: system.cr0,
            cr3: system.cr3,
            cr4: system.cr4,
            efer: system.efer,
        };
        let privilege = match system.cpl {
            3 => Privilege::User,
            _ if system.rflags & RFLAGS_AC != 0 => Privilege::SupervisorWithAc,
            _ => Privilege::Supervisor,
        };
        Self {
            physical: Physical { memory, host },
            // The CPU itself has walked with its own limits before it exited: the widest ones are right here.
            paging: GuestPaging::new(registers, 52, GigabytePages::Supported),
            privilege,
        }
    }

    /// Where an address leads.
    ///
    /// # Errors
    /// What the CPU would raise, or a page table that is not in RAM.
    pub fn translate(
        &mut self,
        address: Gva,
        kind: AccessKind,
    ) -> Result<GuestPage, WalkError<NotRam>> {
        let access = Access {
            kind,
            privilege: self.privilege,
        };
        self.paging.translate(&mut self.physical, address, access)
    }

    /// Reads RAM at guest-physical addresses.
    ///
    /// # Errors
    /// [`NotRam`].
    pub fn read_physical(&mut self, at: Gpa, bytes: &mut [u8]) -> Result<(), NotRam> {
        self.physical.memory.read(self.physical.host, at, bytes)
    }
}
