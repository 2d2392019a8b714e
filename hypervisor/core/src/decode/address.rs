//! ModRM and SIB: registers and addressing modes (SDM 2A tables 2-1 to 2-3).

use super::cursor::Cursor;
use super::prefixes::Prefixes;
use super::{Base, CodeSize, DecodeError, MemoryOperand, Operand, Segment, Width};
use crate::vcpu::Gpr;

/// A ModRM byte with what follows it.
#[derive(Clone, Copy)]
pub(super) struct ModRm {
    /// The reg field without the REX bit: an extension of the opcode.
    pub(super) extension: u8,
    reg: u8,
    rm: u8,
    pub(super) memory: Option<MemoryOperand>,
}

impl ModRm {
    pub(super) fn read(cursor: &mut Cursor<'_>, prefixes: &Prefixes) -> Result<Self, DecodeError> {
        let byte = cursor.byte()?;
        let extension = byte >> 3 & 7;
        let memory = if byte >> 6 == 3 {
            None
        } else if prefixes.address_width() == Width::Word {
            Some(memory16(byte, cursor, prefixes)?)
        } else {
            Some(memory32(byte, cursor, prefixes)?)
        };
        Ok(Self {
            extension,
            reg: extension | prefixes.reg_high(),
            rm: byte & 7 | prefixes.base_high(),
            memory,
        })
    }

    /// The operand in the reg field.
    pub(super) fn register(&self, width: Width, prefixes: &Prefixes) -> Operand {
        register(self.reg, width, prefixes)
    }

    /// The operand in the rm field.
    pub(super) fn operand(&self, width: Width, prefixes: &Prefixes) -> Operand {
        match self.memory {
            Some(_) => Operand::Memory,
            None => register(self.rm, width, prefixes),
        }
    }
}

/// The register of this number; numbers 4 to 7 of byte registers are the high bytes where there is no REX prefix.
pub(super) fn register(number: u8, width: Width, prefixes: &Prefixes) -> Operand {
    if width == Width::Byte && number & 12 == 4 && !prefixes.has_rex() {
        Operand::HighByte(Gpr::from_number(number & 3))
    } else {
        Operand::Register(Gpr::from_number(number))
    }
}

fn memory16(
    byte: u8,
    cursor: &mut Cursor<'_>,
    prefixes: &Prefixes,
) -> Result<MemoryOperand, DecodeError> {
    let mode = byte >> 6;
    let (base, index) = match byte & 7 {
        0 => (Gpr::Rbx, Some(Gpr::Rsi)),
        1 => (Gpr::Rbx, Some(Gpr::Rdi)),
        2 => (Gpr::Rbp, Some(Gpr::Rsi)),
        3 => (Gpr::Rbp, Some(Gpr::Rdi)),
        4 => (Gpr::Rsi, None),
        5 => (Gpr::Rdi, None),
        6 => (Gpr::Rbp, None),
        _ => (Gpr::Rbx, None),
    };
    let absolute = mode == 0 && byte & 7 == 6;
    let displacement = match mode {
        0 if absolute => cursor.signed(Width::Word)?,
        0 => 0,
        1 => cursor.signed(Width::Byte)?,
        _ => cursor.signed(Width::Word)?,
    };
    let base = if absolute {
        Base::None
    } else {
        Base::Register(base)
    };
    Ok(MemoryOperand {
        segment: segment(base, prefixes),
        base,
        index,
        scale: 0,
        displacement,
        width: Width::Word,
    })
}

fn memory32(
    byte: u8,
    cursor: &mut Cursor<'_>,
    prefixes: &Prefixes,
) -> Result<MemoryOperand, DecodeError> {
    let mode = byte >> 6;
    let mut index = None;
    let mut scale = 0;
    let mut base_field = byte & 7;
    let has_sib = base_field == 4;
    if has_sib {
        let sib = cursor.byte()?;
        scale = sib >> 6;
        base_field = sib & 7;
        let number = sib >> 3 & 7 | prefixes.index_high();
        // RSP cannot be an index.
        if number != 4 {
            index = Some(Gpr::from_number(number));
        }
    }
    let no_base = mode == 0 && base_field == 5;
    let displacement = match mode {
        0 if no_base => cursor.signed(Width::Dword)?,
        0 => 0,
        1 => cursor.signed(Width::Byte)?,
        _ => cursor.signed(Width::Dword)?,
    };
    let base = if !no_base {
        Base::Register(Gpr::from_number(base_field | prefixes.base_high()))
    } else if prefixes.code == CodeSize::Bits64 && !has_sib {
        Base::NextInstruction
    } else {
        Base::None
    };
    Ok(MemoryOperand {
        segment: segment(base, prefixes),
        base,
        index,
        scale,
        displacement,
        width: prefixes.address_width(),
    })
}

fn segment(base: Base, prefixes: &Prefixes) -> Segment {
    prefixes.segment.unwrap_or(match base {
        Base::Register(Gpr::Rbp | Gpr::Rsp) => Segment::Ss,
        _ => Segment::Ds,
    })
}
