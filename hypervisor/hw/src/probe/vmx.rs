//! Intel VMX: required and optional features, and the controls that follow from them (SDM 3D appendix A).

use super::{CpuidSource, MsrSource, Refusal};
use crate::msr::Msr;

/// IA32_FEATURE_CONTROL: lock, and VMX outside of SMX.
const FEATURE_CONTROL_LOCK: u64 = 1 << 0;
const FEATURE_CONTROL_VMX: u64 = 1 << 2;

/// Bits of the control fields that the backend uses.
pub mod bit {
    /// Pin-based: the preemption timer runs.
    pub const PREEMPTION_TIMER: u32 = 1 << 6;
    /// Of exits: what is left of the preemption timer is kept.
    pub const SAVE_PREEMPTION_TIMER: u32 = 1 << 22;
    /// Processor-based: interrupt-window exiting.
    pub const WINDOW: u32 = 1 << 2;
    /// Processor-based: CR8-load exiting.
    pub const CR8_LOAD: u32 = 1 << 19;
    /// Processor-based: NMI-window exiting.
    pub const NMI_WINDOW: u32 = 1 << 22;
    /// Secondary: RDTSCP and RDPID.
    pub const RDTSCP: u32 = 1 << 3;
    /// Secondary: TLB tags.
    pub const VPID: u32 = 1 << 5;
    /// Secondary: INVPCID.
    pub const INVPCID: u32 = 1 << 12;
    /// Secondary: XSAVES and XRSTORS.
    pub const XSAVES: u32 = 1 << 20;
    /// Secondary: the guest's TSC runs at another rate.
    pub const TSC_SCALING: u32 = 1 << 25;
    /// Secondary: all that lets the CPU deliver interrupts by itself to a guest whose local APIC is in x2APIC mode: virtualization of its
    /// MSRs, of its registers, and delivery.
    pub const DELIVERY: u32 = 1 << 4 | 1 << 8 | 1 << 9;
    /// Entry: the guest is in long mode.
    pub const ENTRY_LONG_MODE: u32 = 1 << 9;
}

/// A bit without which the hypervisor cannot run.
struct Required {
    bit: u32,
    feature: &'static str,
    place: &'static str,
}

const fn required(bit: u32, feature: &'static str, place: &'static str) -> Required {
    Required {
        bit,
        feature,
        place,
    }
}

const PIN: &[Required] = &[
    required(
        0,
        "VM exits by interrupts",
        "IA32_VMX_TRUE_PINBASED_CTLS bit 32",
    ),
    required(3, "VM exits by NMIs", "IA32_VMX_TRUE_PINBASED_CTLS bit 35"),
    required(5, "virtual NMIs", "IA32_VMX_TRUE_PINBASED_CTLS bit 37"),
];

const PROCESSOR: &[Required] = &[
    required(
        2,
        "interrupt windows",
        "IA32_VMX_TRUE_PROCBASED_CTLS bit 34",
    ),
    required(3, "TSC offsets", "IA32_VMX_TRUE_PROCBASED_CTLS bit 35"),
    required(7, "HLT exiting", "IA32_VMX_TRUE_PROCBASED_CTLS bit 39"),
    required(10, "MWAIT exiting", "IA32_VMX_TRUE_PROCBASED_CTLS bit 42"),
    required(11, "RDPMC exiting", "IA32_VMX_TRUE_PROCBASED_CTLS bit 43"),
    required(
        19,
        "CR8-load exiting",
        "IA32_VMX_TRUE_PROCBASED_CTLS bit 51",
    ),
    required(
        21,
        "a shadow of the task priority",
        "IA32_VMX_TRUE_PROCBASED_CTLS bit 53",
    ),
    required(22, "NMI windows", "IA32_VMX_TRUE_PROCBASED_CTLS bit 54"),
    required(25, "I/O bitmaps", "IA32_VMX_TRUE_PROCBASED_CTLS bit 57"),
    required(28, "MSR bitmaps", "IA32_VMX_TRUE_PROCBASED_CTLS bit 60"),
    required(29, "MONITOR exiting", "IA32_VMX_TRUE_PROCBASED_CTLS bit 61"),
    required(
        31,
        "secondary VMX controls",
        "IA32_VMX_TRUE_PROCBASED_CTLS bit 63",
    ),
];
/// Processor-based controls that are on only at times.
const AT_TIMES: u32 = bit::WINDOW | bit::CR8_LOAD | bit::NMI_WINDOW;
/// Exits by moves to and from CR3, which the CPU must not demand.
const CR3_EXITS: u32 = 1 << 15 | 1 << 16;

const SECONDARY: &[Required] = &[
    required(1, "EPT nested paging", "IA32_VMX_PROCBASED_CTLS2 bit 33"),
    required(6, "WBINVD exiting", "IA32_VMX_PROCBASED_CTLS2 bit 38"),
    required(7, "unrestricted guests", "IA32_VMX_PROCBASED_CTLS2 bit 39"),
];

