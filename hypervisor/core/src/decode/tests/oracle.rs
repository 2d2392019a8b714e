use super::super::*;
use super::Random;
use iced_x86::{Decoder, DecoderOptions, Mnemonic, OpKind, Register};

const IP: u64 = 0x12_3456_7890;

fn mnemonic(instruction: &Instruction) -> &'static [Mnemonic] {
    match instruction.operation {
        Operation::Mov => &[Mnemonic::Mov, Mnemonic::Movnti],
        Operation::MovZeroExtend => &[Mnemonic::Movzx],
        Operation::MovSignExtend => &[Mnemonic::Movsx, Mnemonic::Movsxd],
        Operation::Add => &[Mnemonic::Add],
        Operation::Or => &[Mnemonic::Or],
        Operation::Adc => &[Mnemonic::Adc],
        Operation::Sbb => &[Mnemonic::Sbb],
        Operation::And => &[Mnemonic::And],
        Operation::Sub => &[Mnemonic::Sub],
        Operation::Xor => &[Mnemonic::Xor],
        Operation::Cmp => &[Mnemonic::Cmp],
        Operation::Test => &[Mnemonic::Test],
        Operation::Xchg => &[Mnemonic::Xchg],
        Operation::Inc => &[Mnemonic::Inc],
        Operation::Dec => &[Mnemonic::Dec],
        Operation::Neg => &[Mnemonic::Neg],
        Operation::Not => &[Mnemonic::Not],
        Operation::Bit(BitOperation::Test) => &[Mnemonic::Bt],
        Operation::Bit(BitOperation::Set) => &[Mnemonic::Bts],
        Operation::Bit(BitOperation::Reset) => &[Mnemonic::Btr],
        Operation::Bit(BitOperation::Complement) => &[Mnemonic::Btc],
        Operation::Cmpxchg => &[Mnemonic::Cmpxchg],
        Operation::Xadd => &[Mnemonic::Xadd],
        Operation::Push => &[Mnemonic::Push],
        Operation::Pop => &[Mnemonic::Pop],
        Operation::String(StringOperation::Movs) => &[
            Mnemonic::Movsb,
            Mnemonic::Movsw,
            Mnemonic::Movsd,
            Mnemonic::Movsq,
        ],
        Operation::String(StringOperation::Stos) => &[
            Mnemonic::Stosb,
            Mnemonic::Stosw,
            Mnemonic::Stosd,
            Mnemonic::Stosq,
        ],
        Operation::String(StringOperation::Lods) => &[
            Mnemonic::Lodsb,
            Mnemonic::Lodsw,
            Mnemonic::Lodsd,
            Mnemonic::Lodsq,
        ],
        Operation::String(StringOperation::Cmps) => &[
            Mnemonic::Cmpsb,
            Mnemonic::Cmpsw,
            Mnemonic::Cmpsd,
            Mnemonic::Cmpsq,
        ],
        Operation::String(StringOperation::Scas) => &[
            Mnemonic::Scasb,
            Mnemonic::Scasw,
            Mnemonic::Scasd,
            Mnemonic::Scasq,
        ],
        Operation::Ins => &[Mnemonic::Insb, Mnemonic::Insw, Mnemonic::Insd],
        Operation::Outs => &[Mnemonic::Outsb, Mnemonic::Outsw, Mnemonic::Outsd],
    }
}

/// Mnemonics of which every form with general registers, memory and immediates must be known.
const COMPLETE: &[Mnemonic] = &[
    Mnemonic::Mov,
    Mnemonic::Movnti,
    Mnemonic::Movzx,
    Mnemonic::Movsx,
    Mnemonic::Movsxd,
    Mnemonic::Add,
    Mnemonic::Or,
    Mnemonic::Adc,
    Mnemonic::Sbb,
    Mnemonic::And,
    Mnemonic::Sub,
    Mnemonic::Xor,
    Mnemonic::Cmp,
    Mnemonic::Test,
    Mnemonic::Inc,
    Mnemonic::Dec,
    Mnemonic::Neg,
    Mnemonic::Not,
    Mnemonic::Bt,
    Mnemonic::Bts,
    Mnemonic::Btr,
    Mnemonic::Btc,
    Mnemonic::Cmpxchg,
    Mnemonic::Xadd,
    Mnemonic::Pop,
    Mnemonic::Movsb,
    Mnemonic::Movsq,
    Mnemonic::Stosd,
    Mnemonic::Lodsw,
    Mnemonic::Cmpsb,
    Mnemonic::Scasb,
    Mnemonic::Insb,
    Mnemonic::Outsd,
];

fn gpr(register: Register) -> Gpr {
    assert!(register.is_gpr(), "{register:?}");
    Gpr::from_number(register.full_register().number() as u8)
}

fn segment(register: Register) -> Segment {
    match register {
        Register::ES => Segment::Es,
        Register::CS => Segment::Cs,
        Register::SS => Segment::Ss,
        Register::DS => Segment::Ds,
        Register::FS => Segment::Fs,
        Register::GS => Segment::Gs,
        _ => panic!("{register:?} is no segment"),
    }
}

