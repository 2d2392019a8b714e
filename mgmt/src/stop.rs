//! The partition's end: a reason on the debug port, then word to the hypervisor, which starts it again.

use core::fmt;
use core::panic::PanicInfo;

use bulkhead_abi::hypercall::StopReason;

use crate::{hypervisor, report};

/// Ends the partition as failed.
pub fn failed(reason: fmt::Arguments<'_>) -> ! {
    x86_64::instructions::interrupts::disable();
    report!("stopped: {reason}");
    if hypervisor::is_present()
        && let Some(refusal) = hypervisor::get().stop(StopReason::Failed)
    {
        report!("{refusal}");
    }
    loop {
        x86_64::instructions::hlt();
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    failed(format_args!("{info}"))
}
