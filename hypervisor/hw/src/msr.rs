//! Model-specific registers: the one door to RDMSR and WRMSR.

use core::arch::asm;

/// A model-specific register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Msr(pub u32);

impl Msr {
    /// IA32_APIC_BASE (SDM 3A 11.4.4).
    pub const APIC_BASE: Msr = Msr(0x1b);
    /// IA32_PAT (APM 2 7.8.1).
    pub const PAT: Msr = Msr(0x277);
    /// EFER (APM 2 3.1.7).
    pub const EFER: Msr = Msr(0xc000_0080);
    /// FS base.
    pub const FS_BASE: Msr = Msr(0xc000_0100);
    /// GS base.
    pub const GS_BASE: Msr = Msr(0xc000_0101);
    /// IA32_FEATURE_CONTROL (SDM 3C 23.7).
    pub const FEATURE_CONTROL: Msr = Msr(0x3a);
    /// IA32_VMX_BASIC, the first of the capability registers (SDM 3D appendix A).
    pub const VMX_BASIC: Msr = Msr(0x480);
    /// IA32_VMX_MISC.
    pub const VMX_MISC: Msr = Msr(0x485);
    /// IA32_VMX_CR0_FIXED0: bits that are 1.
    pub const VMX_CR0_FIXED0: Msr = Msr(0x486);
    /// IA32_VMX_CR4_FIXED0: bits that are 1.
    pub const VMX_CR4_FIXED0: Msr = Msr(0x488);
    /// IA32_VMX_CR4_FIXED1: bits that may be 1.
    pub const VMX_CR4_FIXED1: Msr = Msr(0x489);
    /// IA32_VMX_PROCBASED_CTLS2.
    pub const VMX_SECONDARY: Msr = Msr(0x48b);
    /// IA32_VMX_EPT_VPID_CAP.
    pub const VMX_CACHES: Msr = Msr(0x48c);
    /// VM_CR (APM 2 15.30.1).
    pub const VM_CR: Msr = Msr(0xc001_0114);
    /// First of the x2APIC registers (SDM 3A 11.12.1.2).
    pub const X2APIC_BASE: Msr = Msr(0x800);

    /// Reads it. A register that the CPU does not have raises #GP, which ends in a crash record.
    #[inline]
    pub fn read(self) -> u64 {
        let (low, high): (u32, u32);
        // SAFETY: RDMSR changes nothing but EAX and EDX.
        unsafe {
            asm!("rdmsr", in("ecx") self.0, out("eax") low, out("edx") high,
                 options(nomem, nostack, preserves_flags));
        }
        u64::from(high) << 32 | u64::from(low)
    }

    /// Writes it.
    ///
    /// # Safety
    /// The new value must keep what the running code relies on: mappings, segments, interrupt
    /// delivery.
    #[inline]
    pub unsafe fn write(self, value: u64) {
        // SAFETY: the caller vouches for the effect of the value.
        unsafe {
            asm!("wrmsr", in("ecx") self.0, in("eax") value as u32, in("edx") (value >> 32) as u32,
                 options(nostack, preserves_flags));
        }
    }
}
