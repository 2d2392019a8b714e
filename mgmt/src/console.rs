//! The debug port: lines that the hypervisor shows on its console and keeps in its log.

use core::fmt::{self, Write};

use x86_64::instructions::port::PortWriteOnly;

struct DebugPort;

impl Write for DebugPort {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut port = PortWriteOnly::<u8>::new(bulkhead_abi::DEBUG_PORT);
        for byte in text.bytes() {
            // SAFETY: the contract gives every partition this port for text; writing it has no other effect.
            unsafe { port.write(byte) };
        }
        Ok(())
    }
}

/// Writes a line. Not to be called directly: see [`report!`].
pub fn write_line(text: fmt::Arguments<'_>) {
    // The port takes every byte, so that neither call can fail but by an argument's own Display.
    let _ = DebugPort.write_fmt(text);
    let _ = DebugPort.write_str("\n");
}

/// Prints a line on the debug port, formatted as by `format!`.
#[macro_export]
macro_rules! report {
    ($($argument:tt)*) => {
        $crate::console::write_line(format_args!($($argument)*))
    };
}
