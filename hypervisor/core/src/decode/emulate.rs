//! Executing a decoded instruction on a guest's registers and memory.

use super::alu::{self, Computed, ZF};
use super::{
    Base, BitOperation, CodeSize, Instruction, MemoryOperand, Operand, Operation, Segment, Width,
    strings,
};
use crate::addr::Gva;
use crate::vcpu::Gpr;

/// What an emulated instruction works on: a vCPU's registers and its memory, devices included.
pub trait Machine {
    /// Why an access failed: a page fault of the guest, or a device that will answer later.
    type Error;

    /// Reads a register.
    fn register(&self, register: Gpr) -> u64;

    /// Writes a register, all 64 bits.
    fn set_register(&mut self, register: Gpr, value: u64);

    /// The address of the instruction that is emulated.
    fn rip(&self) -> u64;

    /// RFLAGS.
    fn flags(&self) -> u64;

    /// Sets RFLAGS; only status flags change.
    fn set_flags(&mut self, flags: u64);

    /// The base of a segment; asked for FS and GS only in 64-bit mode.
    fn segment_base(&self, segment: Segment) -> u64;

    /// The width of the stack pointer: SS.B outside of 64-bit mode.
    fn stack_width(&self) -> Width;

    /// Reads `width` bytes at a linear address; the rest of the answer is zero.
    ///
    /// # Errors
    /// The access failed; the instruction has changed nothing and can be emulated again.
    fn read(&mut self, address: Gva, width: Width) -> Result<u64, Self::Error>;

    /// Writes `width` bytes at a linear address.
    ///
    /// # Errors
    /// As for [`Machine::read`].
    fn write(&mut self, address: Gva, width: Width, value: u64) -> Result<(), Self::Error>;
}

/// What came of an emulation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Progress {
    /// Done: RIP goes on by the instruction's length.
    Done,
    /// A repeated instruction used up its iterations: RIP stays, interrupts may be taken.
    Again,
    /// Not an instruction that this function executes (INS, OUTS): nothing has changed.
    Refused,
}

/// Executes an instruction. Repeated ones stop after `iterations` (at least 1 is made).
///
/// An error leaves the registers as they were before the instruction, or before the current iteration: emulating
/// again goes on where it stopped. Accesses with LOCK are a read and a write: the caller must not use this for
/// memory that other CPUs change.
///
/// # Errors
/// What the machine's accesses answer.
pub fn emulate<M: Machine>(
    instruction: &Instruction,
    machine: &mut M,
    iterations: u32,
) -> Result<Progress, M::Error> {
    let mut run = Run {
        instruction,
        machine,
    };
    match instruction.operation {
        Operation::Ins | Operation::Outs => return Ok(Progress::Refused),
        Operation::String(operation) => {
            return strings::run(instruction, operation, run.machine, iterations);
        }
        Operation::Mov => {
            let value = run.load(instruction.source, instruction.width)?;
            run.store(instruction.destination, value)?;
        }
        Operation::MovZeroExtend => {
            let value = run.load(instruction.source, instruction.source_width)?;
            run.store(instruction.destination, value)?;
        }
        Operation::MovSignExtend => {
            let value = run.load(instruction.source, instruction.source_width)?;
            run.store(
                instruction.destination,
                instruction.source_width.sign_extend(value),
            )?;
        }
        Operation::Cmp | Operation::Test => {
            let computed = run.compute()?;
            run.machine.set_flags(computed.flags);
        }
        Operation::Add
        | Operation::Or
        | Operation::Adc
        | Operation::Sbb
        | Operation::And
        | Operation::Sub
        | Operation::Xor
        | Operation::Inc
        | Operation::Dec
        | Operation::Neg
        | Operation::Not => {
            let computed = run.compute()?;
            run.store(instruction.destination, computed.value)?;
            run.machine.set_flags(computed.flags);
        }
        Operation::Xchg => run.exchange()?,
        Operation::Xadd => run.exchange_add()?,
        Operation::Cmpxchg => run.compare_exchange()?,
        Operation::Bit(operation) => run.bit(operation)?,
        Operation::Push => run.push()?,
        Operation::Pop => run.pop()?,
    }
    Ok(Progress::Done)
}

