//! Recorded machines: what the hypervisor prints at `loglevel=debug`.

pub mod bochs;
pub mod intel;

use super::{CpuidSource, MsrSource};

/// A leaf and its EAX, EBX, ECX, EDX.
pub type Leaf = (u32, [u32; 4]);

/// A machine on record. Leaves that were not recorded answer zero.
#[derive(Clone)]
pub struct Machine {
    pub leaves: Vec<Leaf>,
    pub vm_cr: u64,
    /// The registers of Intel's virtualization.
    pub msrs: Vec<(u32, u64)>,
}

impl Machine {
    pub fn new(leaves: &[Leaf]) -> Self {
        Machine {
            leaves: leaves.to_vec(),
            vm_cr: 0,
            msrs: Vec::new(),
        }
    }

    /// The same machine with these registers.
    pub fn with_msrs(mut self, msrs: &[(u32, u64)]) -> Self {
        self.msrs
            .retain(|(number, _)| msrs.iter().all(|(other, _)| other != number));
        self.msrs.extend(msrs);
        self
    }

    /// The same machine with another answer for one leaf.
    pub fn with(mut self, leaf: u32, answer: [u32; 4]) -> Self {
        self.leaves.retain(|(number, _)| *number != leaf);
        self.leaves.push((leaf, answer));
        self
    }

    pub fn answer(&self, leaf: u32) -> [u32; 4] {
        let found = self.leaves.iter().find(|(number, _)| *number == leaf);
        found.map_or([0; 4], |(_, answer)| *answer)
    }
}

/// The capability registers of a CPU with VMX.
pub struct VmxRecord {
    pub name: &'static str,
    pub msrs: &'static [(u32, u64)],
}

impl VmxRecord {
    /// A machine with this CPU, of which nothing else is recorded.
    pub fn machine(&self) -> Machine {
        let leaves = [
            (0, [1, 0x756e_6547, 0x6c65_746e, 0x4965_6e69]),
            (1, [0, 0, 1 << 5, 0]),
        ];
        Machine::new(&leaves).with_msrs(self.msrs)
    }
}

impl CpuidSource for Machine {
    fn cpuid(&self, leaf: u32, _subleaf: u32) -> [u32; 4] {
        self.answer(leaf)
    }
}

impl MsrSource for Machine {
    fn read(&self, number: u32) -> u64 {
        if number == 0xc001_0114 {
            return self.vm_cr;
        }
        let found = self.msrs.iter().find(|(other, _)| *other == number);
        found
            .expect("only registers that CPUID promises are asked for")
            .1
    }
}

/// QEMU 7.2 TCG, `-cpu EPYC,+svm,+npt`.
#[rustfmt::skip]
pub const QEMU_EPYC: [Leaf; 12] = [
    (0x0000_0000, [0x0000_000d, 0x6874_7541, 0x444d_4163, 0x6974_6e65]),
    (0x0000_0001, [0x0080_0f12, 0x0000_0800, 0xf6d8_320b, 0x078b_fbfd]),
    (0x0000_0007, [0x0000_0000, 0x0098_01a9, 0x0000_0000, 0x0000_0000]),
    (0x0000_000b, [0x0000_0000, 0x0000_0001, 0x0000_0100, 0x0000_0000]),
    (0x8000_0000, [0x8000_001e, 0x6874_7541, 0x444d_4163, 0x6974_6e65]),
    (0x8000_0001, [0x0080_0f12, 0x0000_0000, 0x0000_0075, 0x2dd3_fbfd]),
    (0x8000_0002, [0x2044_4d41, 0x4359_5045, 0x6f72_5020, 0x7373_6563]),
    (0x8000_0003, [0x0000_726f, 0x0000_0000, 0x0000_0000, 0x0000_0000]),
    (0x8000_0004, [0x0000_0000, 0x0000_0000, 0x0000_0000, 0x0000_0000]),
    (0x8000_0007, [0x0000_0000, 0x0000_0000, 0x0000_0000, 0x0000_0000]),
    (0x8000_0008, [0x0000_3028, 0x0000_0000, 0x0000_0000, 0x0000_0000]),
    (0x8000_000a, [0x0000_0001, 0x0000_0010, 0x0000_0000, 0x0000_0001]),
];

