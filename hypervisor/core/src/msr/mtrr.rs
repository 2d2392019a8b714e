//! The memory type range registers (SDM 3A 11.11): kept and checked, without effect on the memory types that
//! the nested tables give. Guests expect to find and to copy them.

use crate::fault::GuestFault;

/// Number of variable ranges.
const RANGES: usize = 8;
/// Number of fixed-range registers.
const FIXED: usize = 11;

/// A memory type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum MemoryType {
    /// Uncacheable.
    Uncacheable = 0,
    /// Write combining.
    WriteCombining = 1,
    /// Write through.
    WriteThrough = 4,
    /// Write protected.
    WriteProtected = 5,
    /// Write back.
    WriteBack = 6,
}

const DEF_TYPE_ENABLE: u64 = 1 << 11;
const DEF_TYPE_FIXED: u64 = 1 << 10;
const MASK_VALID: u64 = 1 << 11;

/// MTRRCAP: eight variable ranges, fixed ranges, write combining.
pub(super) const CAPABILITIES: u64 = RANGES as u64 | 1 << 8 | 1 << 10;

/// The MTRRs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MtrrState {
    /// Default type and enables (0x2ff).
    pub default_type: u64,
    /// The fixed ranges: 64 KiB, two of 16 KiB, eight of 4 KiB.
    pub fixed: [u64; FIXED],
    /// The variable ranges: base and mask.
    pub variable: [[u64; 2]; RANGES],
}

impl MtrrState {
    /// As firmware leaves them where all memory is write-back: enabled, with that default.
    pub const WRITE_BACK: MtrrState = MtrrState {
        default_type: DEF_TYPE_ENABLE | DEF_TYPE_FIXED | MemoryType::WriteBack as u64,
        fixed: [0x0606_0606_0606_0606; FIXED],
        variable: [[0; 2]; RANGES],
    };

    /// Reads one; `None` where the number is none of an MTRR.
    pub(super) fn read(&self, msr: u32) -> Option<u64> {
        if msr == 0x2ff {
            return Some(self.default_type);
        }
        if let Some(index) = fixed_index(msr) {
            return self.fixed.get(index).copied();
        }
        let (range, part) = variable_index(msr)?;
        self.variable.get(range)?.get(part).copied()
    }

    /// Writes one; `None` where the number is none of an MTRR.
    pub(super) fn write(
        &mut self,
        msr: u32,
        value: u64,
        physical_bits: u8,
    ) -> Option<Result<(), GuestFault>> {
        let beyond = u64::MAX.checked_shl(physical_bits.into()).unwrap_or(0);
        let (slot, legal) = if msr == 0x2ff {
            let legal = value & !(DEF_TYPE_ENABLE | DEF_TYPE_FIXED | 0xff) == 0 && is_type(value);
            (&mut self.default_type, legal)
        } else if let Some(index) = fixed_index(msr) {
            let legal = value
                .to_le_bytes()
                .into_iter()
                .all(|byte| is_type(byte.into()));
            (self.fixed.get_mut(index)?, legal)
        } else {
            let (range, part) = variable_index(msr)?;
            let legal = if part == 0 {
                value & (0xf00 | beyond) == 0 && is_type(value)
            } else {
                value & (0xfff & !MASK_VALID | beyond) == 0
            };
            (self.variable.get_mut(range)?.get_mut(part)?, legal)
        };
        if !legal {
            return Some(Err(GuestFault::GP0));
        }
        *slot = value;
        Some(Ok(()))
    }

    /// The numbers of all MTRRs, for restoring through the checks.
    pub(super) fn entries(&self) -> impl Iterator<Item = (u32, u64)> + '_ {
        let fixed = FIXED_NUMBERS.iter().copied().zip(self.fixed);
        let variable = (0x200u32..).zip(self.variable.iter().flatten().copied());
        fixed.chain(variable).chain([(0x2ff, self.default_type)])
    }
}

const FIXED_NUMBERS: [u32; FIXED] = [
    0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f,
];

fn fixed_index(msr: u32) -> Option<usize> {
    FIXED_NUMBERS.iter().position(|&number| number == msr)
}

fn variable_index(msr: u32) -> Option<(usize, usize)> {
    let index = usize::try_from(msr.checked_sub(0x200)?).ok()?;
    (index < 2 * RANGES).then_some((index >> 1, index & 1))
}

fn is_type(value: u64) -> bool {
    matches!(value & 0xff, 0 | 1 | 4 | 5 | 6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_are_checked() {
        let mut mtrrs = MtrrState::WRITE_BACK;
        let mut write = |msr, value| mtrrs.write(msr, value, 40).map(|answer| answer.is_ok());
        for (msr, value, expected) in [
            (0x2ff, 0xc06, Some(true)),
            (0x2ff, 0xc02, Some(false)),
            (0x2ff, 0x1000, Some(false)),
            (0x250, 0x0605_0401_0006_0606, Some(true)),
            (0x26f, 0x0606_0606_0606_0603, Some(false)),
            (0x200, 0x80_c000_0006, Some(true)),
            (0x200, 0x100_0000_0006, Some(false)),
            (0x200, 0x106, Some(false)),
            (0x20f, 0xff_c000_0800, Some(true)),
            (0x20f, 0xff_c000_0400, Some(false)),
            (0x20f, 0x1ff_c000_0800, Some(false)),
            (0x210, 0, None),
            (0x251, 0, None),
        ] {
            assert_eq!(write(msr, value), expected, "{msr:#x} {value:#x}");
        }
        assert_eq!(mtrrs.read(0x200), Some(0x80_c000_0006));
        assert_eq!(mtrrs.read(0x20f), Some(0xff_c000_0800));
        assert_eq!(mtrrs.read(0x250), Some(0x0605_0401_0006_0606));
        assert_eq!(mtrrs.read(0x210), None);
    }

    #[test]
    fn entries_name_every_register_once() {
        let mut mtrrs = MtrrState::WRITE_BACK;
        for (index, (msr, _)) in MtrrState::WRITE_BACK.entries().enumerate() {
            if (0x200..0x210).contains(&msr) && msr & 1 == 0 {
                assert_eq!(mtrrs.write(msr, (index as u64) << 12, 40), Some(Ok(())));
            }
        }
        let copied: Vec<_> = mtrrs.entries().collect();
        assert_eq!(copied.len(), 28);
        for (msr, value) in copied {
            assert_eq!(mtrrs.read(msr), Some(value), "{msr:#x}");
        }
    }
}
