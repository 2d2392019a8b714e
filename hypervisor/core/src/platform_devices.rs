//! The devices of the PC platform that a partition's vCPUs share and the hypervisor itself emulates.

use crate::addr::Gpa;
use crate::exit::deliver::Woken;
use crate::host::Host;
use crate::id::{Gsi, Vector};
use crate::partition::Partition;
use crate::vcpu::{Direction, PortAccess};

/// The page of the I/O APIC's registers.
pub const IOAPIC_PAGE: Gpa = Gpa::new(0xfec0_0000);

/// The level of an interrupt line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    /// Not asserted.
    Low,
    /// Asserted.
    High,
}

/// What came of a port access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PortAnswer {
    /// Done; for reads with this value.
    Done {
        /// The value read; its low bytes count.
        value: u32,
        /// Whether a vCPU of this CPU got an interrupt.
        woken: Woken,
    },
    /// The guest resets its machine.
    Reset,
    /// No device here has this port.
    NotMine,
}

/// The devices.
#[derive(Debug, Default)]
pub struct PlatformDevices {}

impl PlatformDevices {
    /// Power-up state.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// A port access.
    pub fn port<H: Host>(
        &mut self,
        access: PortAccess,
        value: u32,
        _partition: &Partition,
        _host: &H,
    ) -> PortAnswer {
        match (access.port, access.direction) {
            (0xcf9, Direction::Write) if value & 4 != 0 => PortAnswer::Reset,
            (0x64, Direction::Write) if value == 0xfe => PortAnswer::Reset,
            _ => PortAnswer::NotMine,
        }
    }

    /// An access to the I/O APIC's registers.
    pub fn ioapic_access<H: Host>(
        &mut self,
        _offset: u16,
        _direction: Direction,
        _value: u32,
        _partition: &Partition,
        _host: &H,
    ) -> (u32, Woken) {
        (u32::MAX, Woken::Elsewhere)
    }

    /// A level-triggered vector was ended.
    pub fn end_of_interrupt<H: Host>(
        &mut self,
        _vector: Vector,
        _partition: &Partition,
        _host: &H,
    ) -> Woken {
        Woken::Elsewhere
    }

    /// The vector of the 8259A's most urgent request.
    pub fn acknowledge_ext_int(&mut self) -> Option<Vector> {
        None
    }

    /// Sets an input of the I/O APIC; `None` where there is no such pin.
    pub fn set_line<H: Host>(
        &mut self,
        _gsi: Gsi,
        _level: Level,
        _partition: &Partition,
        _host: &H,
    ) -> Option<Woken> {
        None
    }

    /// Lets the timers fire that are due.
    pub fn expire<H: Host>(&mut self, _partition: &Partition, _host: &H) -> Woken {
        Woken::Elsewhere
    }
}
