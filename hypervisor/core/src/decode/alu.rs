//! Results and flags of the arithmetic instructions (SDM 1 3.4.3.1, SDM 2A).

use super::{BitOperation, Operation, Width};

/// Carry.
pub(super) const CF: u64 = 1;
/// Parity of the low byte.
pub(super) const PF: u64 = 1 << 2;
/// Carry out of bit 3.
pub(super) const AF: u64 = 1 << 4;
/// Zero.
pub(super) const ZF: u64 = 1 << 6;
/// Sign.
pub(super) const SF: u64 = 1 << 7;
/// Direction of string instructions.
pub(super) const DF: u64 = 1 << 10;
/// Signed overflow.
pub(super) const OF: u64 = 1 << 11;

/// The six status flags.
const STATUS: u64 = CF | PF | AF | ZF | SF | OF;

/// A result with the flags after the operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Computed {
    pub(super) value: u64,
    pub(super) flags: u64,
}

const fn when(condition: bool, flag: u64) -> u64 {
    if condition { flag } else { 0 }
}

fn result_flags(value: u64, width: Width) -> u64 {
    let even = (value as u8).count_ones() & 1 == 0;
    let sign = value.wrapping_shr(width.bits().wrapping_sub(1)) & 1 != 0;
    when(even, PF) | when(value == 0, ZF) | when(sign, SF)
}

/// `a + b + carry`.
fn add(a: u64, b: u64, carry: u64, width: Width, flags: u64) -> Computed {
    let wide = u128::from(a)
        .wrapping_add(u128::from(b))
        .wrapping_add(u128::from(carry));
    let value = wide as u64 & width.mask();
    let top = width.bits().wrapping_sub(1);
    let overflow = ((a ^ value) & (b ^ value)).wrapping_shr(top) & 1 != 0;
    let status = when(wide.wrapping_shr(width.bits()) != 0, CF)
        | when((a ^ b ^ value) & 0x10 != 0, AF)
        | when(overflow, OF)
        | result_flags(value, width);
    Computed {
        value,
        flags: flags & !STATUS | status,
    }
}

/// `a - b - borrow`.
fn subtract(a: u64, b: u64, borrow: u64, width: Width, flags: u64) -> Computed {
    let value = a.wrapping_sub(b).wrapping_sub(borrow) & width.mask();
    let top = width.bits().wrapping_sub(1);
    let overflow = ((a ^ b) & (a ^ value)).wrapping_shr(top) & 1 != 0;
    let below = u128::from(a) < u128::from(b).wrapping_add(u128::from(borrow));
    let status = when(below, CF)
        | when((a ^ b ^ value) & 0x10 != 0, AF)
        | when(overflow, OF)
        | result_flags(value, width);
    Computed {
        value,
        flags: flags & !STATUS | status,
    }
}

/// AND, OR and XOR: CF and OF are cleared; AF is undefined and cleared here, as CPUs do.
fn logic(value: u64, width: Width, flags: u64) -> Computed {
    Computed {
        value,
        flags: flags & !STATUS | result_flags(value, width),
    }
}

/// Computes an operation of two operands, which have no bits above the width. CMP and TEST answer the
/// difference and the conjunction; the caller does not store them.
pub(super) fn binary(
    operation: Operation,
    a: u64,
    b: u64,
    width: Width,
    flags: u64,
) -> Option<Computed> {
    let carry = flags & CF;
    Some(match operation {
        Operation::Add | Operation::Xadd => add(a, b, 0, width, flags),
        Operation::Adc => add(a, b, carry, width, flags),
        Operation::Sub | Operation::Cmp | Operation::Cmpxchg => subtract(a, b, 0, width, flags),
        Operation::Sbb => subtract(a, b, carry, width, flags),
        Operation::And | Operation::Test => logic(a & b, width, flags),
        Operation::Or => logic(a | b, width, flags),
        Operation::Xor => logic(a ^ b, width, flags),
        _ => return None,
    })
}

/// Computes an operation of one operand.
pub(super) fn unary(operation: Operation, a: u64, width: Width, flags: u64) -> Option<Computed> {
    let keep_carry = |computed: Computed| Computed {
        flags: computed.flags & !CF | flags & CF,
        ..computed
    };
    Some(match operation {
        Operation::Inc => keep_carry(add(a, 1, 0, width, flags)),
        Operation::Dec => keep_carry(subtract(a, 1, 0, width, flags)),
        Operation::Neg => subtract(0, a, 0, width, flags),
        Operation::Not => Computed {
            value: !a & width.mask(),
            flags,
        },
        _ => return None,
    })
}

/// Tests bit `index` (below the width) and changes it.
pub(super) fn bit(operation: BitOperation, a: u64, index: u32, flags: u64) -> Computed {
    let mask = 1u64.wrapping_shl(index);
    let value = match operation {
        BitOperation::Test => a,
        BitOperation::Set => a | mask,
        BitOperation::Reset => a & !mask,
        BitOperation::Complement => a ^ mask,
    };
    Computed {
        value,
        flags: flags & !CF | when(a & mask != 0, CF),
    }
}