fn width(bytes: usize) -> Width {
    match bytes {
        1 => Width::Byte,
        2 => Width::Word,
        4 => Width::Dword,
        8 => Width::Qword,
        _ => panic!("{bytes} bytes"),
    }
}

fn same_segment(code: CodeSize, ours: Segment, theirs: Register) -> bool {
    let theirs = segment(theirs);
    let has_base = |segment| matches!(segment, Segment::Fs | Segment::Gs);
    ours == theirs || code == CodeSize::Bits64 && !has_base(ours) && !has_base(theirs)
}

fn check_memory(ours: &Instruction, theirs: &iced_x86::Instruction, what: &str) {
    let memory = ours.memory.expect(what);
    assert!(
        same_segment(ours.code, memory.segment, theirs.memory_segment()),
        "{what}"
    );
    let displacement = match (memory.base, theirs.memory_base()) {
        (Base::None, Register::None) => memory.displacement,
        (Base::NextInstruction, Register::RIP | Register::EIP) => memory
            .displacement
            .wrapping_add(IP)
            .wrapping_add(u64::from(ours.length)),
        (Base::Register(base), register) => {
            assert_eq!(base, gpr(register), "{what}");
            assert_eq!(memory.width, width(register.size()), "{what}");
            memory.displacement
        }
        other => panic!("{other:?} {what}"),
    };
    assert_eq!(
        displacement & memory.width.mask(),
        theirs.memory_displacement64() & memory.width.mask(),
        "{what}"
    );
    match (memory.index, theirs.memory_index()) {
        (None, Register::None) => {}
        (Some(index), register) => {
            assert_eq!(index, gpr(register), "{what}");
            assert_eq!(1 << memory.scale, theirs.memory_index_scale(), "{what}");
        }
        other => panic!("{other:?} {what}"),
    }
}

fn check_operand(
    ours: &Instruction,
    operand: Operand,
    size: Width,
    theirs: &iced_x86::Instruction,
    index: u32,
    what: &str,
) {
    match theirs.op_kind(index) {
        OpKind::Register => {
            let register = theirs.op_register(index);
            assert_eq!(size, width(register.size()), "{what}");
            match operand {
                Operand::HighByte(name) => assert!(
                    register
                        == [Register::AH, Register::CH, Register::DH, Register::BH][name as usize],
                    "{what}"
                ),
                Operand::Register(name) => {
                    assert_eq!(name, gpr(register), "{what}");
                    let high = [Register::AH, Register::CH, Register::DH, Register::BH];
                    assert!(!high.contains(&register), "{what}");
                }
                other => panic!("{other:?} {what}"),
            }
        }
        OpKind::Memory => {
            assert_eq!(operand, Operand::Memory, "{what}");
            assert_eq!(
                usize::from(size.bytes()),
                theirs.memory_size().size(),
                "{what}"
            );
            check_memory(ours, theirs, what);
        }
        _ => match operand {
            Operand::Immediate(value) => {
                let mask = ours.width.mask();
                assert_eq!(value & mask, theirs.immediate(index) & mask, "{what}");
            }
            other => panic!("{other:?} {what}"),
        },
    }
}

fn check(ours: &Instruction, theirs: &iced_x86::Instruction, what: &str) {
    assert!(mnemonic(ours).contains(&theirs.mnemonic()), "{what}");
    assert_eq!(usize::from(ours.length), theirs.len(), "{what}");
    assert_eq!(
        ours.lock == Lock::Present,
        theirs.has_lock_prefix(),
        "{what}"
    );
    match ours.operation {
        Operation::String(_) | Operation::Ins | Operation::Outs => {
            let repeat = if theirs.has_repe_prefix() {
                Repeat::WhileEqual
            } else if theirs.has_repne_prefix() {
                Repeat::WhileNotEqual
            } else {
                Repeat::Once
            };
            assert_eq!(ours.repeat, repeat, "{what}");
            assert_eq!(
                usize::from(ours.width.bytes()),
                theirs.memory_size().size(),
                "{what}"
            );
            let memory = ours.memory.expect(what);
            for index in 0..theirs.op_count() {
                let address = match theirs.op_kind(index) {
                    OpKind::MemorySegSI | OpKind::MemoryESDI => Width::Word,
                    OpKind::MemorySegESI | OpKind::MemoryESEDI => Width::Dword,
                    OpKind::MemorySegRSI | OpKind::MemoryESRDI => Width::Qword,
                    _ => continue,
                };
                assert_eq!(memory.width, address, "{what}");
                if matches!(
                    theirs.op_kind(index),
                    OpKind::MemorySegSI | OpKind::MemorySegESI | OpKind::MemorySegRSI
                ) {
                    assert!(
                        same_segment(ours.code, memory.segment, theirs.memory_segment()),
                        "{what}"
                    );
                }
            }
        }
        Operation::Push => check_operand(ours, ours.source, ours.width, theirs, 0, what),
        _ => {
            check_operand(ours, ours.destination, ours.width, theirs, 0, what);
            if theirs.op_count() > 1 {
                check_operand(ours, ours.source, ours.source_width, theirs, 1, what);
            } else {
                assert_eq!(ours.source, Operand::None, "{what}");
            }
        }
    }
}

