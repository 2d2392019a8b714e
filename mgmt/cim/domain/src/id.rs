//! The names of things inside the domain: numbers that are never used twice.

use core::fmt;

/// A virtual system. Counts up over the whole life of the configuration store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SystemId(pub u64);

/// A resource allocation within its system. Counts up over the life of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AllocationId(pub u32);

/// A job. Counts up until the management partition restarts; jobs do not outlive that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u64);

macro_rules! shown_as_number {
    ($($id:ty),*) => {$(
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    )*};
}

shown_as_number!(SystemId, AllocationId, JobId);
