//! The VMX backend (SDM 3C chapters 23 to 30): [`VmxVcpu`] implements the exit loop's port on Intel CPUs.

mod access;
mod consistency;
mod cpu;
mod ept;
mod event;
mod exit_reason;
mod field;
mod instructions;
mod plain_length;
mod resident;
mod vcpu;
mod virtual_apic;
mod vmcs;

pub use cpu::VmxCpu;
pub use ept::Ept;
pub use vcpu::VmxVcpu;
