//! [`GuestRam`]: reading and writing a guest's memory.

use alloc::rc::Rc;
use core::fmt;

use crate::Gpa;

/// Not all bytes of an access are RAM of the guest. Nothing of it was read or written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotRam {
    /// Where the access begins.
    pub at: Gpa,
    /// Its bytes.
    pub bytes: u64,
}

impl fmt::Display for NotRam {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} bytes at guest-physical {} are not all RAM of the guest",
            self.bytes, self.at
        )
    }
}

impl core::error::Error for NotRam {}

/// A guest's memory. The guest may read and write it at the same time.
///
/// An access lies in one range of RAM ([`crate::RamLayout`]) or is refused as a whole; one of no bytes is never refused.
pub trait GuestRam {
    /// Copies from the guest.
    ///
    /// # Errors
    /// [`NotRam`].
    fn read(&self, at: Gpa, into: &mut [u8]) -> Result<(), NotRam>;

    /// Copies to the guest.
    ///
    /// # Errors
    /// [`NotRam`].
    fn write(&self, at: Gpa, from: &[u8]) -> Result<(), NotRam>;

    /// One load of a little-endian number; no later access is seen before it (acquire).
    ///
    /// # Errors
    /// [`NotRam`], also for an odd address.
    fn load_u16(&self, at: Gpa) -> Result<u16, NotRam>;

    /// One store of a little-endian number; every earlier access is seen before it (release).
    ///
    /// # Errors
    /// [`NotRam`], also for an odd address.
    fn store_u16(&self, at: Gpa, value: u16) -> Result<(), NotRam>;

    /// Clears `bytes` from `at` on.
    ///
    /// # Errors
    /// [`NotRam`].
    fn zero(&self, at: Gpa, bytes: u64) -> Result<(), NotRam>;
}

macro_rules! forward {
    ($($pointer:ty),*) => {$(
        impl<T: GuestRam + ?Sized> GuestRam for $pointer {
            fn read(&self, at: Gpa, into: &mut [u8]) -> Result<(), NotRam> {
                (**self).read(at, into)
            }

            fn write(&self, at: Gpa, from: &[u8]) -> Result<(), NotRam> {
                (**self).write(at, from)
            }

            fn load_u16(&self, at: Gpa) -> Result<u16, NotRam> {
                (**self).load_u16(at)
            }

            fn store_u16(&self, at: Gpa, value: u16) -> Result<(), NotRam> {
                (**self).store_u16(at, value)
            }

            fn zero(&self, at: Gpa, bytes: u64) -> Result<(), NotRam> {
                (**self).zero(at, bytes)
            }
        }
    )*};
}

forward!(&T, Rc<T>);
