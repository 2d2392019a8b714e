//! What guests may write to CR0, CR4, CR8, XCR0, EFER and PAT.
//!
//! Pure checks, used where the backend intercepts the write. Sources: SDM 3A 2.5, 13.3 (SDM 1); APM 2 3.1.

use crate::cpuid::CpuidTable;
use crate::fault::GuestFault;

const CR0_PE: u64 = 1;
const CR0_ET: u64 = 1 << 4;
const CR0_NW: u64 = 1 << 29;
const CR0_CD: u64 = 1 << 30;
const CR0_PG: u64 = 1 << 31;
/// PE, MP, EM, TS, ET, NE, WP, AM, NW, CD, PG.
const CR0_DEFINED: u64 = 0xe005_003f;

const CR4_PAE: u64 = 1 << 5;
const CR4_PCIDE: u64 = 1 << 17;

const EFER_LME: u64 = 1 << 8;
const EFER_LMA: u64 = 1 << 10;

/// The registers that the checks depend on, before the write.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ControlState {
    /// CR0.
    pub cr0: u64,
    /// CR3.
    pub cr3: u64,
    /// CR4.
    pub cr4: u64,
    /// EFER.
    pub efer: u64,
    /// CS is a 64-bit code segment (its L bit).
    pub code_64: bool,
}

/// The bits a guest may set, computed once from its CPUID.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ControlRules {
    cr4: u64,
    efer: u64,
    xcr0: u64,
}

impl ControlRules {
    /// The rules for a guest with this CPUID.
    pub fn new(table: &CpuidTable) -> Self {
        let words = table.feature_words();
        // (feature word, its bit, the CR4 bits it brings)
        let cr4 = [
            (words.leaf1_edx, 1, 0b11),
            (words.leaf1_edx, 4, 1 << 2),
            (words.leaf1_edx, 2, 1 << 3),
            (words.leaf1_edx, 3, 1 << 4),
            (words.leaf1_edx, 6, CR4_PAE),
            (words.leaf1_edx, 7, 1 << 6),
            (words.leaf1_edx, 13, 1 << 7),
            (words.leaf1_edx, 24, 1 << 9),
            (words.leaf1_edx, 25, 1 << 10),
            (words.leaf7_ecx, 2, 1 << 11),
            (words.leaf7_ebx, 0, 1 << 16),
            (words.leaf1_ecx, 17, CR4_PCIDE),
            (words.leaf1_ecx, 26, 1 << 18),
            (words.leaf7_ebx, 7, 1 << 20),
            (words.leaf7_ebx, 20, 1 << 21),
            (words.leaf7_ecx, 3, 1 << 22),
        ];
        let efer = [
            (words.extended1_edx, 11, 1),
            (words.extended1_edx, 29, EFER_LME | EFER_LMA),
            (words.extended1_edx, 20, 1 << 11),
        ];
        let collect = |rows: &[(u32, u32, u64)]| {
            rows.iter()
                .filter(|&&(word, bit, _)| word >> bit & 1 != 0)
                .fold(0, |bits, &(_, _, brings)| bits | brings)
        };
        Self {
            // PCE (bit 8) exists without a feature bit.
            cr4: collect(&cr4) | 1 << 8,
            efer: collect(&efer),
            xcr0: table.allowed_xcr0(),
        }
    }

    /// Whether a guest can have this CR4 at all.
    pub const fn permits_cr4(&self, value: u64) -> bool {
        value & !self.cr4 == 0
    }

    /// Whether a guest can have this EFER at all.
    pub const fn permits_efer(&self, value: u64) -> bool {
        value & !self.efer == 0
    }

    /// Whether a guest can have used these components of the extended state; x87 and SSE are there without XSAVE.
    pub const fn permits_components(&self, components: u64) -> bool {
        components & !(self.xcr0 | 0b11) == 0
    }

    /// The value that CR0 takes when `value` is written.
    ///
    /// # Errors
    /// #GP where SDM 3A 2.5 and 4.1.2 say so.
    pub fn check_cr0(&self, value: u64, state: &ControlState) -> Result<u64, GuestFault> {
        let paging = value & CR0_PG != 0;
        let was_paging = state.cr0 & CR0_PG != 0;
        let long = state.efer & EFER_LME != 0;
        let illegal = value >> 32 != 0
            || paging && value & CR0_PE == 0
            || value & (CR0_NW | CR0_CD) == CR0_NW
            || paging && !was_paging && long && (state.cr4 & CR4_PAE == 0 || state.code_64)
            || !paging && was_paging && state.cr4 & CR4_PCIDE != 0
            || !paging && was_paging && state.efer & EFER_LMA != 0 && state.code_64;
        if illegal {
            return Err(GuestFault::GP0);
        }
        Ok(value & CR0_DEFINED | CR0_ET)
    }

