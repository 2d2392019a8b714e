//! The SVM backend (APM 2 chapter 15): [`SvmVcpu`] implements the exit loop's port on AMD CPUs.

pub mod consistency;
mod cpu;
mod exit_code;
mod instructions;
mod length_cache;
mod vcpu;
mod vmcb;

pub use cpu::SvmCpu;
pub use vcpu::SvmVcpu;
