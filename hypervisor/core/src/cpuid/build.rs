//! Computing a partition's CPUID table from the host's.

use super::allowed::{Word, mask};
use super::extended_state::ExtendedStateLayout;
use super::topology::Topology;
use super::{
    BASIC, COMPATIBLE_FIRST, CpuidTable, EXTENDED, EXTENDED_FIRST, HYPERVISOR, HYPERVISOR_FIRST,
    Leaf,
};
use crate::cpu_shape::CpuShape;
use crate::time::Hertz;

bitflags::bitflags! {
    /// Features that are the hypervisor's to give, whatever the host has.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct CpuidFeatures: u8 {
        /// x2APIC mode of the local APIC.
        const X2APIC = 1;
        /// TSC-deadline mode of its timer.
        const TSC_DEADLINE = 2;
    }
}

/// The hypervisor's own leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HypervisorLeaves {
    /// Leaf 0x4000_0001: version of the hypercall interface and whatever it defines.
    pub interface: Leaf,
    /// Feature bits of the widely known paravirtual interface at 0x4000_0100, or `None` for not showing it.
    ///
    /// Linux uses the x2APIC without interrupt remapping only on hypervisors that it knows by name; the
    /// second range gives it a name, with exactly the features named here.
    pub compatible: Option<u32>,
}

/// What a partition's CPUID depends on besides the host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CpuidPolicy {
    /// The vCPUs and how they are arranged.
    pub shape: CpuShape,
    /// Features the hypervisor implements for this partition.
    pub features: CpuidFeatures,
    /// Most bits of physical address to show.
    pub physical_bits: u8,
    /// XCR0 bits that the hypervisor can switch.
    pub xcr0: u64,
    /// The rate of the guest's TSC, where it is known.
    pub tsc: Option<Hertz>,
    /// The input rate of the local APIC's timer.
    pub lapic_timer: Hertz,
    /// The leaves at 0x4000_0000.
    pub hypervisor: HypervisorLeaves,
}

/// "BulkheadHV", as EBX, ECX and EDX show it.
const SIGNATURE: [u32; 3] = [
    u32::from_le_bytes(*b"Bulk"),
    u32::from_le_bytes(*b"head"),
    u32::from_le_bytes(*b"HV\0\0"),
];
const COMPATIBLE_SIGNATURE: [u32; 3] = [
    u32::from_le_bytes(*b"KVMK"),
    u32::from_le_bytes(*b"VMKV"),
    u32::from_le_bytes(*b"M\0\0\0"),
];

/// Leaf 1 ECX: x2APIC.
const X2APIC: u32 = 1 << 21;
/// Leaf 1 ECX: TSC-deadline timer.
const TSC_DEADLINE: u32 = 1 << 24;
/// Leaf 1 ECX: running on a hypervisor.
const ON_HYPERVISOR: u32 = 1 << 31;
/// Leaf 1 EDX: the package has more than one logical CPU.
const MULTI: u32 = 1 << 28;
/// Leaf 8000_0001 ECX: leaf 1's CPU count is one of cores.
const CORES_ONLY: u32 = 1 << 1;
/// Leaf 8000_0001 ECX: leaves 8000_001d and 8000_001e describe caches and threads.
const TOPOLOGY_EXTENSIONS: u32 = 1 << 22;
/// The most the basic range goes up to.
const LAST_BASIC: u32 = 0x1f;
/// Leaf 0x16 and below are filled for Intel CPUs with the TSC's rate.
const LAST_WITH_RATES: u32 = 0x16;
/// The most the extended range goes up to.
const LAST_EXTENDED: u32 = EXTENDED_FIRST | 0x21;

