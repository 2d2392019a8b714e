//! Bring-up: from the boot loader's hand-over to a machine that can run partitions.

mod options;

use bulkhead_boot::{BootInfo, MULTIBOOT2_MAGIC, PVH_MAGIC};
use bulkhead_core::addr::Hpa;
use bulkhead_hw::apic::ApicMode;
use bulkhead_hw::idt::{self, Stacks};
use bulkhead_hw::serial::Serial;
use bulkhead_hw::{console, info};
use options::Options;

pub fn boot_cpu(magic: u32, info: Hpa) -> ! {
    console::set_serial(Serial::com1());
    info!("Bulkhead {} starts", env!("CARGO_PKG_VERSION"));
    // SAFETY: only this CPU runs.
    unsafe { idt::fill(Stacks::Current, ApicMode::Xapic) };
    idt::load();
    crate::host::halt()
}
pub fn further_cpu(block: &'static bulkhead_hw::percpu::PerCpu) -> ! {
    let _ = block;
    crate::host::halt()
}
