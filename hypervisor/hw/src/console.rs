//! The console: whatever the machine has of serial port and framebuffer, as one output.

use core::fmt::{self, Write};

use spin::{Mutex, MutexGuard};

use crate::framebuffer::TextScreen;
use crate::serial::Serial;

static CONSOLE: Mutex<Console> = Mutex::new(Console {
    serial: None,
    screen: None,
});

/// The output devices in use.
pub struct Console {
    serial: Option<Serial>,
    screen: Option<TextScreen>,
}

impl Console {
    /// Writes text to every device.
    pub fn line(&mut self, text: fmt::Arguments<'_>) {
        // The devices never fail: one that does not take output is dropped.
        let _infallible = self.write_fmt(text);
    }
}

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if let Some(serial) = &mut self.serial
            && !serial.write(text)
        {
            self.serial = None;
        }
        if let Some(screen) = &mut self.screen {
            screen.write(text);
        }
        Ok(())
    }
}

/// Which devices to use.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Choice {
    /// The serial port only.
    Serial,
    /// The framebuffer only.
    Framebuffer,
    /// Both.
    #[default]
    Both,
}

impl Choice {
    /// The choice with this name on the command line.
    pub fn named(name: &str) -> Option<Choice> {
        Some(match name {
            "serial" => Choice::Serial,
            "fb" => Choice::Framebuffer,
            "both" => Choice::Both,
            _ => return None,
        })
    }

    /// Whether the serial port is used.
    pub fn has_serial(self) -> bool {
        self != Choice::Framebuffer
    }

    /// Whether the framebuffer is used.
    pub fn has_framebuffer(self) -> bool {
        self != Choice::Serial
    }
}

/// Uses the serial port, or no longer.
pub fn set_serial(serial: Option<Serial>) {
    CONSOLE.lock().serial = serial;
}

/// Uses a screen, or no longer; gives back the one used before.
pub fn set_screen(screen: Option<TextScreen>) -> Option<TextScreen> {
    core::mem::replace(&mut CONSOLE.lock().screen, screen)
}

/// The console, unless another CPU has it: it will print what is in the log.
pub(crate) fn try_lock() -> Option<MutexGuard<'static, Console>> {
    CONSOLE.try_lock()
}

/// The console for a crash record: waits a while for its holder, then takes it regardless.
///
/// Only for code that never returns to normal operation: the previous holder may have been
/// interrupted in the middle of a line.
pub fn seize() -> MutexGuard<'static, Console> {
    /// Spins before the holder counts as stopped.
    const PATIENCE: u32 = 20_000_000;
    for _ in 0..PATIENCE {
        if let Some(console) = CONSOLE.try_lock() {
            return console;
        }
        core::hint::spin_loop();
    }
    // SAFETY: the holder is this CPU itself, interrupted by its own crash, or a CPU that has been
    // told to stop. The devices tolerate a torn line, and the state is plain data.
    unsafe { CONSOLE.force_unlock() };
    CONSOLE.lock()
}
