//! One file per verb of `cargo xtask`, and how one verb uses another.

pub mod background;
pub mod bench;
pub mod bridge;
pub mod console;
pub mod fuzz;
pub mod image;
pub mod run;
pub mod setup;
pub mod sim;
pub mod test;
