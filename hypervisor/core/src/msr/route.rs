//! Who answers an MSR.

use super::number::*;
use crate::fault::GuestFault;
use crate::paravirtual_clock::ParavirtualClock;

/// What a value must be for a register that the backend keeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Check {
    /// Any value.
    Any,
    /// A canonical address.
    Canonical,
    /// 32 bits; the rest is dropped by Intel CPUs and by AMD CPUs alike.
    Low32,
    /// 32 bits; others are reserved.
    Only32,
    /// Eight memory types.
    Pat,
}

impl Check {
    /// The value to store.
    ///
    /// # Errors
    /// #GP for a value the register cannot take.
    #[inline]
    pub fn apply(self, value: u64) -> Result<u64, GuestFault> {
        let legal = match self {
            Check::Any => true,
            Check::Canonical => super::canonical(value),
            Check::Low32 => return Ok(value & 0xffff_ffff),
            Check::Only32 => value >> 32 == 0,
            Check::Pat => super::valid_pat(value),
        };
        if legal {
            Ok(value)
        } else {
            Err(GuestFault::GP0)
        }
    }
}

/// Who answers an MSR.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Route {
    /// The local APIC: APIC_BASE and TSC_DEADLINE.
    LocalApic,
    /// The TSC: the value is the offset's business.
    Tsc,
    /// EFER: after [`super::ControlRules::check_efer`].
    Efer,
    /// The backend keeps it; writes pass the check first.
    Kept(Check),
    /// [`crate::paravirtual_clock::ParavirtualClock`].
    ParavirtualClock,
    /// [`super::Bank`].
    Bank,
    /// Nobody: #GP.
    Absent,
}

/// An MSR that guests may reach without an exit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DirectMsr {
    /// The number.
    pub msr: u32,
    /// Why no intercept is needed.
    pub because: &'static str,
}

const fn direct(msr: u32, because: &'static str) -> DirectMsr {
    DirectMsr { msr, because }
}

/// The MSRs to leave open in the intercept bitmap. A backend that cannot switch one of them closes it again; the
/// guest's accesses then take the [`Route::Kept`] way.
pub const DIRECT: &[DirectMsr] = &[
    direct(FS_BASE, "part of the guest's segment state"),
    direct(GS_BASE, "part of the guest's segment state"),
    direct(KERNEL_GS_BASE, "switched with the vCPU"),
    direct(STAR, "switched with the vCPU"),
    direct(LSTAR, "switched with the vCPU"),
    direct(CSTAR, "switched with the vCPU"),
    direct(SFMASK, "switched with the vCPU"),
    direct(SYSENTER_CS, "part of the guest's state"),
    direct(SYSENTER_ESP, "part of the guest's state"),
    direct(SYSENTER_EIP, "part of the guest's state"),
    direct(
        TSC_AUX,
        "switched with the vCPU, where the CPU has RDTSCP or RDPID",
    ),
];

/// Who answers this MSR.
#[inline]
pub const fn route(msr: u32) -> Route {
    match msr {
        TSC => Route::Tsc,
        _ if ParavirtualClock::has(msr) => Route::ParavirtualClock,
        APIC_BASE | TSC_DEADLINE => Route::LocalApic,
        EFER => Route::Efer,
        PAT => Route::Kept(Check::Pat),
        SYSENTER_CS => Route::Kept(Check::Low32),
        SYSENTER_ESP | SYSENTER_EIP | LSTAR | CSTAR | FS_BASE | GS_BASE | KERNEL_GS_BASE => {
            Route::Kept(Check::Canonical)
        }
        STAR => Route::Kept(Check::Any),
        SFMASK => Route::Kept(Check::Low32),
        TSC_AUX => Route::Kept(Check::Only32),
        0x0000..=0x0fff | 0xc001_0000..=0xc001_1fff => Route::Bank,
        _ => Route::Absent,
    }
}
