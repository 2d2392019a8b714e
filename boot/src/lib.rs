//! Turns every boot protocol into one BootInfo.
//!
//! The hypervisor's entry code (`boot/entry`) hands over a magic number and the address of the boot
//! loader's record; [`BootInfo::parse`] reads that record through [`PhysicalBytes`], copies what the
//! hypervisor needs and keeps no reference, so that the loader's memory may be reused afterwards.
//! Nothing that the loader wrote is trusted: each length and address is checked before use.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod command_line;
pub mod cpio;
mod error;
mod framebuffer;
mod info;
mod memory;
mod module;
mod multiboot2;
mod physical;
mod pvh;

#[cfg(test)]
mod fakes;

pub use command_line::{Words, words};
pub use error::{BootError, BootNote};
pub use framebuffer::Framebuffer;
pub use info::{BootInfo, CommandLine, Protocol};
pub use memory::{MemoryKind, MemoryRegion};
pub use module::{Module, ModuleName};
pub use multiboot2::MAGIC as MULTIBOOT2_MAGIC;
pub use physical::PhysicalBytes;
pub use pvh::MAGIC as PVH_MAGIC;
