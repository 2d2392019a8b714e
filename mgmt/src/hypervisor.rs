//! The hypervisor that this image runs on.

#[cfg_attr(feature = "bare-bed", path = "hypervisor/bare.rs")]
#[cfg_attr(not(feature = "bare-bed"), path = "hypervisor/trap.rs")]
mod entry;

pub use entry::is_present;

/// The hypervisor, entered the way that this CPU has.
pub type Hypervisor = mgmt_hypercall::Hypervisor<entry::Entry>;

/// The hypervisor.
pub fn get() -> Hypervisor {
    Hypervisor::new(entry::Entry::detect())
}
