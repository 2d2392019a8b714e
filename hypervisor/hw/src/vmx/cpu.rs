//! VMX on one physical CPU: switching it on, and what the CPU keeps for all of its vCPUs.

use alloc::boxed::Box;
use core::arch::asm;
use core::arch::x86_64::{__cpuid, __cpuid_count};

use bulkhead_core::fault::ResourceError;
use bulkhead_core::id::CpuId;
use bulkhead_core::tlb_tag::{FlushByTag, TagPool};

use super::access::VmcsAccess;
use super::field::Field;
use super::instructions::vmxon;
use super::vmcs::Vmcs;
use crate::gdt::{self, TablePointer};
use crate::msr::Msr;
use crate::percpu::PerCpu;
use crate::probe::VmxProbe;
use crate::registers;
use crate::virtualization::pages::{Page, physical_of, zeroed_box};

/// IA32_FEATURE_CONTROL: lock, and VMX outside of SMX.
const FEATURE_CONTROL: u64 = 1 << 0 | 1 << 2;
/// VPIDs have 16 bits; 0 is the host's.
const TAGS: u32 = 1 << 16;

/// What a physical CPU keeps for its vCPUs.
pub struct VmxCpu {
    pub(super) id: CpuId,
    pub(super) tags: TagPool,
    /// The CPU can forget what branches did before (CPUID 7 EDX bit 26).
    pub(super) has_ibpb: bool,
    tables: [u64; 3],
    /// VMXON's own region.
    _region: Box<Page>,
}

impl VmxCpu {
    /// Switches VMX on for the CPU that runs this; the boot-time probe has found everything that is needed.
    ///
    /// # Errors
    /// The hypervisor's memory is exhausted, or the CPU refuses.
    pub fn enable(cpu: CpuId, probe: &VmxProbe) -> Result<Self, ResourceError> {
        let tags = TagPool::new(cpu, TAGS, FlushByTag::Supported)
            .map_err(|_| ResourceError::TableFull("TLB tags"))?;
        let region = new_region(probe)?;
        let xsave = __cpuid(1).ecx & 1 << 26 != 0;
        // SAFETY: the probe found VMX usable. The bits that it wants to be 1 are NE and VMXE besides those that a 64-bit kernel
        // has; OSFXSR (9), OSXMMEXCPT (10) and OSXSAVE (18) let the host move the guests' extended state. The region
        // belongs to this CPU for as long as it runs guests.
        let on = unsafe {
            if Msr::FEATURE_CONTROL.read() & FEATURE_CONTROL != FEATURE_CONTROL {
                Msr::FEATURE_CONTROL.write(Msr::FEATURE_CONTROL.read() | FEATURE_CONTROL);
            }
            registers::set_cr0(registers::cr0() | probe.cr0_ones);
            let extended = 1 << 9 | 1 << 10 | if xsave { 1 << 18 } else { 0 };
            registers::set_cr4(registers::cr4() | probe.cr4_ones | extended);
            vmxon(physical_of(&*region).as_u64())
        };
        if !on {
            return Err(ResourceError::TableFull(
                "VMX: the CPU refuses VMXON, somebody else uses it",
            ));
        }
        let structured = __cpuid(0).eax >= 7;
        Ok(Self {
            id: cpu,
            tags,
            has_ibpb: structured && __cpuid_count(7, 0).edx & 1 << 26 != 0,
            tables: table_bases(),
            _region: region,
        })
    }

    /// Writes this CPU's state into the host's fields.
    pub(super) fn set_host_state<A: VmcsAccess>(&self, vmcs: &mut Vmcs<A>) {
        let [gdt, idt, tss] = self.tables;
        for (field, value) in [
            (Field::HostEsSelector, u64::from(gdt::DATA)),
            (Field::HostCsSelector, u64::from(gdt::CODE)),
            (Field::HostSsSelector, u64::from(gdt::DATA)),
            (Field::HostDsSelector, u64::from(gdt::DATA)),
            (Field::HostFsSelector, 0),
            (Field::HostGsSelector, 0),
            (Field::HostTrSelector, u64::from(gdt::TSS)),
            (Field::HostPat, Msr::PAT.read()),
            (Field::HostEfer, Msr::EFER.read()),
            (Field::HostCr0, registers::cr0()),
            (Field::HostCr3, registers::cr3().as_u64()),
            (Field::HostCr4, registers::cr4()),
            (Field::HostFsBase, Msr::FS_BASE.read()),
            (Field::HostGsBase, Msr::GS_BASE.read()),
            (Field::HostTrBase, tss),
            (Field::HostGdtrBase, gdt),
            (Field::HostIdtrBase, idt),
            (Field::HostSysenterCs, 0),
            (Field::HostSysenterEsp, 0),
            (Field::HostSysenterEip, 0),
        ] {
            vmcs.set(field, value);
        }
    }
}

/// A region for VMXON or a VMCS: its first word is the revision.
pub(super) fn new_region(probe: &VmxProbe) -> Result<Box<Page>, ResourceError> {
    let mut region: Box<Page> = zeroed_box()?;
    for (slot, byte) in region.0.iter_mut().zip(probe.revision.to_le_bytes()) {
        *slot = byte;
    }
    Ok(region)
}

/// Where this CPU's GDT, IDT and task-state segment are.
fn table_bases() -> [u64; 3] {
    let mut gdt = TablePointer { limit: 0, base: 0 };
    let mut idt = TablePointer { limit: 0, base: 0 };
    // SAFETY: both instructions write ten bytes, as large as the packed operands.
    unsafe {
        asm!("sgdt [{}]", "sidt [{}]", in(reg) &raw mut gdt, in(reg) &raw mut idt,
             options(nostack, preserves_flags));
    }
    [gdt.base, idt.base, PerCpu::current().tables.task_state()]
}