/// Whether an instruction must be known: one of the complete mnemonics, without special registers.
fn must_be_known(theirs: &iced_x86::Instruction) -> bool {
    COMPLETE.contains(&theirs.mnemonic())
        && (0..theirs.op_count()).all(|index| {
            theirs.op_kind(index) != OpKind::Register || theirs.op_register(index).is_gpr()
        })
}

fn compare(bytes: &[u8], code: CodeSize) -> bool {
    let bits = match code {
        CodeSize::Bits16 => 16,
        CodeSize::Bits32 => 32,
        CodeSize::Bits64 => 64,
    };
    let mut decoder = Decoder::with_ip(bits, bytes, IP, DecoderOptions::NONE);
    let theirs = decoder.decode();
    let what = format!("{code:?} {bytes:02x?} {:?}", theirs.code());
    match decode(bytes, code) {
        Ok(ours) => {
            assert!(!theirs.is_invalid(), "{ours:?} {what}");
            check(&ours, &theirs, &what);
            // With fewer bytes the answer is that there are too few.
            for length in 0..usize::from(ours.length) {
                assert_eq!(
                    decode(&bytes[..length], code),
                    Err(DecodeError::TooShort),
                    "{length} bytes of {what}"
                );
            }
            true
        }
        Err(error) => {
            assert!(
                theirs.is_invalid() || !must_be_known(&theirs),
                "{error:?} {what}"
            );
            false
        }
    }
}

const CODES: [CodeSize; 3] = [CodeSize::Bits16, CodeSize::Bits32, CodeSize::Bits64];
const PREFIXES: [u8; 15] = [
    0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x48, 0x41, 0x4c, 0x47,
];

#[test]
fn random_bytes_decode_as_another_decoder_decodes_them() {
    let mut random = Random::new(0x5eed);
    let mut known = 0;
    for round in 0..200_000u32 {
        let mut bytes = [0; 15];
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&random.next().to_le_bytes()[..chunk.len()]);
        }
        // Half of the strings start with likely prefixes.
        let prefixes = (random.next() % 5).min(u64::from(round % 2) * 4);
        for byte in bytes.iter_mut().take(prefixes as usize) {
            *byte = PREFIXES[random.next() as usize % PREFIXES.len()];
        }
        if random.next().is_multiple_of(4) {
            bytes[prefixes as usize] = 0x0f;
        }
        for code in CODES {
            known += u32::from(compare(&bytes, code));
        }
    }
    assert!(
        known > 130_000,
        "{known} of the strings were known instructions"
    );
}

#[test]
fn every_opcode_and_modrm_decodes_alike() {
    for opcode in 0..=0xffu8 {
        for modrm in 0..=0xffu8 {
            for (prefix, escape) in [
                (0x90, false),
                (0x66, false),
                (0x67, false),
                (0x90, true),
                (0x48, true),
                (0x44, false),
            ] {
                let mut bytes = Vec::new();
                if prefix != 0x90 {
                    bytes.push(prefix);
                }
                if escape {
                    bytes.push(0x0f);
                }
                bytes.extend([
                    opcode, modrm, 0x65, 0x80, 0xff, 0x81, 0x7f, 0x12, 0x34, 0x56, 0x78,
                ]);
                for code in CODES {
                    compare(&bytes, code);
                }
            }
        }
    }
}

#[test]
fn too_many_prefixes_are_too_long() {
    assert_eq!(
        decode(&[0x66; 20], CodeSize::Bits64),
        Err(DecodeError::TooLong)
    );
    assert_eq!(
        decode(&[0x66; 14], CodeSize::Bits64),
        Err(DecodeError::TooShort)
    );
    // The longest there is: 13 prefixes, opcode, ModRM; with one prefix more it is too long.
    let mut bytes = [0x2e; 16];
    bytes[13] = 0x88;
    bytes[14] = 0;
    assert_eq!(decode(&bytes, CodeSize::Bits64).map(|i| i.length), Ok(15));
    bytes[13..].copy_from_slice(&[0x2e, 0x88, 0]);
    assert_eq!(decode(&bytes, CodeSize::Bits64), Err(DecodeError::TooLong));
}

#[test]
fn lock_is_for_changes_of_memory_only() {
    assert_eq!(
        decode(&[0xf0, 0x01, 0xc0], CodeSize::Bits64),
        Err(DecodeError::Undefined)
    );
    assert_eq!(
        decode(&[0xf0, 0x89, 0x00], CodeSize::Bits64),
        Err(DecodeError::Undefined)
    );
    assert_eq!(
        decode(&[0xf0, 0x03, 0x00], CodeSize::Bits64),
        Err(DecodeError::Undefined)
    );
    let locked = decode(&[0xf0, 0x01, 0x00], CodeSize::Bits64).unwrap();
    assert_eq!(locked.lock, Lock::Present);
}