impl CpuidTable {
    /// The table of a partition with this policy on the host that answers `host(leaf, subleaf)`.
    pub fn new(policy: &CpuidPolicy, host: &impl Fn(u32, u32) -> Leaf) -> Self {
        let topology = Topology(policy.shape);
        let [host_last, vendor_ebx, vendor_ecx, vendor_edx] = host(0, 0);
        let amd_like = [vendor_ebx, vendor_edx, vendor_ecx]
            == [
                u32::from_le_bytes(*b"Auth"),
                u32::from_le_bytes(*b"enti"),
                u32::from_le_bytes(*b"cAMD"),
            ]
            || vendor_ebx == u32::from_le_bytes(*b"Hygo");
        let [host_last_extended, extended_name @ ..] = host(EXTENDED_FIRST, 0);
        let basic = |leaf: u32, subleaf: u32| {
            if leaf <= host_last {
                host(leaf, subleaf)
            } else {
                [0; 4]
            }
        };
        let extended = |index: u32| {
            let leaf = EXTENDED_FIRST | index;
            if leaf <= host_last_extended {
                host(leaf, 0)
            } else {
                [0; 4]
            }
        };

        let has_xsave = basic(1, 0)[2] & 1 << 26 != 0 && host_last >= 0xd;
        let extended_state = if has_xsave && policy.xcr0 & 0b11 == 0b11 {
            let instructions = basic(0xd, 1)[0] & mask(Word::LeafDSub1Eax, policy.xcr0);
            ExtendedStateLayout::new(&basic, policy.xcr0, instructions)
        } else {
            ExtendedStateLayout::NONE
        };
        let allow = |word| mask(word, extended_state.allowed());

        let last = last_basic(host_last, amd_like);
        let mut table = CpuidTable {
            basic: [[0; 4]; BASIC],
            extended: [[0; 4]; EXTENDED],
            hypervisor: hypervisor_leaves(policy),
            compatible: compatible_leaves(policy),
            caches: core::array::from_fn(|index| topology.cache(basic(4, index as u32))),
            features: [[0; 4]; 4],
            topology,
            levels: topology.levels(),
            cache_properties: [[0; 4]; 8],
            extended_state,
            last_basic: if amd_like { None } else { Some(last) },
        };

        let [_, leaf7_ebx, leaf7_ecx, leaf7_edx] = basic(7, 0);
        let [sub1_eax, _, _, sub1_edx] = basic(7, 1);
        table.features = [
            [
                1,
                leaf7_ebx & allow(Word::Leaf7Ebx),
                leaf7_ecx & allow(Word::Leaf7Ecx),
                leaf7_edx & allow(Word::Leaf7Edx),
            ],
            [
                sub1_eax & allow(Word::Leaf7Sub1Eax),
                0,
                0,
                sub1_edx & allow(Word::Leaf7Sub1Edx),
            ],
            [0; 4],
            [0; 4],
        ];

        for (leaf, slot) in (0u32..).zip(table.basic.iter_mut()) {
            *slot = match leaf {
                _ if leaf > last => [0; 4],
                0 => [last, vendor_ebx, vendor_ecx, vendor_edx],
                1 => leaf1(
                    policy,
                    basic(1, 0),
                    allow(Word::Leaf1Ecx),
                    allow(Word::Leaf1Edx),
                ),
                2 => basic(2, 0),
                // The APIC timer always runs; no frequency or thermal control.
                6 => [1 << 2, 0, 0, 0],
                0x15 => rates(policy),
                0x16 => basic(0x16, 0),
                _ => [0; 4],
            };
        }
        let limit = host_last_extended.clamp(EXTENDED_FIRST | 8, LAST_EXTENDED);
        for (index, slot) in (0u32..).zip(table.extended.iter_mut()) {
            let [eax, ebx, ecx, edx] = extended(index);
            *slot = match index {
                _ if EXTENDED_FIRST | index > limit => [0; 4],
                0 => {
                    let [ebx, ecx, edx] = extended_name;
                    [limit, ebx, ecx, edx]
                }
                1 => {
                    let mut describing = 0;
                    if amd_like && policy.shape.socket_threads() > 1 {
                        describing |= CORES_ONLY;
                    }
                    // Without it guests would not see threads; the leaves are the hypervisor's own.
                    if amd_like && limit >= EXTENDED_FIRST | 0x1e {
                        describing |= TOPOLOGY_EXTENSIONS;
                    }
                    [
                        eax,
                        // The package type; the rest is a brand id.
                        ebx & 0xf000_0000,
                        ecx & allow(Word::Extended1Ecx) | describing,
                        edx & allow(Word::Extended1Edx),
                    ]
                }
                // The name, and the caches and TLBs.
                2..=6 | 0x19 | 0x1a => [eax, ebx, ecx, edx],
                7 => [0, 0, 0, edx & allow(Word::Extended7Edx)],
                8 => {
                    let physical = (eax & 0xff).clamp(32, u32::from(policy.physical_bits).max(32));
                    // 57-bit linear addresses are not shown, so the width is 48.
                    let linear = (eax >> 8 & 0xff).clamp(32, 48);
                    let count = if amd_like {
                        policy.shape.socket_bits().min(15) << 12
                            | policy.shape.socket_threads().wrapping_sub(1).min(0xff)
                    } else {
                        0
                    };
                    [
                        linear << 8 | physical,
                        ebx & allow(Word::Extended8Ebx),
                        count,
                        0,
                    ]
                }
                0x21 => [eax & allow(Word::Extended21Eax), 0, 0, 0],
                _ => [0; 4],
            };
        }
        if limit >= EXTENDED_FIRST | 0x1d {
            table.cache_properties = core::array::from_fn(|index| {
                topology.cache_properties(host(EXTENDED_FIRST | 0x1d, index as u32))
            });
        }
        table.fill_beyond(last, limit);
        table
    }

