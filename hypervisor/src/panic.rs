//! A panic is a bug of ours: it ends in a crash record like a fault does.

use core::panic::PanicInfo;

use bulkhead_hw::crash;

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    match info.location() {
        Some(at) => crash::bug(format_args!(
            "panic at {}:{}: {}",
            at.file(),
            at.line(),
            info.message()
        )),
        None => crash::bug(format_args!("panic: {}", info.message())),
    }
}
