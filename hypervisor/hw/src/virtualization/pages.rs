//! Zeroed memory of the hypervisor's own pool, with its physical address.

use alloc::alloc::{Layout, alloc_zeroed};
use alloc::boxed::Box;

use bulkhead_core::addr::Hpa;
use bulkhead_core::fault::ResourceError;

/// A type for which all-zero memory is a value.
///
/// # Safety
/// Every field may be all zeros.
pub unsafe trait Zeroed {}

/// A page without structure.
#[repr(C, align(4096))]
pub struct Page(pub [u8; 4096]);

// SAFETY: bytes may be zero.
unsafe impl Zeroed for Page {}

/// A zeroed `T` in the pool.
///
/// # Errors
/// The pool is exhausted.
pub fn zeroed_box<T: Zeroed>() -> Result<Box<T>, ResourceError> {
    const { assert!(size_of::<T>() != 0) };
    // SAFETY: the size is not zero.
    let memory = unsafe { alloc_zeroed(Layout::new::<T>()) }.cast::<T>();
    if memory.is_null() {
        return Err(ResourceError::HypervisorMemory);
    }
    // SAFETY: the global allocator returned memory of T's layout, and zeros are a T by the trait's promise.
    Ok(unsafe { Box::from_raw(memory) })
}

/// The machine address of an object on the heap, which lies in the direct map.
pub fn physical_of<T>(object: &T) -> Hpa {
    Hpa::new((core::ptr::from_ref(object).addr() as u64).wrapping_sub(crate::layout::DIRECT_MAP))
}
