//! The prefixes of an instruction (SDM 2A 2.1.1, 2.2.1).

use super::cursor::Cursor;
use super::{CodeSize, DecodeError, Lock, Repeat, Segment, Width};

/// The prefixes in front of an opcode.
#[derive(Clone, Copy)]
pub(super) struct Prefixes {
    pub(super) code: CodeSize,
    operand_size: bool,
    address_size: bool,
    pub(super) lock: Lock,
    pub(super) repeat: Repeat,
    pub(super) segment: Option<Segment>,
    /// The REX prefix, 0 where there is none (a REX prefix is never 0).
    rex: u8,
}

impl Prefixes {
    /// Reads the prefixes; the cursor stands on the opcode afterwards.
    pub(super) fn read(cursor: &mut Cursor<'_>, code: CodeSize) -> Result<Self, DecodeError> {
        let mut prefixes = Self {
            code,
            operand_size: false,
            address_size: false,
            lock: Lock::Absent,
            repeat: Repeat::Once,
            segment: None,
            rex: 0,
        };
        loop {
            let byte = cursor.peek()?;
            match byte {
                0x66 => prefixes.operand_size = true,
                0x67 => prefixes.address_size = true,
                0xf0 => prefixes.lock = Lock::Present,
                0xf2 => prefixes.repeat = Repeat::WhileNotEqual,
                0xf3 => prefixes.repeat = Repeat::WhileEqual,
                0x26 => prefixes.set_segment(Segment::Es),
                0x2e => prefixes.set_segment(Segment::Cs),
                0x36 => prefixes.set_segment(Segment::Ss),
                0x3e => prefixes.set_segment(Segment::Ds),
                0x64 => prefixes.segment = Some(Segment::Fs),
                0x65 => prefixes.segment = Some(Segment::Gs),
                0x40..=0x4f if code == CodeSize::Bits64 => {
                    cursor.byte()?;
                    prefixes.rex = byte;
                    continue;
                }
                _ => return Ok(prefixes),
            }
            cursor.byte()?;
            // A REX prefix counts right in front of the opcode only.
            prefixes.rex = 0;
        }
    }

    fn set_segment(&mut self, segment: Segment) {
        // The bases of these are zero in 64-bit mode, and the prefixes are ignored.
        if self.code != CodeSize::Bits64 {
            self.segment = Some(segment);
        }
    }

    /// Whether there is a REX prefix, which makes AH, CH, DH and BH unreachable.
    pub(super) const fn has_rex(&self) -> bool {
        self.rex != 0
    }

    /// Whether there is an operand-size prefix.
    pub(super) const fn has_operand_size(&self) -> bool {
        self.operand_size
    }

    const fn wide(&self) -> bool {
        self.rex & 8 != 0
    }

    /// Bit 3 of the register in ModRM.reg.
    pub(super) const fn reg_high(&self) -> u8 {
        self.rex << 1 & 8
    }

    /// Bit 3 of the index register.
    pub(super) const fn index_high(&self) -> u8 {
        self.rex << 2 & 8
    }

    /// Bit 3 of the base register, of ModRM.rm or of the register in the opcode.
    pub(super) const fn base_high(&self) -> u8 {
        self.rex << 3 & 8
    }

    /// The operand size of instructions that are not bytes.
    pub(super) const fn operand_width(&self) -> Width {
        if self.wide() {
            return Width::Qword;
        }
        match (self.code, self.operand_size) {
            (CodeSize::Bits16, false) | (CodeSize::Bits32 | CodeSize::Bits64, true) => Width::Word,
            _ => Width::Dword,
        }
    }

    /// The operand size of PUSH and POP: 64 bits by default in 64-bit mode, never 32 there.
    pub(super) const fn stack_width(&self) -> Width {
        match (self.code, self.operand_size) {
            (CodeSize::Bits64, false) => Width::Qword,
            (CodeSize::Bits64, true) if self.wide() => Width::Qword,
            _ => self.operand_width(),
        }
    }

    /// The address size.
    pub(super) const fn address_width(&self) -> Width {
        match (self.code, self.address_size) {
            (CodeSize::Bits16, false) | (CodeSize::Bits32, true) => Width::Word,
            (CodeSize::Bits64, false) => Width::Qword,
            _ => Width::Dword,
        }
    }
}