const EXIT: &[Required] = &[
    required(2, "saving of DR7", "IA32_VMX_TRUE_EXIT_CTLS bit 34"),
    required(9, "64-bit hosts", "IA32_VMX_TRUE_EXIT_CTLS bit 41"),
    required(18, "saving of the PAT", "IA32_VMX_TRUE_EXIT_CTLS bit 50"),
    required(19, "loading of the PAT", "IA32_VMX_TRUE_EXIT_CTLS bit 51"),
    required(20, "saving of EFER", "IA32_VMX_TRUE_EXIT_CTLS bit 52"),
    required(21, "loading of EFER", "IA32_VMX_TRUE_EXIT_CTLS bit 53"),
];

const ENTRY: &[Required] = &[
    required(2, "loading of DR7", "IA32_VMX_TRUE_ENTRY_CTLS bit 34"),
    required(9, "64-bit guests", "IA32_VMX_TRUE_ENTRY_CTLS bit 41"),
    required(14, "loading of the PAT", "IA32_VMX_TRUE_ENTRY_CTLS bit 46"),
    required(15, "loading of EFER", "IA32_VMX_TRUE_ENTRY_CTLS bit 47"),
];

/// Of IA32_VMX_EPT_VPID_CAP.
const CACHES: &[Required] = &[
    required(6, "EPT walks of four levels", "IA32_VMX_EPT_VPID_CAP bit 6"),
    required(14, "write-back EPT tables", "IA32_VMX_EPT_VPID_CAP bit 14"),
    required(16, "EPT pages of 2 MiB", "IA32_VMX_EPT_VPID_CAP bit 16"),
    required(20, "INVEPT", "IA32_VMX_EPT_VPID_CAP bit 20"),
    required(25, "INVEPT of one context", "IA32_VMX_EPT_VPID_CAP bit 25"),
    required(26, "INVEPT of all contexts", "IA32_VMX_EPT_VPID_CAP bit 26"),
];
/// Of the same, what TLB tags are of no use without: INVVPID, of one tag and of all.
const TAG_FLUSHES: u64 = 1 << 32 | 1 << 41 | 1 << 42;

/// What the control fields start with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Controls {
    /// Pin-based.
    pub pin: u32,
    /// Processor-based.
    pub processor: u32,
    /// Secondary processor-based.
    pub secondary: u32,
    /// Of exits.
    pub exit: u32,
    /// Of entries, of a guest that is not in long mode.
    pub entry: u32,
}

/// Who delivers a guest's interrupts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Delivery {
    /// The hypervisor, one at an entry.
    BySoftware,
    /// The CPU, while the guest's local APIC is in x2APIC mode (SDM 3C chapter 29).
    ByCpu,
}

impl Delivery {
    /// Who, in words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BySoftware => "the hypervisor",
            Self::ByCpu => "the CPU",
        }
    }
}

/// The VMCS revision that Bochs has in all its models; no CPU that can deliver interrupts is known to have it.
const BOCHS: u32 = 0x2b;

/// What VMX offers on a CPU that has all that is required.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VmxProbe {
    /// Revision of the VMCS format.
    pub revision: u32,
    /// The control fields.
    pub controls: Controls,
    /// Bits of CR0 that are 1 in VMX operation.
    pub cr0_ones: u64,
    /// Bits of CR4 that are 1 in VMX operation.
    pub cr4_ones: u64,
    /// Bits of CR4 that may be 1 in VMX operation.
    pub cr4_may: u64,
    /// Nested pages can have 1 GiB.
    pub gigabyte_pages: bool,
    /// Who delivers interrupts.
    pub delivery: Delivery,
    /// The CPU is an emulator's that delivers an interrupt which waits for RFLAGS.IF when the next one of the host comes, whatever
    /// RFLAGS.IF is (Bochs 3.0).
    pub forgets_interrupt_flag: bool,
    /// The preemption timer counts this bit of the TSC.
    pub timer_shift: u8,
    secondary_allowed: u32,
    caches: u64,
}

