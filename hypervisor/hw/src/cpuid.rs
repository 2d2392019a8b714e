//! CPUID of the running CPU, as a source for the pure probe.

use core::arch::x86_64::{__cpuid_count, CpuidResult};

use crate::probe::CpuidSource;

/// The CPU that executes.
#[derive(Clone, Copy, Debug, Default)]
pub struct ThisCpu;

impl CpuidSource for ThisCpu {
    fn cpuid(&self, leaf: u32, subleaf: u32) -> [u32; 4] {
        let CpuidResult { eax, ebx, ecx, edx } = __cpuid_count(leaf, subleaf);
        [eax, ebx, ecx, edx]
    }
}
