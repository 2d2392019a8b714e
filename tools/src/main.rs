//! The one entry for developers and operators: cargo xtask.
fn main() {}
