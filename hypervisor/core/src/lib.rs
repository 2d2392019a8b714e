//! Every policy and mechanism of the hypervisor that needs no hardware.
//!
//! The crate is the part of Bulkhead that runs on a workstation: its unit tests drive it with fakes
//! for each port to the hardware. It knows no vendor; `bulkhead-hw` supplies the backends.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod addr;
pub mod cpuid;
pub mod elf_image;
pub mod fault;
pub mod frames;
pub mod id;
pub mod local_apic;
pub mod msr;
pub mod paging;
pub mod time;
pub mod tlb_tag;
pub mod vcpu;