    /// EFER after a legal write of CR0: LMA follows LME and PG.
    pub const fn efer_with_cr0(efer: u64, cr0: u64) -> u64 {
        if efer & EFER_LME != 0 && cr0 & CR0_PG != 0 {
            efer | EFER_LMA
        } else {
            efer & !EFER_LMA
        }
    }

    /// The value that CR4 takes when `value` is written.
    ///
    /// # Errors
    /// #GP on reserved bits and illegal combinations (SDM 3A 2.5, 4.10.1).
    pub fn check_cr4(&self, value: u64, state: &ControlState) -> Result<u64, GuestFault> {
        let long = state.efer & EFER_LMA != 0;
        let sets_pcide = value & CR4_PCIDE != 0 && state.cr4 & CR4_PCIDE == 0;
        let illegal = value & !self.cr4 != 0
            || long && value & CR4_PAE == 0
            || sets_pcide && (!long || state.cr3 & 0xfff != 0);
        if illegal {
            return Err(GuestFault::GP0);
        }
        Ok(value)
    }

    /// The task priority class that CR8 takes when `value` is written.
    ///
    /// # Errors
    /// #GP where more than four bits are set.
    #[inline]
    pub const fn check_cr8(value: u64) -> Result<u8, GuestFault> {
        if value < 16 {
            Ok(value as u8)
        } else {
            Err(GuestFault::GP0)
        }
    }

    /// The value that XCR0 takes when XSETBV writes `value` to register `index`; the privilege level is the
    /// caller's check.
    ///
    /// # Errors
    /// #GP on another register, on bits the guest does not have, and on illegal combinations (SDM 1 13.3).
    pub fn check_xcr0(&self, index: u32, value: u64) -> Result<u64, GuestFault> {
        let together = |bits: u64| value & bits == 0 || value & bits == bits;
        let legal = index == 0
            && value & 1 != 0
            && value & !self.xcr0 == 0
            && (value & 1 << 2 == 0 || value & 1 << 1 != 0)
            && together(0b11 << 3)
            && together(0b111 << 5)
            && (value & 0b111 << 5 == 0 || value & 1 << 2 != 0)
            && together(0b11 << 17);
        if legal {
            Ok(value)
        } else {
            Err(GuestFault::GP0)
        }
    }

    /// The value that EFER takes when `value` is written: LMA stays as it is.
    ///
    /// # Errors
    /// #GP on reserved bits, and for a change of LME while paging is on.
    pub fn check_efer(&self, value: u64, state: &ControlState) -> Result<u64, GuestFault> {
        let changes_lme = (value ^ state.efer) & EFER_LME != 0;
        if value & !self.efer != 0 || changes_lme && state.cr0 & CR0_PG != 0 {
            return Err(GuestFault::GP0);
        }
        Ok(value & !EFER_LMA | state.efer & EFER_LMA)
    }
}

/// Whether a linear address is canonical in 48 bits.
#[inline]
pub const fn canonical(address: u64) -> bool {
    (address as i64) << 16 >> 16 == address as i64
}

