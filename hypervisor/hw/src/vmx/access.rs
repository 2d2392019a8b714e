//! How the backend reaches the VMCS and its guest: by the CPU's instructions, or a fake in unit tests.

use super::field::Field;
use super::instructions::{Entered, EntryBlock, vmread, vmwrite, world_switch};

/// Reads and writes fields of the current VMCS.
pub trait VmcsAccess: Send + 'static {
    /// The field's value.
    fn read(&self, field: Field) -> u64;

    /// Sets the field.
    fn write(&self, field: Field, value: u64);

    /// Runs the guest until it exits.
    ///
    /// # Safety
    /// As of [`world_switch`].
    unsafe fn enter(&self, block: &mut EntryBlock) -> Entered;
}

/// The VMCS that this CPU has loaded.
pub struct Current;

impl VmcsAccess for Current {
    #[inline(always)]
    fn read(&self, field: Field) -> u64 {
        vmread(field.encoding())
    }

    #[inline(always)]
    fn write(&self, field: Field, value: u64) {
        vmwrite(field.encoding(), value);
    }

    #[inline(always)]
    unsafe fn enter(&self, block: &mut EntryBlock) -> Entered {
        // SAFETY: passed on to the caller.
        unsafe { world_switch(block) }
    }
}
