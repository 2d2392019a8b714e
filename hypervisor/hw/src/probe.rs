//! What the CPU offers for virtualization, found out by pure code over CPUID and MSR sources.
//!
//! Bring-up runs it on the real CPU, for the banner and for the decision to go on; the unit tests
//! run it on recorded machines.

mod cpu;
mod svm;
pub(crate) mod vmx;

pub use cpu::{CpuFeatures, CpuIdentity, Vendor};
pub use svm::{SvmFeature, SvmProbe};
pub use vmx::VmxProbe;

/// Where CPUID answers come from.
pub trait CpuidSource {
    /// EAX, EBX, ECX and EDX of a leaf. Leaves that the CPU does not have may return anything: the
    /// probe asks for the highest leaf first.
    fn cpuid(&self, leaf: u32, subleaf: u32) -> [u32; 4];
}

/// Where MSR values come from.
pub trait MsrSource {
    /// The register's value. The probe asks only for registers that CPUID promises.
    fn read(&self, number: u32) -> u64;
}

/// Why the hypervisor cannot run on this CPU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The CPU lacks a feature that there is no way around.
    Missing {
        /// The feature.
        feature: &'static str,
        /// Where its bit would be.
        bit: &'static str,
    },
    /// The firmware switched virtualization off and locked the switch.
    LockedByFirmware {
        /// The register and bits.
        bit: &'static str,
    },
}

impl core::fmt::Display for Refusal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Refusal::Missing { feature, bit } => {
                write!(f, "this CPU lacks {feature} ({bit})")
            }
            Refusal::LockedByFirmware { bit } => write!(
                f,
                "the firmware switched hardware virtualization off and locked it ({bit}): \
                 enable SVM or VT-x in the firmware's setup"
            ),
        }
    }
}

/// The CPU's virtualization, with all that is required.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Virtualization {
    /// AMD's.
    Svm(SvmProbe),
    /// Intel's.
    Vmx(VmxProbe),
}

impl Virtualization {
    /// Asks the CPU: for VMX where CPUID promises it or Intel made the CPU, else for SVM.
    ///
    /// # Errors
    /// [`Refusal`] with the name of what is missing.
    pub fn read(cpu: &impl CpuidSource, msrs: &impl MsrSource) -> Result<Self, Refusal> {
        if vmx::has_vmx(cpu) || CpuIdentity::read(cpu).vendor == Vendor::Intel {
            VmxProbe::read(cpu, msrs).map(Self::Vmx)
        } else {
            SvmProbe::read(cpu, msrs).map(Self::Svm)
        }
    }

    /// The same with the hypervisor delivering the interrupts of guests where CPUs are known to do it wrongly.
    #[must_use]
    pub fn with_sound_delivery(self) -> Self {
        match self {
            Self::Vmx(probe) if probe.forgets_interrupt_flag => self.with_software_delivery(),
            sound => sound,
        }
    }

    /// The same with the hypervisor delivering all interrupts of guests, also where CPUs can.
    #[must_use]
    pub fn with_software_delivery(self) -> Self {
        match self {
            Self::Vmx(probe) => Self::Vmx(probe.with_software_delivery()),
            svm @ Self::Svm(_) => svm,
        }
    }
}

#[cfg(test)]
pub(crate) mod machines;
#[cfg(test)]
mod tests;