/// Whether all eight entries of a PAT value are memory types (SDM 3A 11.12.2): 0, 1, 4, 5, 6 or 7.
#[inline]
pub const fn valid_pat(value: u64) -> bool {
    const EACH: u64 = 0x0101_0101_0101_0101;
    // Above 7, or 2 or 3: bit 1 without bit 2.
    value & (EACH * 0xf8) == 0 && value & (EACH * 2) & !(value >> 1 & (EACH * 2)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: ControlRules = ControlRules {
        cr4: 0x0037_0fff,
        efer: 0xd01,
        xcr0: 0xe7,
    };
    const LONG: ControlState = ControlState {
        cr0: 0x8005_0033,
        cr3: 0x1000,
        cr4: 0x20,
        efer: 0xd01,
        code_64: true,
    };
    const PROTECTED: ControlState = ControlState {
        cr0: 0x11,
        cr3: 0,
        cr4: 0,
        efer: 0,
        code_64: false,
    };

    #[test]
    fn cr0_refuses_illegal_combinations() {
        let fault = Err(GuestFault::GP0);
        assert_eq!(RULES.check_cr0(0x11, &PROTECTED), Ok(0x11));
        assert_eq!(RULES.check_cr0(1, &PROTECTED), Ok(0x11), "ET is fixed");
        assert_eq!(
            RULES.check_cr0(0xffc1, &PROTECTED),
            Ok(0x11),
            "undefined bits are dropped"
        );
        assert_eq!(
            RULES.check_cr0(0x8000_0000, &PROTECTED),
            fault,
            "PG without PE"
        );
        assert_eq!(RULES.check_cr0(1 << 32 | 1, &PROTECTED), fault);
        assert_eq!(
            RULES.check_cr0(0x2000_0001, &PROTECTED),
            fault,
            "NW without CD"
        );
        assert_eq!(RULES.check_cr0(0x6000_0001, &PROTECTED), Ok(0x6000_0011));
        assert_eq!(RULES.check_cr0(0x8000_0001, &PROTECTED), Ok(0x8000_0011));
        let entering = ControlState {
            efer: EFER_LME,
            ..PROTECTED
        };
        assert_eq!(
            RULES.check_cr0(0x8000_0001, &entering),
            fault,
            "long mode without PAE"
        );
        let with_pae = ControlState {
            cr4: CR4_PAE,
            ..entering
        };
        assert_eq!(RULES.check_cr0(0x8000_0001, &with_pae), Ok(0x8000_0011));
        assert_eq!(
            RULES.check_cr0(0x11, &LONG),
            fault,
            "leaving from 64-bit code"
        );
        let compatible = ControlState {
            code_64: false,
            ..LONG
        };
        assert_eq!(RULES.check_cr0(0x11, &compatible), Ok(0x11));
        let with_pcid = ControlState {
            cr4: CR4_PAE | CR4_PCIDE,
            ..compatible
        };
        assert_eq!(RULES.check_cr0(0x11, &with_pcid), fault);
        assert_eq!(ControlRules::efer_with_cr0(0x100, 0x8000_0011), 0x500);
        assert_eq!(ControlRules::efer_with_cr0(0x500, 0x11), 0x100);
    }

    #[test]
    fn cr4_refuses_what_the_guest_does_not_have() {
        for bit in 0..64 {
            let value = 1 << bit | CR4_PAE;
            let legal = RULES.cr4 & 1 << bit != 0;
            let state = ControlState { cr3: 0, ..LONG };
            assert_eq!(RULES.check_cr4(value, &state).is_ok(), legal, "bit {bit}");
        }
        let fault = Err(GuestFault::GP0);
        assert_eq!(
            RULES.check_cr4(0, &LONG),
            fault,
            "PAE is needed in long mode"
        );
        assert_eq!(RULES.check_cr4(0, &PROTECTED), Ok(0));
        let tagged = ControlState { cr3: 5, ..LONG };
        assert_eq!(RULES.check_cr4(CR4_PAE | CR4_PCIDE, &tagged), fault);
        assert_eq!(RULES.check_cr4(CR4_PAE | CR4_PCIDE, &PROTECTED), fault);
        let already = ControlState {
            cr4: CR4_PAE | CR4_PCIDE,
            ..tagged
        };
        assert!(RULES.check_cr4(CR4_PAE | CR4_PCIDE, &already).is_ok());
    }

    #[test]
    fn xcr0_takes_whole_sets_only() {
        for value in 0..0x200u64 {
            let avx512 = value >> 5 & 7;
            let legal = value & 1 != 0
                && value & !0xe7 == 0
                && (value & 4 == 0 || value & 2 != 0)
                && (avx512 == 0 || avx512 == 7 && value & 4 != 0);
            assert_eq!(RULES.check_xcr0(0, value).is_ok(), legal, "{value:#x}");
        }
        assert!(RULES.check_xcr0(1, 1).is_err());
        assert!(RULES.check_xcr0(0, 1 << 63 | 1).is_err());
    }

    #[test]
    fn efer_keeps_lma_and_guards_lme() {
        let fault = Err(GuestFault::GP0);
        assert_eq!(RULES.check_efer(0x901, &PROTECTED), Ok(0x901));
        assert_eq!(
            RULES.check_efer(0xd01, &PROTECTED),
            Ok(0x901),
            "LMA is not software's"
        );
        assert_eq!(RULES.check_efer(0x901, &LONG), Ok(0xd01));
        assert_eq!(RULES.check_efer(0x801, &LONG), fault, "LME while paging");
        for bit in [1, 7, 9, 12, 13, 14, 15, 18, 20, 21, 63] {
            assert_eq!(RULES.check_efer(1 << bit, &PROTECTED), fault, "bit {bit}");
        }
    }

    #[test]
    fn cr8_has_four_bits() {
        assert_eq!(ControlRules::check_cr8(15), Ok(15));
        assert_eq!(ControlRules::check_cr8(16), Err(GuestFault::GP0));
        assert_eq!(ControlRules::check_cr8(1 << 63), Err(GuestFault::GP0));
    }

    #[test]
    fn canonical_addresses_repeat_bit_47() {
        for good in [0, 0x7fff_ffff_ffff, 0xffff_8000_0000_0000, u64::MAX] {
            assert!(canonical(good), "{good:#x}");
        }
        for bad in [0x8000_0000_0000, 0xffff_7fff_ffff_ffff, 1 << 63] {
            assert!(!canonical(bad), "{bad:#x}");
        }
    }

    #[test]
    fn each_pat_entry_is_checked() {
        for position in 0..8 {
            for kind in 0..=255u64 {
                let value =
                    0x0007_0406_0007_0406 & !(0xff << (8 * position)) | kind << (8 * position);
                let legal = matches!(kind, 0 | 1 | 4..=7);
                assert_eq!(valid_pat(value), legal, "{value:#x}");
            }
        }
    }
}
