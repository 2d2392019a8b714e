//! INS and OUTS: strings between ports and memory (SDM 2A INS, 2B OUTS; APM 3).

use super::emulate::{Machine, Progress, linear};
use super::strings::{advance, count_down};
use super::{Instruction, Operation, Repeat, Segment, Width};
use crate::addr::Gva;
use crate::vcpu::Gpr;

/// A [`Machine`] with the port that an intercepted INS or OUTS names.
pub trait PortMachine: Machine {
    /// Reads the port; the upper bits of the answer are zero.
    ///
    /// # Errors
    /// The port answers later, or the vCPU stops; the instruction can be emulated again.
    fn input(&mut self, width: Width) -> Result<u64, Self::Error>;

    /// Writes the port.
    ///
    /// # Errors
    /// As for [`PortMachine::input`].
    fn output(&mut self, width: Width, value: u64) -> Result<(), Self::Error>;

    /// Whether a write of that many bytes would not fault.
    ///
    /// # Errors
    /// The fault that it would have.
    fn check_write(&mut self, address: Gva, width: Width) -> Result<(), Self::Error>;
}

/// Executes one iteration of INS or OUTS; refuses all others.
///
/// An error leaves the registers as they were before the iteration, as the CPU does.
///
/// # Errors
/// What the machine's accesses answer.
pub fn emulate_port<M: PortMachine>(
    instruction: &Instruction,
    machine: &mut M,
) -> Result<Progress, M::Error> {
    let (segment, address_width) = instruction
        .memory
        .map_or((Segment::Ds, Width::Qword), |memory| {
            (memory.segment, memory.width)
        });
    let repeats = instruction.repeat != Repeat::Once;
    if repeats && machine.register(Gpr::Rcx) & address_width.mask() == 0 {
        return Ok(Progress::Done);
    }
    let (code, width) = (instruction.code, instruction.width);
    let address = |machine: &M, segment, register| {
        let offset = machine.register(register) & address_width.mask();
        linear(machine, code, segment, offset)
    };
    let flags = machine.flags();
    let moving = match instruction.operation {
        Operation::Ins => {
            let to = address(machine, Segment::Es, Gpr::Rdi);
            // What a port has given cannot be given back: the fault comes before the read.
            machine.check_write(to, width)?;
            let value = machine.input(width)?;
            machine.write(to, width, value & width.mask())?;
            Gpr::Rdi
        }
        Operation::Outs => {
            let from = address(machine, segment, Gpr::Rsi);
            let value = machine.read(from, width)?;
            machine.output(width, value)?;
            Gpr::Rsi
        }
        _ => return Ok(Progress::Refused),
    };
    advance(machine, moving, width, address_width, flags);
    if repeats && count_down(machine, address_width) != 0 {
        Ok(Progress::Again)
    } else {
        Ok(Progress::Done)
    }
}
