//! The SVM backend (APM 2 chapter 15): [`SvmVcpu`] implements the exit loop's port on AMD CPUs.

pub mod consistency;
mod cpu;
mod exit_code;
mod extended_state;
mod instructions;
mod length_cache;
mod pages;
mod permission_map;
mod vcpu;
mod vmcb;

pub use cpu::SvmCpu;
pub use permission_map::{MsrAccess, PermissionMaps};
pub use vcpu::SvmVcpu;
