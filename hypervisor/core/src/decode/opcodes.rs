//! The opcode map, as far as it is needed for device memory.

use super::address::{ModRm, register};
use super::cursor::Cursor;
use super::prefixes::Prefixes;
use super::{
    Base, BitOperation, CodeSize, DecodeError, Instruction, Lock, MemoryOperand, Operand,
    Operation, Repeat, Segment, StringOperation, Width,
};
use crate::vcpu::Gpr;

/// An instruction but for what the prefixes and the cursor know.
struct Form {
    operation: Operation,
    width: Width,
    source_width: Width,
    destination: Operand,
    source: Operand,
    memory: Option<MemoryOperand>,
}

impl Form {
    const fn new(
        operation: Operation,
        width: Width,
        destination: Operand,
        source: Operand,
    ) -> Self {
        Self {
            operation,
            width,
            source_width: width,
            destination,
            source,
            memory: None,
        }
    }

    const fn with(mut self, modrm: &ModRm) -> Self {
        self.memory = modrm.memory;
        self
    }
}

/// Decodes the instruction at the start of `bytes`.
///
/// # Errors
/// Where the bytes are no instruction, too few, or one that this decoder does not know.
pub fn decode(bytes: &[u8], code: CodeSize) -> Result<Instruction, DecodeError> {
    let mut cursor = Cursor::new(bytes);
    let prefixes = Prefixes::read(&mut cursor, code)?;
    let opcode = cursor.byte()?;
    let form = if opcode == 0x0f {
        two_byte(&mut cursor, &prefixes)?
    } else {
        one_byte(opcode, &mut cursor, &prefixes)?
    };
    if prefixes.lock == Lock::Present && !lockable(&form) {
        return Err(DecodeError::Undefined);
    }
    let repeat = match form.operation {
        Operation::String(_) | Operation::Ins | Operation::Outs => prefixes.repeat,
        _ => Repeat::Once,
    };
    Ok(Instruction {
        operation: form.operation,
        length: cursor.length(),
        width: form.width,
        source_width: form.source_width,
        destination: form.destination,
        source: form.source,
        memory: form.memory,
        repeat,
        lock: prefixes.lock,
        code,
    })
}

/// The width that the low bit of most opcodes selects.
const fn width_of(opcode: u8, prefixes: &Prefixes) -> Width {
    if opcode & 1 == 0 {
        Width::Byte
    } else {
        prefixes.operand_width()
    }
}

/// An immediate of this operand size: never more than 32 bits.
fn immediate(cursor: &mut Cursor<'_>, width: Width) -> Result<Operand, DecodeError> {
    Ok(Operand::Immediate(cursor.signed(width.min(Width::Dword))?))
}

const fn arithmetic(number: u8) -> Operation {
    match number & 7 {
        0 => Operation::Add,
        1 => Operation::Or,
        2 => Operation::Adc,
        3 => Operation::Sbb,
        4 => Operation::And,
        5 => Operation::Sub,
        6 => Operation::Xor,
        _ => Operation::Cmp,
    }
}

const fn bit_operation(number: u8) -> Operation {
    Operation::Bit(match number & 3 {
        0 => BitOperation::Test,
        1 => BitOperation::Set,
        2 => BitOperation::Reset,
        _ => BitOperation::Complement,
    })
}

