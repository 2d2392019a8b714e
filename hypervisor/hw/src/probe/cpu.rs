//! Identity and general features of the CPU.

use core::fmt;

use super::CpuidSource;

/// Who made the CPU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Vendor {
    /// AMD, or Hygon, which licenses the same design.
    Amd,
    /// Intel.
    Intel,
    /// Someone else.
    Other,
}

/// Name and numbers of the CPU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CpuIdentity {
    /// Who made it.
    pub vendor: Vendor,
    /// Family, with the extended family added.
    pub family: u32,
    /// Model, with the extended model in front.
    pub model: u32,
    /// Stepping.
    pub stepping: u32,
    /// The brand string, zero-padded UTF-8 (ASCII on every known CPU).
    pub brand: [u8; 48],
}

impl CpuIdentity {
    /// Asks the CPU.
    pub fn read(cpu: &impl CpuidSource) -> Self {
        let [_, b, c, d] = cpu.cpuid(0, 0);
        let vendor = match (b, d, c) {
            // "AuthenticAMD" and "HygonGenuine" in the order EBX, EDX, ECX.
            (0x6874_7541, 0x6974_6e65, 0x444d_4163) => Vendor::Amd,
            (0x6f67_7948, 0x6e65_476e, 0x656e_6975) => Vendor::Amd,
            // "GenuineIntel".
            (0x756e_6547, 0x4965_6e69, 0x6c65_746e) => Vendor::Intel,
            _ => Vendor::Other,
        };
        let [signature, ..] = cpu.cpuid(1, 0);
        let base_family = signature >> 8 & 15;
        let family = if base_family == 15 {
            base_family + (signature >> 20 & 255)
        } else {
            base_family
        };
        let model = signature >> 4 & 15 | (signature >> 16 & 15) << 4;
        CpuIdentity {
            vendor,
            family,
            model,
            stepping: signature & 15,
            brand: brand(cpu),
        }
    }

    /// The brand string without padding; empty where the CPU has none.
    pub fn brand(&self) -> &str {
        let bytes = self.brand.split(|byte| *byte == 0).next().unwrap_or(&[]);
        core::str::from_utf8(bytes).unwrap_or("").trim()
    }
}

impl fmt::Display for CpuIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.brand() {
            "" => "unnamed CPU",
            brand => brand,
        };
        write!(
            f,
            "{name} (family {:#x}, model {:#x}, stepping {})",
            self.family, self.model, self.stepping
        )
    }
}

fn brand(cpu: &impl CpuidSource) -> [u8; 48] {
    let mut brand = [0; 48];
    if cpu.cpuid(0x8000_0000, 0)[0] >= 0x8000_0004 {
        let words = (0x8000_0002..=0x8000_0004).flat_map(|leaf| cpu.cpuid(leaf, 0));
        for (target, word) in brand.chunks_exact_mut(4).zip(words) {
            target.copy_from_slice(&word.to_le_bytes());
        }
    }
    brand
}

/// General features that the hypervisor looks at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CpuFeatures {
    /// x2APIC mode exists (CPUID 1 ECX bit 21).
    pub x2apic: bool,
    /// Machine-check exceptions (CPUID 1 EDX bit 7).
    pub machine_check: bool,
    /// NX pages (CPUID 8000_0001 EDX bit 20).
    pub no_execute: bool,
    /// 1 GiB pages (CPUID 8000_0001 EDX bit 26).
    pub gigabyte_pages: bool,
    /// The TSC runs at one rate in all power states (CPUID 8000_0007 EDX bit 8).
    pub invariant_tsc: bool,
    /// RDTSCP (CPUID 8000_0001 EDX bit 27).
    pub rdtscp: bool,
    /// SMEP (CPUID 7 EBX bit 7).
    pub smep: bool,
    /// SMAP (CPUID 7 EBX bit 20).
    pub smap: bool,
    /// UMIP (CPUID 7 ECX bit 2).
    pub umip: bool,
    /// XSAVE (CPUID 1 ECX bit 26).
    pub xsave: bool,
    /// The CPU is a virtual one (CPUID 1 ECX bit 31).
    pub hypervisor: bool,
    /// Physical-address bits.
    pub physical_bits: u8,
}

impl CpuFeatures {
    /// Asks the CPU.
    pub fn read(cpu: &impl CpuidSource) -> Self {
        let highest = cpu.cpuid(0, 0)[0];
        let highest_extended = cpu.cpuid(0x8000_0000, 0)[0];
        let extended = |leaf: u32| {
            if highest_extended >= leaf {
                cpu.cpuid(leaf, 0)
            } else {
                [0; 4]
            }
        };
        let [_, _, c1, d1] = cpu.cpuid(1, 0);
        let [_, b7, c7, _] = if highest >= 7 {
            cpu.cpuid(7, 0)
        } else {
            [0; 4]
        };
        let [_, _, _, d_extended] = extended(0x8000_0001);
        let [_, _, _, power] = extended(0x8000_0007);
        let [sizes, ..] = extended(0x8000_0008);
        let bit = |word: u32, bit: u32| word >> bit & 1 == 1;
        CpuFeatures {
            x2apic: bit(c1, 21),
            machine_check: bit(d1, 7),
            no_execute: bit(d_extended, 20),
            gigabyte_pages: bit(d_extended, 26),
            invariant_tsc: bit(power, 8),
            rdtscp: bit(d_extended, 27),
            smep: bit(b7, 7),
            smap: bit(b7, 20),
            umip: bit(c7, 2),
            xsave: bit(c1, 26),
            hypervisor: bit(c1, 31),
            physical_bits: match sizes as u8 {
                0 => 36,
                bits => bits.min(52),
            },
        }
    }

    /// Names of the optional features, with whether they are there.
    pub fn table(&self) -> [(&'static str, bool); 10] {
        [
            ("NX", self.no_execute),
            ("1G-pages", self.gigabyte_pages),
            ("x2APIC", self.x2apic),
            ("invariant-TSC", self.invariant_tsc),
            ("RDTSCP", self.rdtscp),
            ("SMEP", self.smep),
            ("SMAP", self.smap),
            ("UMIP", self.umip),
            ("XSAVE", self.xsave),
            ("nested", self.hypervisor),
        ]
    }
}
