//! The emulated MSRs that no other part of a vCPU owns.

use super::mtrr::{CAPABILITIES, MtrrState};
use crate::fault::GuestFault;
use crate::time::Hertz;

/// Whose MSRs a guest expects, after the vendor string that its CPUID shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Vendor {
    /// Intel and those that follow it.
    Intel,
    /// AMD and Hygon.
    Amd,
}

/// What a bank depends on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BankConfig {
    /// Whose MSRs.
    pub vendor: Vendor,
    /// Width of the guest's physical addresses.
    pub physical_bits: u8,
    /// The microcode revision of the host, which guests look at for errata.
    pub microcode: u32,
    /// The TSC's rate, where it is known.
    pub tsc: Option<Hertz>,
}

/// What of a bank is saved and restored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BankState {
    /// The MTRRs.
    pub mtrr: MtrrState,
    /// Bit 0 of MISC_ENABLE: fast strings.
    pub fast_strings: bool,
    /// MCG_STATUS.
    pub machine_check_status: u64,
    /// HWCR of AMD CPUs.
    pub hardware_configuration: u64,
}

impl BankState {
    const RESET: BankState = BankState {
        mtrr: MtrrState::WRITE_BACK,
        fast_strings: true,
        machine_check_status: 0,
        hardware_configuration: HWCR_TSC_FREQ_SEL,
    };

    /// Checks what a guest with physical addresses of this width can have written.
    ///
    /// # Errors
    /// #GP where it cannot have written a value.
    pub fn check(&self, physical_bits: u8) -> Result<(), GuestFault> {
        let mut checked = BankState::RESET;
        for (msr, value) in self.mtrr.entries() {
            checked
                .mtrr
                .write(msr, value, physical_bits)
                .unwrap_or(Err(GuestFault::GP0))?;
        }
        if self.hardware_configuration & !(HWCR_WRITABLE | HWCR_TSC_FREQ_SEL) != 0
            || self.machine_check_status & !7 != 0
        {
            return Err(GuestFault::GP0);
        }
        Ok(())
    }
}

/// MISC_ENABLE: no branch trace store, no precise event sampling.
const MISC_ENABLE_FIXED: u64 = 1 << 11 | 1 << 12;
/// HWCR: the TSC counts at the rate of P-state 0.
const HWCR_TSC_FREQ_SEL: u64 = 1 << 24;
/// HWCR bits that guests set for errata or for their machine-check handlers, without effect here:
/// TlbCacheDis, FFDis, IgnneEm and McStatusWrEn.
const HWCR_WRITABLE: u64 = 1 << 3 | 1 << 6 | 1 << 8 | 1 << 18;
/// AMD's VM_CR: hardware virtualization disabled by firmware, and locked.
const VM_CR_DISABLED: u64 = 0b11 << 3;
/// DEBUGCTL bits that are ignored: last-branch records and single-step on branches.
const DEBUGCTL_IGNORED: u64 = 0b11;

/// One vCPU's bank.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bank {
    config: BankConfig,
    state: BankState,
}

impl Bank {
    /// The bank at power-up.
    pub const fn new(config: BankConfig) -> Self {
        Self {
            config,
            state: BankState::RESET,
        }
    }

    /// Power-up values again.
    pub fn reset(&mut self) {
        self.state = BankState::RESET;
    }

    /// The state for a later [`Bank::restore`].
    pub const fn save(&self) -> BankState {
        self.state
    }

    /// Takes over a saved state.
    ///
    /// # Errors
    /// #GP where a guest could not have written a value; the bank is unchanged then.
    pub fn restore(&mut self, state: &BankState) -> Result<(), GuestFault> {
        state.check(self.config.physical_bits)?;
        self.state = *state;
        Ok(())
    }

    /// Reads an MSR.
    ///
    /// # Errors
    /// #GP where a CPU with this guest's CPUID has no such MSR.
    pub fn read(&self, msr: u32) -> Result<u64, GuestFault> {
        if let Some(value) = self.state.mtrr.read(msr) {
            return Ok(value);
        }
        match msr {
            0xfe => Ok(CAPABILITIES),
            // The Pentium's machine-check registers; machine check without banks; DEBUGCTL and its branches.
            0x0 | 0x1 | 0x179 | 0x1d9 | 0x1db..=0x1de => Ok(0),
            0x17a => Ok(self.state.machine_check_status),
            _ => match self.config.vendor {
                Vendor::Intel => self.read_intel(msr),
                Vendor::Amd => self.read_amd(msr),
            },
        }
    }

