//! The Bulkhead hypervisor: composition root, bring-up and exit loop.
#![no_std]
#![no_main]

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
