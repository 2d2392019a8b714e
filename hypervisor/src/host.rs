//! What runs once the machine is up.

use alloc::boxed::Box;

use bulkhead_hw::percpu::PerCpu;
use bulkhead_hw::{info, registers};

use crate::bringup::Platform;

/// The boot CPU's part.
pub fn start(platform: Box<Platform>) -> ! {
    info!("{} CPUs ready", platform.cpus.len());
    registers::halt()
}

/// A further CPU's part.
pub fn start_ap(_cpu: &'static PerCpu) -> ! {
    registers::halt()
}
