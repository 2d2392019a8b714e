//! How the cache reaches the VMCS: by VMREAD and VMWRITE, or a fake in unit tests.

use super::field::Field;
use super::instructions::{vmread, vmwrite};

/// Reads and writes fields of the current VMCS.
pub trait Access {
    /// The field's value.
    fn read(&self, field: Field) -> u64;

    /// Sets the field.
    fn write(&self, field: Field, value: u64);
}

/// The VMCS that this CPU has loaded.
pub struct Current;

impl Access for Current {
    #[inline(always)]
    fn read(&self, field: Field) -> u64 {
        vmread(field.encoding())
    }

    #[inline(always)]
    fn write(&self, field: Field, value: u64) {
        vmwrite(field.encoding(), value);
    }
}
