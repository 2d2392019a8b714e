//! The last word on a target: does a program for it compile and link?

use crate::workspace::BARE_TARGET;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Uses something of each library: a slice copy (compiler_builtins' memcpy), a bounds check (core), a box (alloc).
const PROGRAM: &str = "\
#![no_std]
#![no_main]
extern crate alloc;
use core::alloc::{GlobalAlloc, Layout};
struct Never;
unsafe impl GlobalAlloc for Never {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 { core::ptr::null_mut() }
    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}
#[global_allocator]
static HEAP: Never = Never;
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! { loop {} }
#[unsafe(no_mangle)]
pub fn _start(to: &mut [u8], from: &[u8]) -> alloc::boxed::Box<u8> {
    to.copy_from_slice(from);
    alloc::boxed::Box::new(to[0])
}
";

/// Compiles and links a small program in `folder`.
pub fn compiles(rustc: &Path, folder: &Path) -> Result<()> {
    // Other verbs may look at the same time.
    let name = format!("probe-{}", std::process::id());
    let (source, program) = (folder.join(format!("{name}.rs")), folder.join(&name));
    fs::write(&source, PROGRAM).with_context(|| format!("cannot write {}", source.display()))?;
    let output = Command::new(rustc)
        .args([
            "--edition",
            "2024",
            "--target",
            BARE_TARGET,
            "--crate-type",
            "bin",
        ])
        .args(["--crate-name", "probe", "-C", "panic=abort", "-o"])
        .args([&program, &source])
        .output();
    // Left-overs are of no use, and their removal of no importance.
    let _ = fs::remove_file(&source);
    let _ = fs::remove_file(&program);
    let output = output.with_context(|| format!("cannot run {}", rustc.display()))?;
    if !output.status.success() {
        let messages = String::from_utf8_lossy(&output.stderr);
        let first = messages.lines().find(|line| line.starts_with("error"));
        bail!(
            "a program for it does not compile: {}",
            first.unwrap_or("no message")
        );
    }
    Ok(())
}
