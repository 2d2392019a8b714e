//! The only layer of the hypervisor that touches hardware.
//!
//! UNSAFETY: CPU instructions, device registers and page tables are reached here and nowhere else;
//! every wrapper is as small as it can be, and what can be computed without hardware is in
//! `bulkhead-core` or in pure modules here (`probe`, `acpi`), tested on the host.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

pub mod acpi;
pub mod apic;
pub mod clock;
pub mod cmos_clock;
pub mod console;
pub mod cpuid;
pub mod crash;
pub mod framebuffer;
pub mod gdt;
pub mod heap;
pub mod idt;
pub mod ioapic;
pub mod iommu;
pub mod layout;
pub mod log;
pub mod mmio;
pub mod msr;
pub mod numa;
pub mod percpu;
pub mod pic;
pub mod pool;
pub mod port;
pub mod probe;
pub mod registers;
pub mod serial;
pub mod shutdown;
pub mod smp;
pub mod space;
pub mod svm;
pub mod virtualization;
pub mod vmx;
pub mod windows;
