//! The debug port as a console.

use core::fmt::{self, Write};

use crate::abi::DEBUG_PORT;
use crate::cpu;

struct Port;

impl Write for Port {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            cpu::out8(DEBUG_PORT, byte);
        }
        Ok(())
    }
}

/// Prints a line.
pub fn line(text: fmt::Arguments<'_>) {
    let _ = Port.write_fmt(text);
    cpu::out8(DEBUG_PORT, b'\n');
}