/// QEMU 7.2 TCG, `-cpu max`.
#[rustfmt::skip]
pub const QEMU_MAX: [Leaf; 11] = [
    (0x0000_0000, [0x0000_000d, 0x6874_7541, 0x444d_4163, 0x6974_6e65]),
    (0x0000_0001, [0x0006_0fb1, 0x0000_0800, 0xf6d8_320b, 0x0fcb_fbfd]),
    (0x0000_0007, [0x0000_0000, 0x01d8_43a9, 0x8001_020c, 0x0000_0000]),
    (0x8000_0000, [0x8000_000a, 0x6874_7541, 0x444d_4163, 0x6974_6e65]),
    (0x8000_0001, [0x0006_0fb1, 0x0000_0000, 0x0000_0075, 0xedd3_fbfd]),
    (0x8000_0002, [0x554d_4551, 0x4743_5420, 0x5550_4320, 0x7265_7620]),
    (0x8000_0003, [0x6e6f_6973, 0x352e_3220, 0x0000_002b, 0x0000_0000]),
    (0x8000_0004, [0x0000_0000, 0x0000_0000, 0x0000_0000, 0x0000_0000]),
    (0x8000_0007, [0x0000_0000, 0x0000_0000, 0x0000_0000, 0x0000_0000]),
    (0x8000_0008, [0x0000_3928, 0x0000_0000, 0x0000_0000, 0x0000_0000]),
    (0x8000_000a, [0x0000_0001, 0x0000_0010, 0x0000_0000, 0x1001_0001]),
];

/// QEMU 7.2 TCG, `-cpu qemu64,-svm`.
#[rustfmt::skip]
pub const QEMU64_NO_SVM: [Leaf; 9] = [
    (0x0000_0000, [0x0000_000d, 0x6874_7541, 0x444d_4163, 0x6974_6e65]),
    (0x0000_0001, [0x0006_0fb1, 0x0000_0800, 0x8000_2001, 0x078b_fbfd]),
    (0x8000_0000, [0x8000_000a, 0x6874_7541, 0x444d_4163, 0x6974_6e65]),
    (0x8000_0001, [0x0006_0fb1, 0x0000_0000, 0x0000_0001, 0x2193_fbfd]),
    (0x8000_0002, [0x554d_4551, 0x7269_5620, 0x6c61_7574, 0x5550_4320]),
    (0x8000_0003, [0x7265_7620, 0x6e6f_6973, 0x352e_3220, 0x0000_002b]),
    (0x8000_0004, [0x0000_0000, 0x0000_0000, 0x0000_0000, 0x0000_0000]),
    (0x8000_0008, [0x0000_3028, 0x0000_0000, 0x0000_0000, 0x0000_0000]),
    (0x8000_000a, [0x0000_0000, 0x0000_0000, 0x0000_0000, 0x0000_0000]),
];

/// QEMU 7.2 TCG, `-cpu qemu64`: SVM without nested paging. Differs from the one without SVM here.
#[rustfmt::skip]
pub const QEMU64: [Leaf; 2] = [
    (0x8000_0001, [0x0006_0fb1, 0x0000_0000, 0x0000_0005, 0x2193_fbfd]),
    (0x8000_000a, [0x0000_0001, 0x0000_0010, 0x0000_0000, 0x0000_0000]),
];

