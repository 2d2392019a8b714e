//! The hypervisor's virtual address space.
//!
//! | from                    | what                                                            |
//! |-------------------------|-----------------------------------------------------------------|
//! | `0xffff_8800_0000_0000` | frames that belong to the hypervisor, at their physical address |
//! | `0xffff_9000_0000_0000` | one region for each CPU: stacks, guard pages, per-CPU block     |
//! | `0xffff_a000_0000_0000` | device registers                                                |
//! | `0xffff_b000_0000_0000` | per-CPU windows onto frames that are not the hypervisor's       |
//! | `0xffff_ffff_8000_0000` | the image                                                       |

use bulkhead_core::addr::{Hpa, Hva};
use bulkhead_core::id::CpuId;

/// Most CPUs that the hypervisor uses.
pub const MAX_CPUS: usize = 64;

/// Where the image is linked for physical address 0 (`IMAGE_BASE` of the linker script).
pub const IMAGE_BASE: u64 = 0xffff_ffff_8000_0000;

/// Where the hypervisor's own frames appear.
pub const DIRECT_MAP: u64 = 0xffff_8800_0000_0000;
/// Physical addresses that the direct map has room for: 8 TiB.
pub const DIRECT_MAP_BYTES: u64 = 0x0000_0800_0000_0000;

/// The per-CPU regions.
pub const CPU_REGIONS: u64 = 0xffff_9000_0000_0000;
/// Size and alignment of a CPU's region. Being a power of two, its end can be computed from any
/// stack pointer in it, without GS: interrupts may arrive while GS still belongs to a guest.
pub const CPU_REGION_BYTES: u64 = 0x2_0000;
/// Offset of the per-CPU block in the region; it reaches at most to the region's end.
pub const PER_CPU_OFFSET: u64 = 0x1_e000;

/// Registers of the local APIC: one mapping, each CPU sees its own APIC through it.
pub const LOCAL_APIC: u64 = 0xffff_a000_0000_0000;
/// Further device registers, mapped one after the other.
pub const DEVICES: u64 = 0xffff_a000_0010_0000;
/// End of the device mappings.
pub const DEVICES_END: u64 = 0xffff_a010_0000_0000;

/// The windows.
pub const WINDOWS: u64 = 0xffff_b000_0000_0000;
/// Distance between the windows of two CPUs: one page table each, so that no two CPUs ever edit
/// the same table.
pub const WINDOW_STRIDE: u64 = 0x20_0000;

/// A stack in a CPU's region. The page below each is never mapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stack {
    /// Its name, for the log.
    pub name: &'static str,
    /// Offset of its lowest byte in the region.
    pub offset: u64,
    /// Its size.
    pub bytes: u64,
}

impl Stack {
    /// For #DF, which may come from an overflow of the main stack.
    pub const DOUBLE_FAULT: Stack = Stack {
        name: "double fault",
        offset: 0x1000,
        bytes: 0x2000,
    };
    /// For NMIs.
    pub const NMI: Stack = Stack {
        name: "NMI",
        offset: 0x4000,
        bytes: 0x2000,
    };
    /// For machine checks.
    pub const MACHINE_CHECK: Stack = Stack {
        name: "machine check",
        offset: 0x7000,
        bytes: 0x2000,
    };
    /// For everything else. Making a partition takes the most, with the tables that it builds.
    pub const MAIN: Stack = Stack {
        name: "main",
        offset: 0xc000,
        bytes: 0x1_0000,
    };
    /// All stacks.
    pub const ALL: [Stack; 4] = [
        Stack::DOUBLE_FAULT,
        Stack::NMI,
        Stack::MACHINE_CHECK,
        Stack::MAIN,
    ];

    /// The lowest address of this stack of `cpu`.
    pub const fn bottom(&self, cpu: CpuId) -> Hva {
        Hva::new(region(cpu).as_u64() + self.offset)
    }

    /// The address above this stack of `cpu`.
    pub const fn top(&self, cpu: CpuId) -> Hva {
        Hva::new(region(cpu).as_u64() + self.offset + self.bytes)
    }
}

/// The region of `cpu`.
pub const fn region(cpu: CpuId) -> Hva {
    Hva::new(CPU_REGIONS + cpu.0 as u64 * CPU_REGION_BYTES)
}

/// The per-CPU block of `cpu`.
pub const fn per_cpu(cpu: CpuId) -> Hva {
    Hva::new(region(cpu).as_u64() + PER_CPU_OFFSET)
}

/// Where the hypervisor sees its own frame at `hpa`.
pub const fn direct(hpa: Hpa) -> Hva {
    Hva::new(DIRECT_MAP + hpa.as_u64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stack_has_an_unmapped_page_below_and_fits_its_region() {
        let mut mapped: Vec<(u64, u64)> = Stack::ALL
            .iter()
            .map(|stack| (stack.offset, stack.offset + stack.bytes))
            .collect();
        mapped.push((PER_CPU_OFFSET, CPU_REGION_BYTES));
        mapped.sort_unstable();
        let mut end = 0;
        for (start, next) in mapped {
            assert!(start >= end + 0x1000, "no guard below {start:#x}");
            end = next;
        }
        assert_eq!(end, CPU_REGION_BYTES);
        assert!(CPU_REGION_BYTES.is_power_of_two());
    }
}