/// Adds a segment's base, and wraps to the linear address space of the mode.
pub(super) fn linear<M: Machine>(
    machine: &M,
    code: CodeSize,
    segment: Segment,
    offset: u64,
) -> Gva {
    if code == CodeSize::Bits64 {
        let base = match segment {
            Segment::Fs | Segment::Gs => machine.segment_base(segment),
            Segment::Es | Segment::Cs | Segment::Ss | Segment::Ds => 0,
        };
        Gva::new(base.wrapping_add(offset))
    } else {
        let base = machine.segment_base(segment);
        Gva::new(base.wrapping_add(offset) & Width::Dword.mask())
    }
}

/// `value` written to the low `width` of a register: 32-bit writes clear the upper half.
pub(super) const fn merge(old: u64, value: u64, width: Width) -> u64 {
    match width {
        Width::Byte | Width::Word => old & !width.mask() | value & width.mask(),
        Width::Dword | Width::Qword => value & width.mask(),
    }
}

struct Run<'a, M> {
    instruction: &'a Instruction,
    machine: &'a mut M,
}

impl<M: Machine> Run<'_, M> {
    fn address_of(&self, memory: &MemoryOperand) -> Gva {
        self.address_with(memory, None)
    }

    /// The linear address of an operand, with another value for RSP where one is given.
    fn address_with(&self, memory: &MemoryOperand, stack: Option<u64>) -> Gva {
        let register = |register| match stack {
            Some(pointer) if register == Gpr::Rsp => pointer,
            _ => self.machine.register(register),
        };
        let base = match memory.base {
            Base::None => 0,
            Base::Register(name) => register(name),
            Base::NextInstruction => self
                .machine
                .rip()
                .wrapping_add(u64::from(self.instruction.length)),
        };
        let index = memory.index.map_or(0, |name| {
            self.machine
                .register(name)
                .wrapping_shl(memory.scale.into())
        });
        let offset =
            base.wrapping_add(index).wrapping_add(memory.displacement) & memory.width.mask();
        linear(self.machine, self.instruction.code, memory.segment, offset)
    }

    fn load(&mut self, operand: Operand, width: Width) -> Result<u64, M::Error> {
        let value = match operand {
            Operand::None => 0,
            Operand::Register(name) => self.machine.register(name),
            Operand::HighByte(name) => self.machine.register(name) >> 8,
            Operand::Immediate(value) => value,
            Operand::Memory => match self.instruction.memory {
                Some(memory) => {
                    let address = self.address_of(&memory);
                    self.machine.read(address, width)?
                }
                None => 0,
            },
        };
        Ok(value & width.mask())
    }

    /// Stores a value of the instruction's width.
    fn store(&mut self, operand: Operand, value: u64) -> Result<(), M::Error> {
        let width = self.instruction.width;
        match operand {
            Operand::None | Operand::Immediate(_) => {}
            Operand::Register(name) => {
                let merged = merge(self.machine.register(name), value, width);
                self.machine.set_register(name, merged);
            }
            Operand::HighByte(name) => {
                let old = self.machine.register(name);
                let merged = old & !0xff00 | (value & 0xff) << 8;
                self.machine.set_register(name, merged);
            }
            Operand::Memory => {
                if let Some(memory) = self.instruction.memory {
                    let address = self.address_of(&memory);
                    self.machine.write(address, width, value & width.mask())?;
                }
            }
        }
        Ok(())
    }

    /// The result of an arithmetic instruction.
    fn compute(&mut self) -> Result<Computed, M::Error> {
        let Instruction {
            operation,
            width,
            destination,
            source,
            ..
        } = *self.instruction;
        let a = self.load(destination, width)?;
        let flags = self.machine.flags();
        if let Some(computed) = alu::unary(operation, a, width, flags) {
            return Ok(computed);
        }
        let b = self.load(source, width)?;
        // Every operation that comes here is a unary or a binary one.
        Ok(alu::binary(operation, a, b, width, flags).unwrap_or(Computed { value: a, flags }))
    }

    fn exchange(&mut self) -> Result<(), M::Error> {
        let Instruction {
            width,
            destination,
            source,
            ..
        } = *self.instruction;
        let old = self.load(destination, width)?;
        let new = self.load(source, width)?;
        self.store(destination, new)?;
        self.store(source, old)
    }

    fn exchange_add(&mut self) -> Result<(), M::Error> {
        let Instruction {
            width,
            destination,
            source,
            ..
        } = *self.instruction;
        let old = self.load(destination, width)?;
        let computed = self.compute()?;
        if destination == Operand::Memory {
            self.store(destination, computed.value)?;
            self.store(source, old)?;
        } else {
            // XADD of a register with itself doubles it.
            self.store(source, old)?;
            self.store(destination, computed.value)?;
        }
        self.machine.set_flags(computed.flags);
        Ok(())
    }

    fn compare_exchange(&mut self) -> Result<(), M::Error> {
        let Instruction {
            operation,
            width,
            destination,
            source,
            ..
        } = *self.instruction;
        let accumulator = Operand::Register(Gpr::Rax);
        let current = self.load(destination, width)?;
        let expected = self.load(accumulator, width)?;
        let flags = self.machine.flags();
        let computed =
            alu::binary(operation, expected, current, width, flags).unwrap_or(Computed {
                value: current,
                flags,
            });
        if computed.flags & ZF != 0 {
            let new = self.load(source, width)?;
            self.store(destination, new)?;
        } else {
            // The destination is written back: the CPU makes the write cycle in either case.
            if destination == Operand::Memory {
                self.store(destination, current)?;
            }
            self.store(accumulator, current)?;
        }
        self.machine.set_flags(computed.flags);
        Ok(())
    }

    fn bit(&mut self, operation: BitOperation) -> Result<(), M::Error> {
        let Instruction {
            width,
            destination,
            source,
            ..
        } = *self.instruction;
        let selected = self.load(source, width)?;
        let index = selected as u32 & width.bits().wrapping_sub(1);
        let flags = self.machine.flags();
        let (Operand::Memory, Some(memory)) = (destination, self.instruction.memory) else {
            let value = self.load(destination, width)?;
            let computed = alu::bit(operation, value, index, flags);
            self.store(destination, computed.value)?;
            self.machine.set_flags(computed.flags);
            return Ok(());
        };
        // A register selects a bit of a string in memory, before or after the operand (SDM 2A, BT).
        let distance = match source {
            Operand::Immediate(_) => 0,
            _ => {
                let shift = width.bits().trailing_zeros();
                let units = (width.sign_extend(selected) as i64).wrapping_shr(shift);
                units.wrapping_mul(i64::from(width.bytes())) as u64
            }
        };
        let address = self.address_of(&MemoryOperand {
            displacement: memory.displacement.wrapping_add(distance),
            ..memory
        });
        let value = self.machine.read(address, width)?;
        let computed = alu::bit(operation, value, index, flags);
        if operation != BitOperation::Test {
            self.machine.write(address, width, computed.value)?;
        }
        self.machine.set_flags(computed.flags);
        Ok(())
    }

    /// The stack pointer moved by `bytes`, in the register's full width.
    fn moved_stack(&self, bytes: u64) -> (u64, u64) {
        let width = self.stack_width();
        let old = self.machine.register(Gpr::Rsp);
        let moved = old.wrapping_add(bytes) & width.mask();
        (moved, merge(old, moved, width))
    }

    fn stack_width(&self) -> Width {
        if self.instruction.code == CodeSize::Bits64 {
            Width::Qword
        } else {
            self.machine.stack_width()
        }
    }

    fn push(&mut self) -> Result<(), M::Error> {
        let width = self.instruction.width;
        let value = self.load(self.instruction.source, width)?;
        let bytes = 0u64.wrapping_sub(u64::from(width.bytes()));
        let (offset, register) = self.moved_stack(bytes);
        let address = linear(self.machine, self.instruction.code, Segment::Ss, offset);
        self.machine.write(address, width, value)?;
        self.machine.set_register(Gpr::Rsp, register);
        Ok(())
    }

    fn pop(&mut self) -> Result<(), M::Error> {
        let width = self.instruction.width;
        let offset = self.machine.register(Gpr::Rsp) & self.stack_width().mask();
        let address = linear(self.machine, self.instruction.code, Segment::Ss, offset);
        let value = self.machine.read(address, width)?;
        let (_, register) = self.moved_stack(u64::from(width.bytes()));
        match (self.instruction.destination, self.instruction.memory) {
            (Operand::Memory, Some(memory)) => {
                // An address by RSP is computed with the pointer after the pop (SDM 2B, POP).
                let address = self.address_with(&memory, Some(register));
                self.machine.write(address, width, value)?;
                self.machine.set_register(Gpr::Rsp, register);
            }
            (destination, _) => {
                // POP RSP keeps the popped value.
                self.machine.set_register(Gpr::Rsp, register);
                self.store(destination, value)?;
            }
        }
        Ok(())
    }
}