    /// Fills what is beyond the limits but in the arrays with the vendor's answer.
    fn fill_beyond(&mut self, last: u32, last_extended: u32) {
        if self.last_basic.is_none() {
            return;
        }
        // The highest leaf has no subleaves below 0x1f, where nothing is beyond it in the basic array.
        let answer = super::subleaf_of(&self.basic, last);
        for (leaf, slot) in (0u32..).zip(self.basic.iter_mut()) {
            if leaf > last {
                *slot = answer;
            }
        }
        for (index, slot) in (0u32..).zip(self.extended.iter_mut()) {
            if EXTENDED_FIRST | index > last_extended {
                *slot = answer;
            }
        }
    }
}

/// The highest basic leaf to show.
fn last_basic(host_last: u32, amd_like: bool) -> u32 {
    if amd_like {
        return host_last.min(0xd);
    }
    // Never one with subleaves, except the last of the array: it also answers what is out of range.
    if host_last >= LAST_BASIC {
        LAST_BASIC
    } else {
        LAST_WITH_RATES
    }
}

fn leaf1(policy: &CpuidPolicy, host: Leaf, allowed_ecx: u32, allowed_edx: u32) -> Leaf {
    let [eax, ebx, ecx, edx] = host;
    let mut ecx = ecx & allowed_ecx | ON_HYPERVISOR;
    if policy.features.contains(CpuidFeatures::X2APIC) {
        ecx |= X2APIC;
    }
    if policy.features.contains(CpuidFeatures::TSC_DEADLINE) {
        ecx |= TSC_DEADLINE;
    }
    let mut edx = edx & allowed_edx;
    if policy.shape.socket_threads() > 1 {
        edx |= MULTI;
    }
    // The field holds the size of the id space; larger packages are described by leaf 0xb.
    let count = 1u32.wrapping_shl(policy.shape.socket_bits()).min(0xff);
    [eax, ebx & 0xff00 | count << 16, ecx, edx]
}

/// Leaf 0x15: the TSC's rate as a multiple of the APIC timer's, which it calls the crystal.
fn rates(policy: &CpuidPolicy) -> Leaf {
    let Some(tsc) = policy.tsc else {
        return [0; 4];
    };
    let divisor = greatest_common_divisor(tsc.get(), policy.lapic_timer.get());
    let reduced = |rate: u64| {
        rate.checked_div(divisor)
            .and_then(|part| u32::try_from(part).ok())
    };
    match (
        reduced(policy.lapic_timer.get()),
        reduced(tsc.get()),
        u32::try_from(policy.lapic_timer.get()),
    ) {
        (Some(denominator), Some(numerator), Ok(crystal)) => [denominator, numerator, crystal, 0],
        _ => [0; 4],
    }
}

fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a.checked_rem(b).unwrap_or(0));
    }
    a
}

fn hypervisor_leaves(policy: &CpuidPolicy) -> [Leaf; HYPERVISOR] {
    let mut leaves = [[0; 4]; HYPERVISOR];
    let [ebx, ecx, edx] = SIGNATURE;
    let kilohertz = |rate: Hertz| u32::try_from(rate.get() / 1000).unwrap_or(u32::MAX);
    let [first, interface, rates, ..] = &mut leaves;
    *first = [HYPERVISOR_FIRST | 2, ebx, ecx, edx];
    *interface = policy.hypervisor.interface;
    // TSC and APIC timer in kHz, 0 where unknown.
    *rates = [
        policy.tsc.map_or(0, kilohertz),
        kilohertz(policy.lapic_timer),
        0,
        0,
    ];
    leaves
}

fn compatible_leaves(policy: &CpuidPolicy) -> [Leaf; 2] {
    let [ebx, ecx, edx] = COMPATIBLE_SIGNATURE;
    match policy.hypervisor.compatible {
        Some(features) => [[COMPATIBLE_FIRST | 1, ebx, ecx, edx], [features, 0, 0, 0]],
        None => [[0; 4]; 2],
    }
}
