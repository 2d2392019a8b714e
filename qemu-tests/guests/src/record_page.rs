//! A page for records of the contract: what a hypercall reads or fills in.

use core::cell::UnsafeCell;

/// The page. A guest that shares one between vCPUs must not use it on two at once.
#[repr(C, align(4096))]
pub struct RecordPage(UnsafeCell<[u8; 4096]>);

// SAFETY: the bytes are only reached by volatile copies of whole records, and the guests that have such a page have one vCPU.
unsafe impl Sync for RecordPage {}

impl RecordPage {
    /// A page of zeros.
    #[expect(clippy::new_without_default, reason = "only for statics")]
    pub const fn new() -> Self {
        Self(UnsafeCell::new([0; 4096]))
    }

    /// Its guest-physical address.
    pub fn address(&self) -> u64 {
        self.0.get().addr() as u64
    }

    /// Writes a record to its beginning.
    pub fn put<T: Copy>(&self, record: &T) {
        // SAFETY: records of the contract fit into the page.
        unsafe { self.0.get().cast::<T>().write_volatile(*record) };
    }

    /// Reads the record at its beginning.
    pub fn take<T: Copy>(&self) -> T {
        // SAFETY: the hypervisor filled the record in, whose fields are numbers.
        unsafe { self.0.get().cast::<T>().read_volatile() }
    }
}
