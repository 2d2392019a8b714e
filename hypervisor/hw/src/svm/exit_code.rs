//! Exit codes (APM 2 appendix C) and the intercept bits that produce them.

/// Writes to control registers, a code each from here.
pub const CR_WRITE_0: u32 = 0x10;
/// Writes to CR15.
pub const CR_WRITE_15: u32 = 0x1f;
/// Exceptions, a code for each vector from here.
pub const EXCEPTION_0: u32 = 0x40;
/// Exception vector 31.
pub const EXCEPTION_31: u32 = 0x5f;
/// Physical interrupt.
pub const INTR: u32 = 0x60;
/// Non-maskable interrupt.
pub const NMI: u32 = 0x61;
/// Physical SMI.
pub const SMI: u32 = 0x62;
/// Physical INIT.
pub const INIT: u32 = 0x63;
/// The guest can take the virtual interrupt.
pub const VINTR: u32 = 0x64;
/// RDPMC.
pub const RDPMC: u32 = 0x6f;
/// CPUID.
pub const CPUID: u32 = 0x72;
/// RSM.
pub const RSM: u32 = 0x73;
/// IRET.
pub const IRET: u32 = 0x74;
/// INVD.
pub const INVD: u32 = 0x76;
/// HLT.
pub const HLT: u32 = 0x78;
/// INVLPGA.
pub const INVLPGA: u32 = 0x7a;
/// IN, OUT, INS, OUTS.
pub const IOIO: u32 = 0x7b;
/// RDMSR, WRMSR.
pub const MSR: u32 = 0x7c;
/// A triple fault.
pub const SHUTDOWN: u32 = 0x7f;
/// VMRUN.
pub const VMRUN: u32 = 0x80;
/// VMMCALL.
pub const VMMCALL: u32 = 0x81;
/// VMLOAD.
pub const VMLOAD: u32 = 0x82;
/// SKINIT, the last of the SVM instructions from VMLOAD on.
pub const SKINIT: u32 = 0x86;
/// WBINVD.
pub const WBINVD: u32 = 0x89;
/// MONITOR.
pub const MONITOR: u32 = 0x8a;
/// MWAIT.
pub const MWAIT: u32 = 0x8b;
/// XSETBV.
pub const XSETBV: u32 = 0x8d;
/// RDPRU.
pub const RDPRU: u32 = 0x8e;
/// Nested page fault.
pub const NPF: u32 = 0x400;
/// The VMCB is not valid (the low half of -1).
pub const INVALID: u32 = 0xffff_ffff;

/// Bits of the intercept word at offset 0xc: everything a guest must not do unseen.
pub mod first {
    /// Physical interrupts.
    pub const INTR: u32 = 1 << 0;
    /// Non-maskable interrupts.
    pub const NMI: u32 = 1 << 1;
    /// System management interrupts; without effect where firmware has locked SMM (APM 2 15.13.3).
    pub const SMI: u32 = 1 << 2;
    /// INIT.
    pub const INIT: u32 = 1 << 3;
    /// RDPMC.
    pub const RDPMC: u32 = 1 << 15;
    /// CPUID.
    pub const CPUID: u32 = 1 << 18;
    /// RSM.
    pub const RSM: u32 = 1 << 19;
    /// INVD.
    pub const INVD: u32 = 1 << 22;
    /// HLT.
    pub const HLT: u32 = 1 << 24;
    /// INVLPGA.
    pub const INVLPGA: u32 = 1 << 26;
    /// Ports by the permission map.
    pub const IOIO: u32 = 1 << 27;
    /// MSRs by the permission map.
    pub const MSR: u32 = 1 << 28;
    /// Triple faults.
    pub const SHUTDOWN: u32 = 1 << 31;
}

/// Bits of the intercept word at offset 0x10.
pub mod second {
    /// VMRUN; must be set.
    pub const VMRUN: u32 = 1 << 0;
    /// VMMCALL.
    pub const VMMCALL: u32 = 1 << 1;
    /// VMLOAD, VMSAVE, STGI, CLGI, SKINIT.
    pub const SVM_INSTRUCTIONS: u32 = 0x1f << 2;
    /// WBINVD.
    pub const WBINVD: u32 = 1 << 9;
    /// MONITOR.
    pub const MONITOR: u32 = 1 << 10;
    /// MWAIT, always.
    pub const MWAIT: u32 = 1 << 11;
    /// XSETBV.
    pub const XSETBV: u32 = 1 << 13;
    /// RDPRU.
    pub const RDPRU: u32 = 1 << 14;
}
