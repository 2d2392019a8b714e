//! I/O ports: the one door to IN and OUT.

use core::marker::PhantomData;

/// A width of port access.
pub trait PortValue: Copy + sealed::Access {}

impl PortValue for u8 {}
impl PortValue for u16 {}
impl PortValue for u32 {}

/// An I/O port of a device that belongs to the hypervisor.
#[derive(Debug)]
pub struct Port<T> {
    number: u16,
    value: PhantomData<T>,
}

impl<T: PortValue> Port<T> {
    /// The port with this number.
    ///
    /// # Safety
    /// Reading and writing it must not break memory safety: the device behind it must not be made
    /// to write to memory that is in use (DMA), and must not be driven by anyone else.
    pub const unsafe fn new(number: u16) -> Self {
        Port {
            number,
            value: PhantomData,
        }
    }

    /// Reads it.
    pub fn read(&mut self) -> T {
        // SAFETY: the creator of the port promised that accesses are harmless to memory.
        unsafe { T::input(self.number) }
    }

    /// Writes it.
    pub fn write(&mut self, value: T) {
        // SAFETY: the creator of the port promised that accesses are harmless to memory.
        unsafe { value.output(self.number) }
    }
}

mod sealed {
    use core::arch::asm;

    /// The instructions for one width.
    pub trait Access {
        /// IN.
        unsafe fn input(port: u16) -> Self;
        /// OUT.
        unsafe fn output(self, port: u16);
    }

    macro_rules! access {
        ($type:ty, $register:tt) => {
            impl Access for $type {
                unsafe fn input(port: u16) -> Self {
                    let value: $type;
                    // SAFETY: the caller vouches for the port; IN itself touches no memory.
                    unsafe {
                        asm!(concat!("in ", $register, ", dx"), in("dx") port, out($register) value,
                             options(nomem, nostack, preserves_flags));
                    }
                    value
                }

                unsafe fn output(self, port: u16) {
                    // SAFETY: the caller vouches for the port; OUT itself touches no memory.
                    unsafe {
                        asm!(concat!("out dx, ", $register), in("dx") port, in($register) self,
                             options(nomem, nostack, preserves_flags));
                    }
                }
            }
        };
    }

    access!(u8, "al");
    access!(u16, "ax");
    access!(u32, "eax");
}
