//! Basic exit reasons (SDM 3D appendix C).

/// Exception or NMI.
pub const EXCEPTION: u16 = 0;
/// External interrupt.
pub const INTERRUPT: u16 = 1;
/// Triple fault.
pub const TRIPLE_FAULT: u16 = 2;
/// INIT signal.
pub const INIT: u16 = 3;
/// Start-up IPI.
pub const START_UP: u16 = 4;
/// The guest can take an interrupt.
pub const WINDOW: u16 = 7;
/// The guest can take an NMI.
pub const NMI_WINDOW: u16 = 8;
/// Task switch.
pub const TASK_SWITCH: u16 = 9;
/// CPUID.
pub const CPUID: u16 = 10;
/// GETSEC.
pub const GETSEC: u16 = 11;
/// HLT.
pub const HLT: u16 = 12;
/// INVD.
pub const INVD: u16 = 13;
/// RDPMC.
pub const RDPMC: u16 = 15;
/// RSM.
pub const RSM: u16 = 17;
/// VMCALL.
pub const VMCALL: u16 = 18;
/// VMCLEAR, the first of the other VMX instructions.
pub const VMCLEAR: u16 = 19;
/// VMXON, the last of them.
pub const VMXON: u16 = 27;
/// Access to a control register.
pub const CONTROL_REGISTER: u16 = 28;
/// IN, OUT, INS, OUTS.
pub const PORT: u16 = 30;
/// RDMSR.
pub const RDMSR: u16 = 31;
/// WRMSR.
pub const WRMSR: u16 = 32;
/// The entry failed: an MSR could not be loaded.
pub const MSR_LOADING: u16 = 34;
/// MWAIT.
pub const MWAIT: u16 = 36;
/// MONITOR.
pub const MONITOR: u16 = 39;
/// The entry failed: machine check.
pub const MACHINE_CHECK: u16 = 41;
/// The end of an interrupt that is watched.
pub const END_OF_INTERRUPT: u16 = 45;
/// No translation, or one that does not permit the access.
pub const NESTED_VIOLATION: u16 = 48;
/// An entry of the nested tables is not valid.
pub const NESTED_MISCONFIGURED: u16 = 49;
/// INVEPT.
pub const INVEPT: u16 = 50;
/// The preemption timer has run out.
pub const PREEMPTION_TIMER: u16 = 52;
/// INVVPID.
pub const INVVPID: u16 = 53;
/// WBINVD, WBNOINVD.
pub const WBINVD: u16 = 54;
/// XSETBV.
pub const XSETBV: u16 = 55;
/// A write of a virtual APIC's register that the CPU does not handle.
pub const APIC_WRITE: u16 = 56;
/// VMFUNC.
pub const VMFUNC: u16 = 59;