/// QEMU 7.2 TCG, `-cpu Skylake-Server`: no SVM, and no leaf for it: out of range, Intel CPUs answer
/// with the highest basic leaf, so there is garbage at 8000_000A.
#[rustfmt::skip]
pub const QEMU_SKYLAKE: [Leaf; 10] = [
    (0x0000_0000, [0x0000_000d, 0x756e_6547, 0x6c65_746e, 0x4965_6e69]),
    (0x0000_0001, [0x0005_0654, 0x0000_0800, 0xf6d8_3203, 0x078b_fbfd]),
    (0x0000_0007, [0x0000_0000, 0x0198_03a9, 0x0000_0008, 0x0000_0000]),
    (0x8000_0000, [0x8000_0008, 0x756e_6547, 0x6c65_746e, 0x4965_6e69]),
    (0x8000_0001, [0x0005_0654, 0x0000_0000, 0x0000_0021, 0x2c10_0800]),
    (0x8000_0002, [0x6574_6e49, 0x6558_206c, 0x5020_6e6f, 0x6563_6f72]),
    (0x8000_0003, [0x7266_7373, 0x6b53_2820, 0x6b61_6c79, 0x0000_2965]),
    (0x8000_0004, [0x0000_0000, 0x0000_0000, 0x0000_0000, 0x0000_0000]),
    (0x8000_0008, [0x0000_3028, 0x0000_0000, 0x0000_0000, 0x0000_0000]),
    (0x8000_000a, [0x0000_02e7, 0x0000_0240, 0x0000_0a88, 0x0000_0001]),
];

/// Bochs 2.7, `model=ryzen`.
#[rustfmt::skip]
pub const BOCHS_RYZEN: [Leaf; 11] = [
    (0x0000_0000, [0x0000_000d, 0x6874_7541, 0x444d_4163, 0x6974_6e65]),
    (0x0000_0001, [0x0080_0f11, 0x0001_0800, 0x76d8_320b, 0x178b_fbff]),
    (0x0000_0007, [0x0000_0000, 0x209c_01a9, 0x0000_0000, 0x0000_0000]),
    (0x8000_0000, [0x8000_001f, 0x6874_7541, 0x444d_4163, 0x6974_6e65]),
    (0x8000_0001, [0x0080_0f11, 0x2000_0000, 0x35c2_23ff, 0x2fd3_fbff]),
    (0x8000_0002, [0x2044_4d41, 0x657a_7952, 0x2037_206e, 0x3030_3731]),
    (0x8000_0003, [0x6769_4520, 0x432d_7468, 0x2065_726f, 0x636f_7250]),
    (0x8000_0004, [0x6f73_7365, 0x2020_2072, 0x2020_2020, 0x0020_2020]),
    (0x8000_0007, [0x0000_0000, 0x0000_001b, 0x0000_0000, 0x0000_6599]),
    (0x8000_0008, [0x0000_3028, 0x0000_0001, 0x0000_0000, 0x0000_0000]),
    (0x8000_000a, [0x0000_0001, 0x0000_8000, 0x0000_0000, 0x0000_044f]),
];

/// Bochs 3.0, `model=corei7_skylake_x`.
#[rustfmt::skip]
pub const BOCHS_SKYLAKE_X: [Leaf; 10] = [
    (0x0000_0000, [0x0000_0016, 0x756e_6547, 0x6c65_746e, 0x4965_6e69]),
    (0x0000_0001, [0x0005_0654, 0x0001_0800, 0x37fa_f3bf, 0xbfeb_fbff]),
    (0x0000_0007, [0x0000_0000, 0xd19b_27eb, 0x0000_0000, 0x0000_0000]),
    (0x8000_0000, [0x8000_0008, 0x0000_0000, 0x0000_0000, 0x0000_0000]),
    (0x8000_0001, [0x0000_0000, 0x0000_0000, 0x0000_0121, 0x2c10_0800]),
    (0x8000_0002, [0x6574_6e49, 0x2952_286c, 0x726f_4320, 0x4d54_2865]),
    (0x8000_0003, [0x3769_2029, 0x3038_372d, 0x4320_5830, 0x4020_5550]),
    (0x8000_0004, [0x352e_3320, 0x7a48_4730, 0x0000_0000, 0x0000_0000]),
    (0x8000_0007, [0x0000_0000, 0x0000_0000, 0x0000_0000, 0x0000_0100]),
    (0x8000_0008, [0x0000_3028, 0x0000_0200, 0x0000_0000, 0x0000_0000]),
];

/// The same with its VMX.
pub fn skylake_x() -> Machine {
    Machine::new(&BOCHS_SKYLAKE_X).with_msrs(bochs::COREI7_SKYLAKE_X.msrs)
}
