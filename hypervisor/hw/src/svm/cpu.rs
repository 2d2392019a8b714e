//! SVM on one physical CPU: switching it on, and what the CPU keeps for all of its vCPUs.

use alloc::boxed::Box;
use core::arch::asm;
use core::arch::x86_64::__cpuid;

use bulkhead_core::fault::ResourceError;
use bulkhead_core::id::CpuId;
use bulkhead_core::tlb_tag::{FlushByTag, TagPool};

use super::instructions::{rdmsr, vmsave, wrmsr};
use super::vmcb::EFER_SVME;
use crate::virtualization::pages::{Page, physical_of, zeroed_box};

/// MSR EFER.
const EFER: u32 = 0xc000_0080;
/// MSR VM_HSAVE_PA.
const VM_HSAVE_PA: u32 = 0xc001_0117;

/// How an external interrupt gets into a guest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum InterruptDelivery {
    /// By event injection.
    Event,
    /// As a virtual interrupt. QEMU's TCG (7.2 to 10.1 at least) leaves the vector of an injected interrupt in its list of things to
    /// do: if its loop is interrupted before the next exit or exception, the guest gets the vector a second time, even with
    /// interrupts off.
    VirtualInterrupt,
}

impl InterruptDelivery {
    /// What the CPU that runs this can be trusted with.
    fn of_this_cpu() -> Self {
        let has_hypervisor_leaves = __cpuid(1).ecx & 1 << 31 != 0;
        let name = __cpuid(0x4000_0000);
        let tcg = u32::from_le_bytes(*b"TCGT");
        if has_hypervisor_leaves && name.ebx == tcg {
            Self::VirtualInterrupt
        } else {
            Self::Event
        }
    }
}

/// What a physical CPU keeps for its vCPUs.
pub struct SvmCpu {
    pub(super) tags: TagPool,
    pub(super) interrupt_delivery: InterruptDelivery,
    /// The CPU can forget what branches did before (CPUID 8000_0008h EBX bit 12).
    pub(super) has_ibpb: bool,
    /// Where VMRUN puts the host's state.
    _host_save: Box<Page>,
    /// The host's FS, GS, TR, LDTR and SYSCALL state for VMLOAD.
    host_vmcb: Box<Page>,
}

impl SvmCpu {
    /// Switches SVM on for the CPU that runs this; the boot-time probe has found everything that is needed.
    ///
    /// # Errors
    /// The hypervisor's memory is exhausted.
    pub fn enable(cpu: CpuId) -> Result<Self, ResourceError> {
        let features = __cpuid(0x8000_000a);
        let flush_by_tag = if features.edx & 1 << 6 != 0 {
            FlushByTag::Supported
        } else {
            FlushByTag::Absent
        };
        let tags = TagPool::new(cpu, features.ebx, flush_by_tag)
            .map_err(|_| ResourceError::TableFull("TLB tags"))?;
        let host_save: Box<Page> = zeroed_box()?;
        let host_vmcb: Box<Page> = zeroed_box()?;
        // SAFETY: the probe found SVM usable; both pages belong to this CPU for as long as it runs guests. CR4.OSFXSR (9) and
        // OSXSAVE (18, where CPUID offers XSAVE) let the host move the guests' extended state.
        unsafe {
            wrmsr(EFER, rdmsr(EFER) | EFER_SVME);
            wrmsr(VM_HSAVE_PA, physical_of(&*host_save).as_u64());
            let mut cr4: u64;
            asm!("mov {}, cr4", out(reg) cr4, options(nomem, nostack));
            cr4 |= 1 << 9 | 1 << 10;
            if __cpuid(1).ecx & 1 << 26 != 0 {
                cr4 |= 1 << 18;
            }
            asm!("mov cr4, {}", in(reg) cr4, options(nomem, nostack));
            vmsave(physical_of(&*host_vmcb).as_u64());
        }
        Ok(Self {
            tags,
            interrupt_delivery: InterruptDelivery::of_this_cpu(),
            has_ibpb: __cpuid(0x8000_0008).ebx & 1 << 12 != 0,
            _host_save: host_save,
            host_vmcb,
        })
    }

    pub(super) fn host_vmcb(&self) -> u64 {
        physical_of(&*self.host_vmcb).as_u64()
    }
}
