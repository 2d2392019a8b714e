//! The serial console: COM1, 115200 8N1, polled.

use uart_16550::backend::PioBackend;
use uart_16550::{BaudRate, Config, Uart16550};

/// I/O port of COM1.
const COM1: u16 = 0x3f8;

/// Polls of a full transmitter before the port is given up: some 100 ms on real hardware.
const PATIENCE: u32 = 200_000;

/// A serial port that takes output.
pub struct Serial {
    uart: Uart16550<PioBackend>,
}

impl Serial {
    /// COM1, set up; `None` where nothing answers there.
    pub fn com1() -> Option<Self> {
        // SAFETY: COM1 has no DMA, and the console is its only user.
        let mut uart = unsafe { Uart16550::new_port(COM1) }.ok()?;
        let config = Config {
            baud_rate: BaudRate::Baud115200,
            ..Config::default()
        };
        uart.init(config).ok()?;
        Some(Serial { uart })
    }

    /// Writes `text`, with a carriage return before each line feed. False where the port is stuck,
    /// so that the caller stops using it.
    #[must_use]
    pub fn write(&mut self, text: &str) -> bool {
        text.bytes()
            .all(|byte| (byte != b'\n' || self.send(b'\r')) && self.send(byte))
    }

    fn send(&mut self, byte: u8) -> bool {
        for _ in 0..PATIENCE {
            if self.uart.try_send_byte(byte).is_ok() {
                return true;
            }
            core::hint::spin_loop();
        }
        false
    }
}
