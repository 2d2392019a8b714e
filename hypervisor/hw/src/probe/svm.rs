//! AMD SVM: required and optional features (APM 2 15.4, APM 3 E.4.9).

use super::{CpuidSource, MsrSource, Refusal};
use crate::msr::Msr;

/// VM_CR.LOCK: SVMDIS cannot be changed any more (APM 2 15.30.1).
const VM_CR_LOCK: u64 = 1 << 3;
/// VM_CR.SVMDIS: EFER.SVME cannot be set.
const VM_CR_SVMDIS: u64 = 1 << 4;

/// Optional features, by their bit in EDX of CPUID 8000_000A.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum SvmFeature {
    /// Nested paging: required.
    NestedPaging = 0,
    /// LBR virtualization.
    LbrVirtualization = 1,
    /// The next RIP is saved on exits.
    NextRip = 3,
    /// TSC ratio MSR.
    TscRatio = 4,
    /// VMCB clean bits are honoured.
    CleanBits = 5,
    /// TLB flush by ASID.
    FlushByAsid = 6,
    /// Instruction bytes and decoded operands on exits.
    DecodeAssists = 7,
    /// Pause filter.
    PauseFilter = 10,
    /// Pause filter threshold.
    PauseFilterThreshold = 12,
    /// AVIC.
    Avic = 13,
    /// VMLOAD and VMSAVE in the guest.
    VirtualVmload = 15,
    /// Virtual GIF.
    VirtualGif = 16,
    /// Guest mode execute trap.
    GuestModeExecuteTrap = 17,
    /// x2APIC AVIC.
    X2Avic = 18,
    /// SPEC_CTRL virtualization.
    VirtualSpecCtrl = 20,
    /// Virtual NMI.
    VirtualNmi = 25,
}

impl SvmFeature {
    /// All features and their names.
    pub const ALL: [(SvmFeature, &'static str); 16] = [
        (SvmFeature::NestedPaging, "NP"),
        (SvmFeature::LbrVirtualization, "LBRV"),
        (SvmFeature::NextRip, "NRIPS"),
        (SvmFeature::TscRatio, "TSC-ratio"),
        (SvmFeature::CleanBits, "clean-bits"),
        (SvmFeature::FlushByAsid, "flush-by-ASID"),
        (SvmFeature::DecodeAssists, "decode-assists"),
        (SvmFeature::PauseFilter, "pause-filter"),
        (SvmFeature::PauseFilterThreshold, "pause-threshold"),
        (SvmFeature::Avic, "AVIC"),
        (SvmFeature::VirtualVmload, "virtual-VMLOAD"),
        (SvmFeature::VirtualGif, "VGIF"),
        (SvmFeature::GuestModeExecuteTrap, "GMET"),
        (SvmFeature::X2Avic, "x2AVIC"),
        (SvmFeature::VirtualSpecCtrl, "virtual-SPEC_CTRL"),
        (SvmFeature::VirtualNmi, "VNMI"),
    ];
}

/// What SVM offers on a CPU that has all that is required.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SvmProbe {
    /// SVM revision.
    pub revision: u8,
    /// Number of ASIDs, 0 included (which is the host's).
    pub asids: u32,
    /// EDX of CPUID 8000_000A.
    features: u32,
}

impl SvmProbe {
    /// Asks the CPU.
    ///
    /// # Errors
    /// [`Refusal`] with the name of what is missing.
    pub fn read(cpu: &impl CpuidSource, msrs: &impl MsrSource) -> Result<Self, Refusal> {
        let missing = |feature, bit| Err(Refusal::Missing { feature, bit });
        let highest = cpu.cpuid(0x8000_0000, 0)[0];
        let [_, _, c1, d1] = if highest >= 0x8000_0001 {
            cpu.cpuid(0x8000_0001, 0)
        } else {
            [0; 4]
        };
        if c1 >> 2 & 1 == 0 || highest < 0x8000_000a {
            return missing(
                "AMD SVM hardware virtualization",
                "CPUID 8000_0001 ECX bit 2",
            );
        }
        if d1 >> 20 & 1 == 0 {
            return missing("no-execute pages", "CPUID 8000_0001 EDX bit 20");
        }
        let [revision, asids, _, features] = cpu.cpuid(0x8000_000a, 0);
        if features & 1 << SvmFeature::NestedPaging as u32 == 0 {
            return missing("SVM nested paging", "CPUID 8000_000A EDX bit 0");
        }
        if asids < 2 {
            return missing("address-space ids for guests", "CPUID 8000_000A EBX");
        }
        let control = msrs.read(Msr::VM_CR.0);
        if control & VM_CR_SVMDIS != 0 && control & VM_CR_LOCK != 0 {
            return Err(Refusal::LockedByFirmware {
                bit: "VM_CR.SVMDIS and VM_CR.LOCK",
            });
        }
        Ok(SvmProbe {
            revision: revision as u8,
            asids,
            features,
        })
    }

    /// Whether the CPU has `feature`.
    pub const fn has(&self, feature: SvmFeature) -> bool {
        self.features >> feature as u32 & 1 == 1
    }

    /// The features with their names, and whether they are there.
    pub fn table(&self) -> impl Iterator<Item = (&'static str, bool)> {
        let probe = *self;
        SvmFeature::ALL
            .into_iter()
            .map(move |(feature, name)| (name, probe.has(feature)))
    }
}