    /// Writes an MSR.
    ///
    /// # Errors
    /// #GP where the MSR does not exist, is read-only, or cannot take the value.
    pub fn write(&mut self, msr: u32, value: u64) -> Result<(), GuestFault> {
        if let Some(answer) = self.state.mtrr.write(msr, value, self.config.physical_bits) {
            return answer;
        }
        let legal = match msr {
            0x0 | 0x1 => true,
            0x17a => {
                // Software clears it, after a machine check that it handled.
                self.state.machine_check_status = 0;
                value == 0
            }
            0x1d9 => value & !DEBUGCTL_IGNORED == 0,
            _ => match self.config.vendor {
                Vendor::Intel => self.write_intel(msr, value),
                Vendor::Amd => self.write_amd(msr, value),
            },
        };
        if legal { Ok(()) } else { Err(GuestFault::GP0) }
    }

    fn read_intel(&self, msr: u32) -> Result<u64, GuestFault> {
        match msr {
            // PLATFORM_ID, EBL_CR_POWERON, PERF_STATUS, PERF_CTL.
            0x17 | 0x2a | 0x198 | 0x199 => Ok(0),
            // FEATURE_CONTROL: locked, with nothing enabled.
            0x3a => Ok(1),
            0x8b => Ok(u64::from(self.config.microcode) << 32),
            0xce => Ok(self.platform_info()),
            0x1a0 => Ok(MISC_ENABLE_FIXED | u64::from(self.state.fast_strings)),
            _ => Err(GuestFault::GP0),
        }
    }

    fn write_intel(&mut self, msr: u32, value: u64) -> bool {
        match msr {
            // A revision is read by writing 0 before; updates are the host's business; PERF_CTL.
            0x8b | 0x79 | 0x199 | 0x2a => true,
            0x1a0 => {
                self.state.fast_strings = value & 1 != 0;
                true
            }
            _ => false,
        }
    }

    fn read_amd(&self, msr: u32) -> Result<u64, GuestFault> {
        match msr {
            0x8b => Ok(u64::from(self.config.microcode)),
            0xc001_0015 => Ok(self.state.hardware_configuration),
            0xc001_0114 => Ok(VM_CR_DISABLED),
            _ if reads_as_zero(msr) => Ok(0),
            _ => Err(GuestFault::GP0),
        }
    }

    fn write_amd(&mut self, msr: u32, value: u64) -> bool {
        match msr {
            0x8b | 0xc001_0114 => true,
            0xc001_0015 => {
                if value & !(HWCR_WRITABLE | HWCR_TSC_FREQ_SEL) != 0 {
                    return false;
                }
                self.state.hardware_configuration = value & HWCR_WRITABLE | HWCR_TSC_FREQ_SEL;
                true
            }
            _ => reads_as_zero(msr),
        }
    }

    /// PLATFORM_INFO: the TSC as a multiple of 100 MHz.
    fn platform_info(&self) -> u64 {
        let ratio = self.config.tsc.map_or(0, |rate| rate.get() / 100_000_000);
        ratio.min(0xff) << 8
    }
}

