//! Machine tests and boots under an emulator: boot archive, ISO image, QEMU command line, runner and table.
//!
//! Used by `cargo xtask`. Nothing here is part of the product's images.
#![forbid(unsafe_code)]

pub mod backend;
pub mod bochs;
pub mod cpio;
pub mod emulator;
pub mod firmware;
pub mod frame;
pub mod iso;
pub mod machine;
pub mod machine_test;
pub mod mappings;
pub mod monitor;
pub mod partition;
pub mod ping;
pub mod runner;
pub mod socket_folder;
pub mod table;
pub mod verdict;
pub mod view;
