//! Identifiers that cannot be mixed up: one newtype per kind of thing.

use core::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($repr:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
        #[repr(transparent)]
        pub struct $name(pub $repr);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

id! {
    /// A partition (virtual system); 0 is the management partition.
    PartitionId(u16)
}
id! {
    /// A virtual CPU within its partition, counted from 0.
    VcpuId(u16)
}
id! {
    /// A physical CPU, counted from 0 (the boot CPU) in the order of the MADT.
    CpuId(u16)
}
id! {
    /// A local APIC's id (xAPIC: 8 bits, x2APIC: 32 bits), physical or virtual as the context says.
    ApicId(u32)
}
id! {
    /// An interrupt vector, an index of the IDT.
    Vector(u8)
}
id! {
    /// A global system interrupt (ACPI 6.5, 5.2.15): an input pin over all I/O APICs of a machine.
    Gsi(u32)
}

/// A PCI function: segment 0, bus, device and function as the 16-bit requester id has them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Bdf(pub u16);

impl Bdf {
    /// The function at `bus`:`device`.`function`; `None` where device or function is out of range.
    pub const fn new(bus: u8, device: u8, function: u8) -> Option<Self> {
        if device < 32 && function < 8 {
            Some(Self(
                (bus as u16) << 8 | (device as u16) << 3 | function as u16,
            ))
        } else {
            None
        }
    }

    /// The bus number.
    pub const fn bus(self) -> u8 {
        (self.0 >> 8) as u8
    }

    /// The device number, 0 to 31.
    pub const fn device(self) -> u8 {
        (self.0 >> 3) as u8 & 31
    }

    /// The function number, 0 to 7.
    pub const fn function(self) -> u8 {
        self.0 as u8 & 7
    }
}

impl fmt::Display for Bdf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:02x}:{:02x}.{}",
            self.bus(),
            self.device(),
            self.function()
        )
    }
}