/// AMD MSRs that guests read and write without asking: zero, and writes are ignored.
const fn reads_as_zero(msr: u32) -> bool {
    matches!(
        msr,
        // Performance counters of family 6 and of family 15h: Linux probes them by vendor.
        0xc001_0000..=0xc001_0007 | 0xc001_0200..=0xc001_020b
        // SYSCFG, TOP_MEM, TOP_MEM2, NB_CFG.
        | 0xc001_0010 | 0xc001_001a | 0xc001_001d | 0xc001_001f
        // Interrupt pending message, MMIO configuration base, SMM address and mask.
        | 0xc001_0055 | 0xc001_0058 | 0xc001_0112 | 0xc001_0113
        // OS-visible workarounds.
        | 0xc001_0140 | 0xc001_0141
        // Load-store, instruction, data-cache, bus, decode and execution configuration.
        | 0xc001_1020..=0xc001_102f
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::msr::{Route, number, route};

    fn bank(vendor: Vendor) -> Bank {
        Bank::new(BankConfig {
            vendor,
            physical_bits: 40,
            microcode: 0x0800_1250,
            tsc: Hertz::new(2_900_000_000),
        })
    }

    #[test]
    fn what_linux_writes_unchecked_on_amd_does_not_fault() {
        let mut bank = bank(Vendor::Amd);
        let counters = (0xc001_0000..=0xc001_0007).chain(0xc001_0200..=0xc001_020b);
        for msr in counters.chain([0xc001_001f, 0xc001_0010, 0xc001_1029]) {
            assert_eq!(route(msr), Route::Bank, "{msr:#x}");
            assert_eq!(bank.write(msr, 0xdead), Ok(()), "{msr:#x}");
            assert_eq!(bank.read(msr), Ok(0), "{msr:#x}");
        }
        let mut other = super::tests::bank(Vendor::Intel);
        assert_eq!(other.write(0xc001_0000, 0), Err(GuestFault::GP0));
        assert_eq!(other.read(0xc001_0000), Err(GuestFault::GP0));
    }

    #[test]
    fn unknown_msrs_fault() {
        for vendor in [Vendor::Intel, Vendor::Amd] {
            let mut bank = bank(vendor);
            for msr in [
                0x48,
                0x49,
                0x10a,
                0x122,
                0x400,
                0xda0,
                0xc001_0117,
                0xc001_1030,
                0x480,
            ] {
                assert_eq!(bank.read(msr), Err(GuestFault::GP0), "{msr:#x}");
                assert_eq!(bank.write(msr, 0), Err(GuestFault::GP0), "{msr:#x}");
            }
        }
        assert_eq!(route(0x4b56_4d02), Route::Absent);
        assert_eq!(route(0xc000_0104), Route::Absent);
        assert_eq!(route(0xffff_ffff), Route::Absent);
    }

    #[test]
    fn constants_read_as_configured() {
        let intel = bank(Vendor::Intel);
        assert_eq!(intel.read(0x8b), Ok(0x0800_1250 << 32));
        assert_eq!(intel.read(0xce), Ok(29 << 8));
        assert_eq!(intel.read(0x3a), Ok(1));
        assert_eq!(intel.read(0x1a0), Ok(0x1801));
        assert_eq!(intel.read(0xfe), Ok(0x508));
        assert_eq!(intel.read(0x179), Ok(0));
        let amd = bank(Vendor::Amd);
        assert_eq!(amd.read(0x8b), Ok(0x0800_1250));
        assert_eq!(amd.read(0xc001_0114), Ok(0x18));
        assert_eq!(amd.read(0x3a), Err(GuestFault::GP0));
    }

    #[test]
    fn read_only_msrs_refuse_writes() {
        let mut intel = bank(Vendor::Intel);
        for msr in [0xfe, 0x179, 0x17, 0xce, 0x3a] {
            assert_eq!(intel.write(msr, 0), Err(GuestFault::GP0), "{msr:#x}");
        }
        assert_eq!(intel.write(0x1d9, 1), Ok(()));
        assert_eq!(intel.write(0x1d9, 1 << 6), Err(GuestFault::GP0), "tracing");
        assert_eq!(intel.write(0x17a, 1), Err(GuestFault::GP0));
    }

    #[test]
    fn hwcr_keeps_harmless_bits() {
        let mut amd = bank(Vendor::Amd);
        assert_eq!(amd.write(0xc001_0015, 1 << 18 | 1 << 3), Ok(()));
        assert_eq!(amd.read(0xc001_0015), Ok(1 << 24 | 1 << 18 | 1 << 3));
        assert_eq!(amd.write(0xc001_0015, 1 << 35), Err(GuestFault::GP0));
    }

    #[test]
    fn a_saved_bank_is_restored_or_refused() {
        let mut amd = bank(Vendor::Amd);
        amd.write(0x200, 0xc000_0006).unwrap();
        amd.write(0xc001_0015, 1 << 18).unwrap();
        let state = amd.save();
        let mut copy = bank(Vendor::Amd);
        copy.restore(&state).unwrap();
        assert_eq!(copy, amd);
        let mut bad = state;
        bad.mtrr.fixed[3] = 2;
        assert!(copy.restore(&bad).is_err());
        assert_eq!(copy, amd);
        copy.reset();
        assert_eq!(copy, bank(Vendor::Amd));
    }

    #[test]
    fn every_direct_msr_is_kept_by_the_backend() {
        for direct in crate::msr::DIRECT {
            assert!(
                matches!(route(direct.msr), Route::Kept(_)),
                "{:#x}",
                direct.msr
            );
        }
        assert_eq!(route(number::PAT), Route::Kept(crate::msr::Check::Pat));
        assert_eq!(route(number::TSC), Route::Tsc);
        assert_eq!(route(number::EFER), Route::Efer);
        assert_eq!(route(number::APIC_BASE), Route::LocalApic);
        assert_eq!(route(number::TSC_DEADLINE), Route::LocalApic);
    }

    #[test]
    fn kept_values_are_checked() {
        use crate::msr::Check;
        assert_eq!(Check::Canonical.apply(1 << 47), Err(GuestFault::GP0));
        assert_eq!(Check::Low32.apply(0x1_0000_0002), Ok(2));
        assert_eq!(Check::Only32.apply(1 << 32), Err(GuestFault::GP0));
        assert_eq!(Check::Any.apply(u64::MAX), Ok(u64::MAX));
        assert_eq!(Check::Pat.apply(2), Err(GuestFault::GP0));
    }
}
