//! The arithmetic instructions against a model by wide integers.

use super::super::*;
use super::Random;
use super::fake::{Fake, MEMORY};
use super::{AF, CF, DF, OF, PF, SF, ZF};

/// The flags after `a + b + carry` or `a - b - carry`, from the definitions in SDM 1 3.4.3.1.
fn model(subtract: bool, a: u64, b: u64, carry: u64, width: Width) -> (u64, u64) {
    let bits = width.bits();
    let signed = |v: u64| i128::from(width.sign_extend(v) as i64);
    let (exact, exact_signed, nibble) = if subtract {
        (
            i128::from(a) - i128::from(b) - i128::from(carry),
            signed(a) - signed(b) - i128::from(carry),
            (a as i128 & 15) - (b as i128 & 15) - i128::from(carry),
        )
    } else {
        (
            i128::from(a) + i128::from(b) + i128::from(carry),
            signed(a) + signed(b) + i128::from(carry),
            (a as i128 & 15) + (b as i128 & 15) + i128::from(carry),
        )
    };
    let value = exact as u64 & width.mask();
    let mut flags = 0;
    if exact < 0 || exact >= 1 << bits {
        flags |= CF;
    }
    if (value as u8).count_ones().is_multiple_of(2) {
        flags |= PF;
    }
    if !(0..16).contains(&nibble) {
        flags |= AF;
    }
    if value == 0 {
        flags |= ZF;
    }
    if signed(value) < 0 {
        flags |= SF;
    }
    if exact_signed != signed(value) {
        flags |= OF;
    }
    (value, flags)
}

/// Interesting numbers of a width, and random ones.
fn samples(random: &mut Random, width: Width) -> Vec<u64> {
    let mask = width.mask();
    let top = 1 << (width.bits() - 1);
    let mut all = vec![0, 1, 15, 16, top - 1, top, top + 1, mask - 1, mask];
    all.extend((0..8).map(|_| random.next() & mask));
    all
}

/// `op [rbx], reg` in this width, without the ModRM byte.
fn encode(opcode: u8, width: Width) -> Vec<u8> {
    match width {
        Width::Byte => vec![opcode],
        Width::Word => vec![0x66, opcode | 1],
        Width::Dword => vec![opcode | 1],
        Width::Qword => vec![0x48, opcode | 1],
    }
}

const WIDTHS: [Width; 4] = [Width::Byte, Width::Word, Width::Dword, Width::Qword];

#[test]
fn sums_and_differences_match_the_model() {
    let mut random = Random::new(1);
    for width in WIDTHS {
        for (number, subtract, with_carry, stores) in [
            (0u8, false, false, true),
            (2, false, true, true),
            (3, true, true, true),
            (5, true, false, true),
            (7, true, false, false),
        ] {
            for a in samples(&mut random, width) {
                for b in samples(&mut random, width) {
                    for carry in [0, 1] {
                        let mut fake = Fake::new().set(Gpr::Rbx, MEMORY + 8).set(Gpr::Rcx, b);
                        fake.flags |= carry | DF | OF | AF;
                        fake.put(MEMORY + 8, &a.to_le_bytes());
                        let mut bytes = encode(number << 3, width);
                        bytes.push(0x0b);
                        fake.done(&bytes);
                        let carried = if with_carry { carry } else { 0 };
                        let (value, flags) = model(subtract, a, b, carried, width);
                        let stored = fake.get(MEMORY + 8, usize::from(width.bytes()));
                        assert_eq!(stored, if stores { value } else { a });
                        assert_eq!(fake.flags, 2 | DF | flags, "{number} {a:#x} {b:#x} {carry}");
                    }
                }
            }
        }
    }
}

#[test]
fn logic_matches_the_model() {
    let mut random = Random::new(2);
    for width in WIDTHS {
        for a in samples(&mut random, width) {
            for b in samples(&mut random, width) {
                for (opcode, value, stores) in [
                    (0x08, a | b, true),
                    (0x20, a & b, true),
                    (0x30, a ^ b, true),
                    (0x84, a & b, false),
                ] {
                    let mut fake = Fake::new().set(Gpr::Rbx, MEMORY).set(Gpr::Rcx, b);
                    fake.flags |= CF | OF;
                    fake.put(MEMORY, &a.to_le_bytes());
                    let mut bytes = encode(opcode, width);
                    bytes.push(0x0b);
                    fake.done(&bytes);
                    let (_, sums) = model(false, value, 0, 0, width);
                    assert_eq!(fake.flags, 2 | sums & (PF | ZF | SF));
                    let stored = fake.get(MEMORY, usize::from(width.bytes()));
                    assert_eq!(stored, if stores { value } else { a });
                }
            }
        }
    }
}

#[test]
fn one_operand_arithmetic_matches_the_model() {
    let mut random = Random::new(3);
    for width in WIDTHS {
        for a in samples(&mut random, width) {
            for carry in [0, CF] {
                for (opcode, modrm) in [(0xfe, 0x03), (0xfe, 0x0b), (0xf6, 0x1b), (0xf6, 0x13)] {
                    let mut fake = Fake::new().set(Gpr::Rbx, MEMORY);
                    fake.flags |= carry;
                    fake.put(MEMORY, &a.to_le_bytes());
                    let mut bytes = encode(opcode, width);
                    bytes.push(modrm);
                    fake.done(&bytes);
                    let (value, flags) = match (opcode, modrm) {
                        (0xfe, 0x03) => {
                            let (value, flags) = model(false, a, 1, 0, width);
                            (value, flags & !CF | carry)
                        }
                        (0xfe, _) => {
                            let (value, flags) = model(true, a, 1, 0, width);
                            (value, flags & !CF | carry)
                        }
                        (_, 0x1b) => model(true, 0, a, 0, width),
                        _ => (!a & width.mask(), carry),
                    };
                    assert_eq!(fake.get(MEMORY, usize::from(width.bytes())), value);
                    assert_eq!(fake.flags, 2 | flags, "{opcode:#x} /{modrm:#x} {a:#x}");
                }
            }
        }
    }
}
