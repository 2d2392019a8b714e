//! The entry point for fuzzers: takes any bytes and must neither panic nor run for long.
//!
//! Driven by the unit tests of the compiler and by the fuzzing tool.

use crate::compiler::{Compiler, NoIncludes};
use crate::error::MofError;

/// Reads the bytes as embedded instances and as a schema of their own.
///
/// # Panics
/// When an error points outside the text: the finding that the fuzzer is after, besides panics elsewhere.
pub fn fuzz_mof(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else {
        return;
    };
    if let Err(error) = crate::parse_instances(text) {
        check(text, &error);
    }
    let mut compiler = Compiler::new(NoIncludes);
    compiler.add("fuzz.mof", text);
    for error in compiler.finish().err().unwrap_or_default() {
        check(text, &error);
    }
}

/// An error stands on a line of the text, or right behind its last one.
fn check(text: &str, error: &MofError) {
    let lines = text.split('\n').count();
    let line = usize::try_from(error.line).unwrap_or(usize::MAX);
    assert!((1..=lines).contains(&line), "{error}");
    let width = text.split('\n').nth(line.saturating_sub(1));
    let width = width.map_or(0, |line| line.chars().count());
    let column = usize::try_from(error.column).unwrap_or(usize::MAX);
    // One behind the last character is the end of the line; a byte-order mark is not counted.
    assert!((1..=width.saturating_add(1)).contains(&column), "{error}");
}