fn one_byte(opcode: u8, cursor: &mut Cursor<'_>, prefixes: &Prefixes) -> Result<Form, DecodeError> {
    let width = width_of(opcode, prefixes);
    let accumulator = Operand::Register(Gpr::Rax);
    Ok(match opcode {
        0x00..=0x3f if opcode & 7 < 4 => {
            let modrm = ModRm::read(cursor, prefixes)?;
            from_to(
                arithmetic(opcode >> 3),
                opcode & 2 != 0,
                width,
                &modrm,
                prefixes,
            )
        }
        0x00..=0x3f if opcode & 7 < 6 => Form::new(
            arithmetic(opcode >> 3),
            width,
            accumulator,
            immediate(cursor, width)?,
        ),
        // 40 to 4f are REX prefixes in 64-bit mode and do not come here.
        0x40..=0x4f => {
            let operation = if opcode & 8 == 0 {
                Operation::Inc
            } else {
                Operation::Dec
            };
            let target = Operand::Register(Gpr::from_number(opcode & 7));
            Form::new(operation, prefixes.operand_width(), target, Operand::None)
        }
        0x50..=0x5f => {
            let target = Operand::Register(Gpr::from_number(opcode & 7 | prefixes.base_high()));
            if opcode & 8 == 0 {
                Form::new(
                    Operation::Push,
                    prefixes.stack_width(),
                    Operand::None,
                    target,
                )
            } else {
                Form::new(
                    Operation::Pop,
                    prefixes.stack_width(),
                    target,
                    Operand::None,
                )
            }
        }
        0x63 if prefixes.code == CodeSize::Bits64 => {
            let modrm = ModRm::read(cursor, prefixes)?;
            let width = prefixes.operand_width();
            extend(
                Operation::MovSignExtend,
                width,
                width.min(Width::Dword),
                &modrm,
                prefixes,
            )
        }
        0x6c | 0x6d => string(Operation::Ins, width.min(Width::Dword), prefixes),
        0x6e | 0x6f => string(Operation::Outs, width.min(Width::Dword), prefixes),
        0x80..=0x83 => {
            if opcode == 0x82 && prefixes.code == CodeSize::Bits64 {
                return Err(DecodeError::Unknown);
            }
            let modrm = ModRm::read(cursor, prefixes)?;
            let size = if opcode == 0x81 { width } else { Width::Byte };
            let value = immediate(cursor, size)?;
            let target = modrm.operand(width, prefixes);
            Form::new(arithmetic(modrm.extension), width, target, value).with(&modrm)
        }
        0x84 | 0x85 => {
            let modrm = ModRm::read(cursor, prefixes)?;
            from_to(Operation::Test, false, width, &modrm, prefixes)
        }
        0x86 | 0x87 => {
            let modrm = ModRm::read(cursor, prefixes)?;
            from_to(Operation::Xchg, false, width, &modrm, prefixes)
        }
        0x88..=0x8b => {
            let modrm = ModRm::read(cursor, prefixes)?;
            from_to(Operation::Mov, opcode & 2 != 0, width, &modrm, prefixes)
        }
        0x8f => {
            let modrm = ModRm::read(cursor, prefixes)?;
            if modrm.extension != 0 {
                return Err(DecodeError::Unknown);
            }
            let width = prefixes.stack_width();
            let target = modrm.operand(width, prefixes);
            Form::new(Operation::Pop, width, target, Operand::None).with(&modrm)
        }
        0xa0..=0xa3 => {
            let memory = offset(cursor, prefixes)?;
            let (destination, source) = if opcode & 2 == 0 {
                (accumulator, Operand::Memory)
            } else {
                (Operand::Memory, accumulator)
            };
            Form {
                memory: Some(memory),
                ..Form::new(Operation::Mov, width, destination, source)
            }
        }
        0xa4 | 0xa5 => string(Operation::String(StringOperation::Movs), width, prefixes),
        0xa6 | 0xa7 => string(Operation::String(StringOperation::Cmps), width, prefixes),
        0xa8 | 0xa9 => Form::new(
            Operation::Test,
            width,
            accumulator,
            immediate(cursor, width)?,
        ),
        0xaa | 0xab => string(Operation::String(StringOperation::Stos), width, prefixes),
        0xac | 0xad => string(Operation::String(StringOperation::Lods), width, prefixes),
        0xae | 0xaf => string(Operation::String(StringOperation::Scas), width, prefixes),
        0xb0..=0xbf => {
            let width = if opcode & 8 == 0 {
                Width::Byte
            } else {
                prefixes.operand_width()
            };
            let target = register(opcode & 7 | prefixes.base_high(), width, prefixes);
            let value = Operand::Immediate(cursor.signed(width)?);
            Form::new(Operation::Mov, width, target, value)
        }
        0xc6 | 0xc7 => {
            let modrm = ModRm::read(cursor, prefixes)?;
            if modrm.extension != 0 {
                return Err(DecodeError::Unknown);
            }
            let value = immediate(cursor, width)?;
            let target = modrm.operand(width, prefixes);
            Form::new(Operation::Mov, width, target, value).with(&modrm)
        }
        0xf6 | 0xf7 => {
            let modrm = ModRm::read(cursor, prefixes)?;
            let target = modrm.operand(width, prefixes);
            let (operation, source) = match modrm.extension {
                0 | 1 => (Operation::Test, immediate(cursor, width)?),
                2 => (Operation::Not, Operand::None),
                3 => (Operation::Neg, Operand::None),
                _ => return Err(DecodeError::Unknown),
            };
            Form::new(operation, width, target, source).with(&modrm)
        }
        0xfe | 0xff => {
            let modrm = ModRm::read(cursor, prefixes)?;
            let target = modrm.operand(width, prefixes);
            match (modrm.extension, opcode) {
                (0, _) => Form::new(Operation::Inc, width, target, Operand::None),
                (1, _) => Form::new(Operation::Dec, width, target, Operand::None),
                (6, 0xff) => {
                    let width = prefixes.stack_width();
                    let source = modrm.operand(width, prefixes);
                    Form::new(Operation::Push, width, Operand::None, source)
                }
                _ => return Err(DecodeError::Unknown),
            }
            .with(&modrm)
        }
        _ => return Err(DecodeError::Unknown),
    })
}

