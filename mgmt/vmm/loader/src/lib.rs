//! Turns kernel images of any supported kind into a plan of what goes where in a guest's memory.
//!
//! The management partition calls [`plan`] when a system is started, carries the plan out (by itself or by
//! [`Plan::apply`]), hands [`Plan::boot`] to the hypervisor, and starts the first processor. [`identify`] names formats
//! for the image library.
//!
//! Images come from clients, so every number in them may be wrong: a plan writes only to usable RAM below 4 GiB, its parts
//! do not overlap, and whatever does not fit is refused with a sentence that says what to change. While a plan is made
//! only headers are read, whatever the size of the image: copies are described, not done.
//!
//! ```
//! use vmm_loader::{ImageFile, Kind, LoadOrder, plan};
//! use vmm_ram::{Gpa, MemoryKind, MemoryRange, fake::FakeRam};
//!
//! struct Bytes(Vec<u8>);
//!
//! impl ImageFile for Bytes {
//!     type Error = &'static str;
//!
//!     fn bytes(&self) -> u64 {
//!         self.0.len() as u64
//!     }
//!
//!     async fn read(&self, offset: u64, into: &mut [u8]) -> Result<(), Self::Error> {
//!         let rest = self.0.get(offset as usize..).ok_or("no such offset")?;
//!         into.copy_from_slice(rest.get(..into.len()).ok_or("too short")?);
//!         Ok(())
//!     }
//! }
//!
//! async fn load(kernel: Bytes, ram: &FakeRam) -> Result<bulkhead_abi::partition::BootState, String> {
//!     // In earnest the map is the one that the guest's firmware tables come with.
//!     let map = [MemoryRange { start: Gpa(0), bytes: 0x9fc00, kind: MemoryKind::Usable }];
//!     let order = LoadOrder {
//!         image: &kernel,
//!         kind: Kind::Flat(vmm_loader::Flat::at(Gpa(0x7c00))),
//!         modules: &[],
//!         command_line: "",
//!         memory_map: &map,
//!         rsdp: None,
//!     };
//!     let plan = plan(&order).await.map_err(|refused| refused.to_string())?;
//!     let mut buffer = [0; 4096];
//!     plan.apply(&order, ram, &mut buffer).await.map_err(|error| error.to_string())?;
//!     Ok(plan.boot)
//! }
//!
//! # use std::task::{Context, Poll, Waker};
//! # let ram = FakeRam::new(1 << 20);
//! # let mut future = Box::pin(load(Bytes(vec![0xf4; 512]), &ram));
//! # let Poll::Ready(boot) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) else { panic!() };
//! # assert_eq!(boot.unwrap().rip, 0x7c00);
//! ```
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod addresses;
mod elf_file;
mod elf_sections;
mod entry_state;
mod error;
mod fields;
mod file;
mod flat;
pub mod fuzz;
mod identify;
mod linux;
mod multiboot1;
mod multiboot2;
mod order;
mod piece;
mod places;
mod plan;
mod planner;
mod pvh;
#[cfg(test)]
mod testing;

pub use error::{Demand, LoadError, Refusal};
pub use file::{FileIndex, ImageFile};
pub use identify::{Format, identify};
pub use order::{Flat, Kind, LoadOrder, MAX_MODULES, Mode, Module, Rsdp};
pub use piece::Piece;
pub use plan::{ApplyError, Copy, Plan};

use planner::Planner;

/// What Multiboot kernels are told about who loaded them.
const LOADER_NAME: &str = "Bulkhead";

/// Makes a plan for an image of any kind.
///
/// # Errors
/// Where a file cannot be read, or the order cannot be fulfilled: the sentence says what to change.
pub async fn plan<F: ImageFile>(order: &LoadOrder<'_, F>) -> Result<Plan, LoadError<F::Error>> {
    let planner = Planner::new(order)?;
    let head = identify::read_head(order.image)
        .await
        .map_err(|error| LoadError::Read {
            file: FileIndex::Image,
            error,
        })?;
    let kind = match order.kind {
        Kind::Auto => identify::kind(&planner, &head).await?,
        given => given,
    };
    match kind {
        // A guess is always of a kind.
        Kind::Auto => Err(Refusal::UnknownFormat.into()),
        Kind::Linux => linux::plan(planner, &head).await,
        Kind::Pvh => pvh::plan(planner, &head).await,
        Kind::Multiboot1 => multiboot1::plan(planner, &head).await,
        Kind::Multiboot2 => multiboot2::plan(planner, &head).await,
        Kind::Flat(flat) => Ok(flat::plan(planner, &flat)?),
    }
}
