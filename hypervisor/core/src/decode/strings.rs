//! The string instructions with their repeat prefixes (SDM 2B, REP).

use super::alu::{self, DF, ZF};
use super::emulate::{Machine, Progress, linear, merge};
use super::{Instruction, Operation, Repeat, Segment, StringOperation, Width};
use crate::vcpu::Gpr;

/// Runs up to `iterations` of a string instruction, at least one.
pub(super) fn run<M: Machine>(
    instruction: &Instruction,
    operation: StringOperation,
    machine: &mut M,
    iterations: u32,
) -> Result<Progress, M::Error> {
    let (segment, address_width) = instruction
        .memory
        .map_or((Segment::Ds, Width::Qword), |memory| {
            (memory.segment, memory.width)
        });
    let mut left = iterations.max(1);
    let counter = |machine: &M| machine.register(Gpr::Rcx) & address_width.mask();
    if instruction.repeat != Repeat::Once && counter(machine) == 0 {
        return Ok(Progress::Done);
    }
    loop {
        once(instruction, operation, machine, segment, address_width)?;
        if instruction.repeat == Repeat::Once {
            return Ok(Progress::Done);
        }
        let count = count_down(machine, address_width);
        let compares = matches!(operation, StringOperation::Cmps | StringOperation::Scas);
        let equal = machine.flags() & ZF != 0;
        let ended = count == 0
            || compares
                && match instruction.repeat {
                    Repeat::WhileEqual => !equal,
                    Repeat::WhileNotEqual => equal,
                    Repeat::Once => true,
                };
        if ended {
            return Ok(Progress::Done);
        }
        left = left.wrapping_sub(1);
        if left == 0 {
            return Ok(Progress::Again);
        }
    }
}

/// One iteration: all accesses first, then the registers.
fn once<M: Machine>(
    instruction: &Instruction,
    operation: StringOperation,
    machine: &mut M,
    segment: Segment,
    address_width: Width,
) -> Result<(), M::Error> {
    let width = instruction.width;
    let offset = |machine: &M, register| machine.register(register) & address_width.mask();
    let from = linear(
        machine,
        instruction.code,
        segment,
        offset(machine, Gpr::Rsi),
    );
    let to = linear(
        machine,
        instruction.code,
        Segment::Es,
        offset(machine, Gpr::Rdi),
    );
    let flags = machine.flags();
    let accumulator = machine.register(Gpr::Rax);
    let (uses_source, uses_destination) = match operation {
        StringOperation::Movs => {
            let value = machine.read(from, width)?;
            machine.write(to, width, value)?;
            (true, true)
        }
        StringOperation::Stos => {
            machine.write(to, width, accumulator & width.mask())?;
            (false, true)
        }
        StringOperation::Lods => {
            let value = machine.read(from, width)?;
            machine.set_register(Gpr::Rax, merge(accumulator, value, width));
            (true, false)
        }
        StringOperation::Cmps => {
            let a = machine.read(from, width)?;
            let b = machine.read(to, width)?;
            compare(machine, a, b, width, flags);
            (true, true)
        }
        StringOperation::Scas => {
            let b = machine.read(to, width)?;
            compare(machine, accumulator & width.mask(), b, width, flags);
            (false, true)
        }
    };
    for (register, used) in [(Gpr::Rsi, uses_source), (Gpr::Rdi, uses_destination)] {
        if used {
            advance(machine, register, width, address_width, flags);
        }
    }
    Ok(())
}

/// Moves RSI or RDI to the next operand, in the direction that DF says.
pub(super) fn advance<M: Machine>(
    machine: &mut M,
    register: Gpr,
    width: Width,
    address_width: Width,
    flags: u64,
) {
    let bytes = u64::from(width.bytes());
    let step = if flags & DF == 0 {
        bytes
    } else {
        0u64.wrapping_sub(bytes)
    };
    let old = machine.register(register);
    let moved = merge(old, old.wrapping_add(step), address_width);
    machine.set_register(register, moved);
}

/// Counts an iteration of a repeated instruction in RCX; what is left.
pub(super) fn count_down<M: Machine>(machine: &mut M, address_width: Width) -> u64 {
    let old = machine.register(Gpr::Rcx);
    let count = (old & address_width.mask()).wrapping_sub(1);
    machine.set_register(Gpr::Rcx, merge(old, count, address_width));
    count
}

fn compare<M: Machine>(machine: &mut M, a: u64, b: u64, width: Width, flags: u64) {
    if let Some(computed) = alu::binary(Operation::Cmp, a, b, width, flags) {
        machine.set_flags(computed.flags);
    }
}
