//! The micro-guest kit: entry, console, hypercalls, APIC, measuring.
//!
//! A micro-guest is one binary with one idea. It names its main function with [`guest!`], prints by [`say!`], and ends by
//! [`pass`] or [`fail`]; the runner reads `[name] PASS`, `[name] FAIL: why` and `[name] RESULT key value` on the console.
#![no_std]
#![allow(
    clippy::indexing_slicing,
    reason = "a guest that fails its own bounds reports that it failed"
)]

pub mod apic;
pub mod console;
pub mod cpu;
pub mod high_memory;
pub mod hypercall;
pub mod idt;
pub mod measure;
pub mod outside;
pub mod record_page;
pub mod smp;
mod start;
pub mod trap;
pub mod wait;

pub use bulkhead_abi as abi;
use bulkhead_abi::hypercall::{Number, StopReason};
use bulkhead_abi::start::StartInfo;

/// Names the main function of a micro-guest: `guest!(main)` with `fn main(info: &StartInfo)`.
#[macro_export]
macro_rules! guest {
    ($main:path) => {
        #[unsafe(no_mangle)]
        extern "C" fn guest_main(info: &'static $crate::abi::start::StartInfo) -> ! {
            $main(info);
            $crate::pass()
        }
    };
}

/// Prints a line.
#[macro_export]
macro_rules! say {
    ($($text:tt)*) => { $crate::console::line(format_args!($($text)*)) };
}

/// Ends the test with success where it has not failed yet.
pub fn pass() -> ! {
    say!("PASS");
    stop(StopReason::Done)
}

/// Ends the test with a failure.
pub fn fail(why: core::fmt::Arguments<'_>) -> ! {
    say!("FAIL: {why}");
    stop(StopReason::Done)
}

/// Fails unless the condition holds.
#[macro_export]
macro_rules! check {
    ($condition:expr, $($text:tt)+) => {
        if !$condition {
            $crate::fail(format_args!($($text)+));
        }
    };
}

/// A word of the command line of the form `key=value`.
pub fn option(info: &'static StartInfo, key: &str) -> Option<&'static str> {
    let bytes = &info.command_line[..info.command_line_bytes as usize];
    let text = core::str::from_utf8(bytes).unwrap_or_default();
    text.split_whitespace()
        .find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
}

/// The same as a number.
pub fn number(info: &'static StartInfo, key: &str) -> Option<u64> {
    option(info, key)?.parse().ok()
}

/// Reports a figure.
pub fn result(key: &str, value: u64) {
    say!("RESULT {key} {value}");
}

/// Stops the partition.
pub fn stop(reason: StopReason) -> ! {
    loop {
        let _ = hypercall::call(Number::Stop, [reason as u64, 0, 0, 0]);
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    say!("FAIL: {info}");
    stop(StopReason::Failed)
}
