//! A decoder and an emulator for the x86 instructions that guests use on emulated devices, and the lengths of
//! those that are intercepted.
//!
//! The exit loop calls [`decode()`] and [`emulate()`] for an access to a device's memory, and [`intercepted`] where
//! the CPU does not report where the next instruction starts. Nothing here panics, whatever the bytes are; what
//! is not known is refused ([`DecodeError::Unknown`]) and never guessed. Segment limits and access rights are not
//! checked: the CPU has checked them before it exited. Sources: SDM 2A chapter 2, APM 3.

mod address;
mod alu;
mod cursor;
mod emulate;
mod intercepted;
mod opcodes;
mod port_strings;
mod prefixes;
mod strings;

#[cfg(test)]
mod tests;

pub use emulate::{Machine, Progress, emulate};
pub use intercepted::{Intercepted, intercept_length, intercepted};
pub use opcodes::decode;
pub use port_strings::{PortMachine, emulate_port};

use crate::vcpu::{Gpr, SystemState};

/// The longest instruction.
pub const MAX_LENGTH: usize = 15;

/// The default sizes of the code segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CodeSize {
    /// Real mode, virtual-8086 mode, 16-bit segments.
    Bits16,
    /// 32-bit segments.
    Bits32,
    /// 64-bit mode.
    Bits64,
}

impl CodeSize {
    /// The sizes of the code segment that a vCPU runs.
    pub const fn of(system: &SystemState) -> Self {
        if system.code_64 {
            CodeSize::Bits64
        } else if system.code_32 {
            CodeSize::Bits32
        } else {
            CodeSize::Bits16
        }
    }
}

/// The size of an operand or an address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Width {
    /// 8 bits.
    Byte = 0,
    /// 16 bits.
    Word = 1,
    /// 32 bits.
    Dword = 2,
    /// 64 bits.
    Qword = 3,
}

impl Width {
    /// The size in bytes.
    #[inline]
    pub const fn bytes(self) -> u8 {
        1 << self as u8
    }

    /// The size in bits.
    #[inline]
    pub const fn bits(self) -> u32 {
        8 << self as u8
    }

    /// A mask of that many bits.
    #[inline]
    pub const fn mask(self) -> u64 {
        u64::MAX >> (64 - self.bits())
    }

    /// The value, sign-extended from this width.
    #[inline]
    pub const fn sign_extend(self, value: u64) -> u64 {
        let shift = 64 - self.bits();
        ((value << shift) as i64 >> shift) as u64
    }
}

/// A segment register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the names are the registers'")]
pub enum Segment {
    Es,
    Cs,
    Ss,
    Ds,
    Fs,
    Gs,
}

/// The base of an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Base {
    /// None.
    None,
    /// A register.
    Register(Gpr),
    /// The address of the next instruction.
    NextInstruction,
}

/// A memory operand, as encoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MemoryOperand {
    /// The segment: the default one, or that of the last effective override.
    pub segment: Segment,
    /// The base.
    pub base: Base,
    /// The index.
    pub index: Option<Gpr>,
    /// The binary logarithm of the index's factor.
    pub scale: u8,
    /// Added, sign-extended to 64 bits.
    pub displacement: u64,
    /// The address size, to which the sum wraps.
    pub width: Width,
}

/// An operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operand {
    /// None, or implied by the operation.
    None,
    /// A register, its low part for small widths.
    Register(Gpr),
    /// AH, CH, DH or BH: bits 8 to 15 of the register.
    HighByte(Gpr),
    /// The instruction's memory operand.
    Memory,
    /// An immediate, sign-extended to 64 bits.
    Immediate(u64),
}

/// What an instruction does with its operands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the names are the instructions'")]
pub enum Operation {
    Mov,
    /// MOVZX, from [`Instruction::source_width`].
    MovZeroExtend,
    /// MOVSX and MOVSXD, from [`Instruction::source_width`].
    MovSignExtend,
    Add,
    Or,
    Adc,
    Sbb,
    And,
    Sub,
    Xor,
    Cmp,
    Test,
    Xchg,
    Inc,
    Dec,
    Neg,
    Not,
    /// BT, BTS, BTR, BTC.
    Bit(BitOperation),
    Cmpxchg,
    Xadd,
    Push,
    Pop,
    /// MOVS, STOS, LODS, CMPS, SCAS.
    String(StringOperation),
    /// INS: for [`emulate_port`].
    Ins,
    /// OUTS, likewise.
    Outs,
}

/// What a bit test does with the bit besides copying it to CF.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BitOperation {
    /// BT: nothing.
    Test,
    /// BTS.
    Set,
    /// BTR.
    Reset,
    /// BTC.
    Complement,
}

/// A string instruction on memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the names are the instructions'")]
pub enum StringOperation {
    Movs,
    Stos,
    Lods,
    Cmps,
    Scas,
}

/// A repeat prefix, where the instruction takes one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Repeat {
    /// Once.
    Once,
    /// REP, REPE: while the counter is not zero (and, for comparisons, ZF is set).
    WhileEqual,
    /// REPNE: while the counter is not zero (and, for comparisons, ZF is clear).
    WhileNotEqual,
}

/// Whether the access is atomic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lock {
    /// No LOCK prefix (XCHG with memory is atomic all the same).
    Absent,
    /// LOCK.
    Present,
}

/// A decoded instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Instruction {
    /// What it does.
    pub operation: Operation,
    /// Its length in bytes, prefixes included.
    pub length: u8,
    /// The operand size.
    pub width: Width,
    /// The size of the source where it differs (MOVZX, MOVSX); else [`Instruction::width`].
    pub source_width: Width,
    /// First operand.
    pub destination: Operand,
    /// Second operand.
    pub source: Operand,
    /// The memory operand. String instructions have theirs implied: DS:rSI, with this segment and width for
    /// the overrides, and ES:rDI.
    pub memory: Option<MemoryOperand>,
    /// The repeat prefix of string instructions.
    pub repeat: Repeat,
    /// The LOCK prefix.
    pub lock: Lock,
    /// The sizes of the code it was decoded for.
    pub code: CodeSize,
}

/// Why bytes are no instruction that can be emulated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DecodeError {
    /// More bytes are needed.
    TooShort,
    /// Longer than 15 bytes: the CPU raises #GP.
    TooLong,
    /// A LOCK prefix where none may be: the CPU raises #UD.
    Undefined,
    /// Not one of the instructions that this decoder knows.
    Unknown,
}
