//! The hypervisor that this image runs on.

#[cfg(feature = "bare-bed")]
use crate::bare::BareBed as Entry;
#[cfg(not(feature = "bare-bed"))]
use crate::trap::Instruction as Entry;

/// The hypervisor, entered the way that this CPU has.
pub type Hypervisor = mgmt_hypercall::Hypervisor<Entry>;

/// The hypervisor.
pub fn get() -> Hypervisor {
    #[cfg(feature = "bare-bed")]
    let entry = Entry;
    #[cfg(not(feature = "bare-bed"))]
    let entry = Entry::detect();
    Hypervisor::new(entry)
}

/// Whether there is one.
pub fn is_present() -> bool {
    cfg!(feature = "bare-bed") || crate::trap::is_bulkhead()
}