impl VmxProbe {
    /// Asks the CPU.
    ///
    /// # Errors
    /// [`Refusal`] with the name of what is missing.
    pub fn read(cpu: &impl CpuidSource, msrs: &impl MsrSource) -> Result<Self, Refusal> {
        if !has_vmx(cpu) {
            return Err(Refusal::Missing {
                feature: "Intel VMX hardware virtualization",
                bit: "CPUID 1 ECX bit 5",
            });
        }
        let control = msrs.read(Msr::FEATURE_CONTROL.0);
        if control & FEATURE_CONTROL_LOCK != 0 && control & FEATURE_CONTROL_VMX == 0 {
            return Err(Refusal::LockedByFirmware {
                bit: "IA32_FEATURE_CONTROL bits 0 and 2",
            });
        }
        let basic = msrs.read(Msr::VMX_BASIC.0);
        // Without the true controls, what may be 0 is what the CPU's first generation let be 0.
        let base: u32 = if basic >> 55 & 1 != 0 { 0x48d } else { 0x481 };
        let capability = |offset| msrs.read(base + offset);
        let processor_capability = capability(1);
        let mut pin = choose(capability(0), PIN, bit::PREEMPTION_TIMER)?;
        let processor = choose(processor_capability, PROCESSOR, 0)?;
        if processor & CR3_EXITS != 0 {
            return Err(Refusal::Missing {
                feature: "guests that write CR3 without VM exits",
                bit: "IA32_VMX_TRUE_PROCBASED_CTLS bits 15 and 16",
            });
        }
        let secondary_capability = msrs.read(Msr::VMX_SECONDARY.0);
        let optional = bit::RDTSCP | bit::INVPCID | bit::XSAVES | bit::VPID;
        let mut secondary = choose(secondary_capability, SECONDARY, optional)?;
        let mut exit = choose(capability(2), EXIT, bit::SAVE_PREEMPTION_TIMER)?;
        if pin & bit::PREEMPTION_TIMER == 0 || exit & bit::SAVE_PREEMPTION_TIMER == 0 {
            // Only together: restarted by every entry, the timer would bound nothing.
            pin &= !bit::PREEMPTION_TIMER;
            exit &= !bit::SAVE_PREEMPTION_TIMER;
        }
        let entry = choose(capability(3), ENTRY, 0)?;
        let caches = msrs.read(Msr::VMX_CACHES.0);
        for required in CACHES {
            if caches >> required.bit & 1 == 0 {
                return Err(required.missing());
            }
        }
        if caches & TAG_FLUSHES != TAG_FLUSHES {
            secondary &= !bit::VPID;
        }
        let revision = basic as u32 & 0x7fff_ffff;
        Ok(Self {
            revision,
            delivery: if (secondary_capability >> 32) as u32 & bit::DELIVERY == bit::DELIVERY {
                Delivery::ByCpu
            } else {
                Delivery::BySoftware
            },
            forgets_interrupt_flag: revision == BOCHS,
            controls: Controls {
                pin,
                processor: processor & !(AT_TIMES & !(processor_capability as u32)),
                secondary,
                exit,
                entry: entry & !bit::ENTRY_LONG_MODE,
            },
            cr0_ones: msrs.read(Msr::VMX_CR0_FIXED0.0),
            cr4_ones: msrs.read(Msr::VMX_CR4_FIXED0.0),
            cr4_may: msrs.read(Msr::VMX_CR4_FIXED1.0),
            gigabyte_pages: caches >> 17 & 1 != 0,
            timer_shift: (msrs.read(Msr::VMX_MISC.0) & 31) as u8,
            secondary_allowed: (secondary_capability >> 32) as u32,
            caches,
        })
    }

    /// The same with the hypervisor delivering interrupts in any case.
    #[must_use]
    pub const fn with_software_delivery(self) -> Self {
        Self {
            delivery: Delivery::BySoftware,
            ..self
        }
    }

    /// Whether the TSC of a guest can run at another rate than the CPU's.
    pub const fn scales_tsc(&self) -> bool {
        self.secondary_allowed & bit::TSC_SCALING != 0
    }

    /// The optional features with their names, and whether they are there.
    pub fn table(&self) -> [(&'static str, bool); 14] {
        let secondary = |bit: u32| self.secondary_allowed >> bit & 1 != 0;
        [
            ("1G-EPT", self.gigabyte_pages),
            ("EPT-A/D", self.caches >> 21 & 1 != 0),
            ("execute-only", self.caches & 1 != 0),
            ("VPID", self.controls.secondary & bit::VPID != 0),
            (
                "preemption-timer",
                self.controls.pin & bit::PREEMPTION_TIMER != 0,
            ),
            ("RDTSCP", secondary(3)),
            ("INVPCID", secondary(12)),
            ("XSAVES", secondary(20)),
            ("x2APIC-virtualization", secondary(4)),
            ("APIC-registers", secondary(8)),
            ("virtual-interrupts", secondary(9)),
            ("VMCS-shadowing", secondary(14)),
            ("PML", secondary(17)),
            ("TSC-scaling", self.scales_tsc()),
        ]
    }
}

/// Whether CPUID promises VMX.
pub fn has_vmx(cpu: &impl CpuidSource) -> bool {
    cpu.cpuid(1, 0)[2] >> 5 & 1 != 0
}

impl Required {
    const fn missing(&self) -> Refusal {
        Refusal::Missing {
            feature: self.feature,
            bit: self.place,
        }
    }
}

/// The value of a control field: what is required, of the rest what is `optional` and there, and what must be 1.
fn choose(capability: u64, required: &[Required], optional: u32) -> Result<u32, Refusal> {
    let (must, may) = (capability as u32, (capability >> 32) as u32);
    let mut value = must | optional & may;
    for one in required {
        if may >> one.bit & 1 == 0 {
            return Err(one.missing());
        }
        value |= 1 << one.bit;
    }
    Ok(value)
}
