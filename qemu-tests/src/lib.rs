//! Machine tests: runner, table of tests, benchmarks.
#![forbid(unsafe_code)]
