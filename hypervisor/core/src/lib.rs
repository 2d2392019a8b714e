//! Every policy and mechanism of the hypervisor that needs no hardware.
//!
//! The crate is the part of Bulkhead that runs on a workstation: its unit tests drive it with fakes
//! for each port to the hardware. It knows no vendor; `bulkhead-hw` supplies the backends.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod addr;
pub mod boot_image;
pub mod boot_state;
pub mod config;
pub mod console_page;
pub mod cpu_loop;
pub mod cpu_shape;
pub mod cpu_state;
pub mod cpuid;
pub mod crash_report;
pub mod decode;
pub mod device_windows;
pub mod doorbell;
pub mod elf_image;
pub mod event_page;
pub mod exit;
#[cfg(test)]
pub(crate) mod fakes;
pub mod fault;
pub mod frames;
pub mod guest_memory;
pub mod guest_tsc;
pub mod host;
pub mod hypercall;
pub mod id;
pub mod instruction_fetch;
pub mod interrupt_delivery;
pub mod ioapic;
pub mod level;
pub mod lifecycle;
pub mod line;
pub mod linear_memory;
pub mod local_apic;
pub mod machine;
pub mod msr;
pub mod nested_space;
pub mod paging;
pub mod paravirtual_clock;
pub mod partition;
pub mod pc_board;
pub mod pic;
pub mod pit;
pub mod platform_devices;
pub mod pm_timer;
pub mod rtc;
pub mod saved_state;
pub mod sched;
pub mod shared_vcpu;
pub mod time;
pub mod tlb_tag;
pub mod uart;
pub mod vcpu;
pub mod vcpu_record;
pub mod window_area;
