//! The fixed ACPI description table (ACPI 6.5, 5.2.9).

use bulkhead_core::addr::Hpa;

use super::reader::{u8_at, u16_at, u32_at, u64_at};

/// Where a register is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RegisterSpace {
    /// In memory.
    Memory,
    /// In I/O ports.
    Ports,
    /// Elsewhere, where we do not go.
    Other(u8),
}

/// A generic address structure (ACPI 6.5, 5.2.3.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Register {
    /// Where.
    pub space: RegisterSpace,
    /// Its width in bits.
    pub bits: u8,
    /// Its address in that space.
    pub address: u64,
}

impl Register {
    /// The structure at `offset`.
    pub(super) fn read(table: &[u8], offset: usize) -> Option<Self> {
        Some(Register {
            space: match u8_at(table, offset)? {
                0 => RegisterSpace::Memory,
                1 => RegisterSpace::Ports,
                other => RegisterSpace::Other(other),
            },
            bits: u8_at(table, offset + 1)?,
            address: u64_at(table, offset + 4)?,
        })
    }

    /// The port, where it is one.
    pub fn port(&self) -> Option<u16> {
        match self.space {
            RegisterSpace::Ports => u16::try_from(self.address).ok().filter(|port| *port != 0),
            _ => None,
        }
    }
}

/// Bits of the power-management timer's counter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimerWidth {
    /// 24.
    Bits24,
    /// 32.
    Bits32,
}

/// The real-time clock of a PC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CmosClock {
    /// It is there; its register of the century, where it has one.
    Present {
        /// Index in the CMOS memory, below 128.
        century: Option<u8>,
    },
    /// There is none.
    Absent,
}

/// What the hypervisor uses of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fadt {
    /// I/O port of the power-management timer.
    pub pm_timer: Option<u16>,
    /// Its width.
    pub timer_width: TimerWidth,
    /// I/O ports of the PM1 control registers.
    pub pm1_control: [Option<u16>; 2],
    /// The register that resets the machine, and the value that does it.
    pub reset: Option<(Register, u8)>,
    /// The differentiated table, which has the sleep types.
    pub dsdt: Hpa,
    /// Port and value that switch ACPI mode on, where it must be.
    pub enable: Option<(u16, u8)>,
    /// The interrupt of ACPI events.
    pub sci: u16,
    /// The real-time clock.
    pub clock: CmosClock,
}

const FLAG_TIMER_32: u32 = 1 << 8;
const FLAG_RESET: u32 = 1 << 10;
/// Of the boot architecture flags (ACPI 6.5, 5.2.9.3): no real-time clock at the PC's ports.
const BOOT_NO_CLOCK: u16 = 1 << 5;
/// Registers of the clock below this are the time and its control.
const CMOS_FIRST_FREE: u8 = 14;

impl Fadt {
    /// What `table` says; `None` where it is damaged. Tables of ACPI 1.0 end after the flags.
    pub(super) fn read(table: &[u8]) -> Option<Self> {
        let flags = u32_at(table, 112)?;
        let port = |offset| {
            let port = u32_at(table, offset).and_then(|port| u16::try_from(port).ok());
            port.filter(|port| *port != 0)
        };
        // The extended fields win where they are in ports; QEMU and most firmware give both.
        let extended = |offset| Register::read(table, offset).and_then(|register| register.port());
        let dsdt = u64_at(table, 140).filter(|dsdt| *dsdt != 0);
        let reset = (flags & FLAG_RESET != 0)
            .then(|| Some((Register::read(table, 116)?, u8_at(table, 128)?)))
            .flatten();
        let enable = u8_at(table, 52)?;
        let century = u8_at(table, 108)?;
        let century = (CMOS_FIRST_FREE..128).contains(&century).then_some(century);
        let clock = if u16_at(table, 109)? & BOOT_NO_CLOCK != 0 {
            CmosClock::Absent
        } else {
            CmosClock::Present { century }
        };
        Some(Fadt {
            pm_timer: extended(208).or(port(76)),
            timer_width: if flags & FLAG_TIMER_32 != 0 {
                TimerWidth::Bits32
            } else {
                TimerWidth::Bits24
            },
            pm1_control: [extended(172).or(port(64)), extended(184).or(port(68))],
            reset,
            dsdt: Hpa::new(dsdt.unwrap_or(u64::from(u32_at(table, 40)?))),
            enable: port(48).filter(|_| enable != 0).map(|port| (port, enable)),
            sci: u16_at(table, 46)?,
            clock,
        })
    }
}
