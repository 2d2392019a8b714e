//! One file per verb of `cargo xtask`.

pub mod bench;
pub mod bridge;
pub mod fuzz;
pub mod image;
pub mod run;
pub mod setup;
pub mod sim;
pub mod test;
