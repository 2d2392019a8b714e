//! INS and OUTS, with and without a repeat prefix.
//!
//! Up to [`BATCH`] iterations are made for an exit, fewer where something wants a look between two. Registers and RIP are those
//! of the CPU between two iterations at any time, so that a fault, an interrupt or a wait for an answer can come there.

use crate::addr::Gva;
use crate::decode::{Instruction, PortMachine, Progress, Width, emulate_port};
use crate::exit::Flow;
use crate::exit::emulation::{self, Emulation, Interruption};
use crate::exit::port::{self, POST_PORT, Reached};
use crate::host::Host;
use crate::lifecycle;
use crate::vcpu::{Direction, PortAccess, Vcpu};
use crate::vcpu_record::{Emulated, PendingAccess, VcpuRecord};

/// Most iterations for an exit: the host's interrupts wait so long.
const BATCH: u32 = 32;

/// An INS or OUTS exited.
#[cold]
#[inline(never)]
pub fn string_port<V: Vcpu, H: Host>(
    vcpu: &mut VcpuRecord<V>,
    host: &mut H,
    access: PortAccess,
) -> Flow {
    vcpu.io_log.clear();
    emulation::emulate(vcpu, host, Emulated::StringPort(access))
}

/// Makes iterations until the instruction is done, or something else is due.
pub(super) fn iterate<V: Vcpu, H: Host>(
    instruction: &Instruction,
    emulation: &mut Emulation<'_, V, H>,
) -> Result<Progress, Interruption> {
    for _ in 0..BATCH {
        let progress = emulate_port(instruction, emulation)?;
        emulation.settle_iteration();
        if progress != Progress::Again || emulation.vcpu.has_work() {
            return Ok(progress);
        }
    }
    Ok(Progress::Again)
}

impl<V: Vcpu, H: Host> Emulation<'_, V, H> {
    /// The port access of the iteration.
    fn port(&mut self, value: u32) -> Result<u64, Interruption> {
        let Emulated::StringPort(access) = self.cause else {
            return Ok(u64::MAX);
        };
        if access.direction == Direction::Write {
            if access.port == POST_PORT {
                return Ok(0);
            }
            if access.port == bulkhead_abi::DEBUG_PORT {
                port::print(self.vcpu, self.host, value as u8);
                return Ok(0);
            }
        }
        let pending = PendingAccess::Emulated(self.cause);
        match port::reach(self.vcpu, self.host, access, value, pending) {
            Reached::Answered(value) => Ok(u64::from(value)),
            Reached::Waiting(flow) => Err(Interruption::Flow(flow)),
            Reached::Reset => {
                let flow = lifecycle::ask_for_restart(self.vcpu, self.host);
                Err(Interruption::Flow(flow))
            }
        }
    }
}

impl<V: Vcpu, H: Host> PortMachine for Emulation<'_, V, H> {
    fn input(&mut self, width: Width) -> Result<u64, Interruption> {
        let answer = self.once(|emulation| emulation.port(0))?;
        Ok(answer & width.mask())
    }

    fn output(&mut self, width: Width, value: u64) -> Result<(), Interruption> {
        let value = (value & width.mask()) as u32;
        self.once(|emulation| emulation.port(value)).map(|_| ())
    }

    fn check_write(&mut self, address: Gva, width: Width) -> Result<(), Interruption> {
        self.check_span(address, width.bytes())
    }
}

#[cfg(test)]
mod tests;
