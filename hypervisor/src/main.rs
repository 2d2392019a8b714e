//! The Bulkhead hypervisor: composition root, bring-up and exit loop.
//!
//! The entry code in `boot/entry` calls [`boot_main`] on the boot CPU. Bring-up runs step by step
//! ([`bringup`]) and ends in [`host`], which never returns.
#![no_std]
#![no_main]

extern crate alloc;

mod bringup;
mod host;
mod panic;

use core::arch::global_asm;

use bulkhead_core::addr::Hpa;
use bulkhead_hw::heap::Heap;
use bulkhead_hw::percpu::PerCpu;

#[global_allocator]
static HEAP: Heap = Heap::new();

global_asm!(
    include_str!("../../boot/entry/entry.S"),
    options(att_syntax, raw)
);

/// The boot CPU arrives here in long mode, on the boot stack and the early page tables.
#[unsafe(no_mangle)]
extern "C" fn boot_main(magic: u32, info: u64) -> ! {
    bringup::boot_cpu(magic, Hpa::new(info))
}

/// Each further CPU arrives here, on its own stack and the final page tables.
#[unsafe(no_mangle)]
extern "C" fn ap_main(block: &'static PerCpu) -> ! {
    bringup::further_cpu(block)
}