fn two_byte(cursor: &mut Cursor<'_>, prefixes: &Prefixes) -> Result<Form, DecodeError> {
    let opcode = cursor.byte()?;
    let width = width_of(opcode, prefixes);
    Ok(match opcode {
        0xa3 | 0xab | 0xb3 | 0xbb => {
            let modrm = ModRm::read(cursor, prefixes)?;
            from_to(bit_operation(opcode >> 3), false, width, &modrm, prefixes)
        }
        0xba => {
            let width = prefixes.operand_width();
            let modrm = ModRm::read(cursor, prefixes)?;
            if modrm.extension < 4 {
                return Err(DecodeError::Unknown);
            }
            let value = Operand::Immediate(cursor.number(Width::Byte)?);
            let target = modrm.operand(width, prefixes);
            Form::new(bit_operation(modrm.extension), width, target, value).with(&modrm)
        }
        0xb0 | 0xb1 => {
            let modrm = ModRm::read(cursor, prefixes)?;
            from_to(Operation::Cmpxchg, false, width, &modrm, prefixes)
        }
        0xb6 | 0xb7 | 0xbe | 0xbf => {
            let modrm = ModRm::read(cursor, prefixes)?;
            let operation = if opcode < 0xb8 {
                Operation::MovZeroExtend
            } else {
                Operation::MovSignExtend
            };
            let from = if opcode & 1 == 0 {
                Width::Byte
            } else {
                Width::Word
            };
            extend(operation, prefixes.operand_width(), from, &modrm, prefixes)
        }
        0xc0 | 0xc1 => {
            let modrm = ModRm::read(cursor, prefixes)?;
            from_to(Operation::Xadd, false, width, &modrm, prefixes)
        }
        // MOVNTI: memory only, and other prefixes would make it another instruction.
        0xc3 if !prefixes.has_operand_size() && prefixes.repeat == Repeat::Once => {
            let modrm = ModRm::read(cursor, prefixes)?;
            if modrm.memory.is_none() {
                return Err(DecodeError::Unknown);
            }
            let width = prefixes.operand_width().max(Width::Dword);
            from_to(Operation::Mov, false, width, &modrm, prefixes)
        }
        _ => return Err(DecodeError::Unknown),
    })
}

/// An instruction with a register and a register-or-memory operand.
fn from_to(
    operation: Operation,
    into_register: bool,
    width: Width,
    modrm: &ModRm,
    prefixes: &Prefixes,
) -> Form {
    let named = modrm.register(width, prefixes);
    let other = modrm.operand(width, prefixes);
    if into_register {
        Form::new(operation, width, named, other)
    } else {
        Form::new(operation, width, other, named)
    }
    .with(modrm)
}

fn extend(
    operation: Operation,
    width: Width,
    from: Width,
    modrm: &ModRm,
    prefixes: &Prefixes,
) -> Form {
    Form {
        source_width: from,
        ..Form::new(
            operation,
            width,
            modrm.register(width, prefixes),
            modrm.operand(from, prefixes),
        )
    }
    .with(modrm)
}

/// A string instruction: the memory operand carries the source's segment and the address size.
fn string(operation: Operation, width: Width, prefixes: &Prefixes) -> Form {
    Form {
        memory: Some(MemoryOperand {
            segment: prefixes.segment.unwrap_or(Segment::Ds),
            base: Base::Register(Gpr::Rsi),
            index: None,
            scale: 0,
            displacement: 0,
            width: prefixes.address_width(),
        }),
        ..Form::new(operation, width, Operand::None, Operand::None)
    }
}

/// The address of MOV with an absolute offset.
fn offset(cursor: &mut Cursor<'_>, prefixes: &Prefixes) -> Result<MemoryOperand, DecodeError> {
    let width = prefixes.address_width();
    Ok(MemoryOperand {
        segment: prefixes.segment.unwrap_or(Segment::Ds),
        base: Base::None,
        index: None,
        scale: 0,
        displacement: cursor.number(width)?,
        width,
    })
}

/// Whether the LOCK prefix is legal (SDM 2A, LOCK).
const fn lockable(form: &Form) -> bool {
    let changes_memory = matches!(form.destination, Operand::Memory);
    match form.operation {
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
        | Operation::Not
        | Operation::Xchg
        | Operation::Cmpxchg
        | Operation::Xadd
        | Operation::Bit(BitOperation::Set | BitOperation::Reset | BitOperation::Complement) => {
            changes_memory
        }
        _ => false,
    }
}
