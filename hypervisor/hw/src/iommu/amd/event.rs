//! Entries of the event log (48882, 2.5), and the sentences for them.

use core::fmt;

use bulkhead_core::addr::{Gpa, Hpa};
use bulkhead_core::id::Bdf;

/// Flags of the events that a device caused, by bit number.
const INTERRUPT: u64 = 1 << 51;
const MAPPED: u64 = 1 << 52;
const WRITE: u64 = 1 << 53;
const RESERVED_BITS: u64 = 1 << 55;
const TRANSLATION: u64 = 1 << 56;

/// What a unit has logged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// The requester, where there is one.
    pub device: Bdf,
}

/// What an event is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EventKind {
    /// The entry of the device in the device table is bad.
    BadDeviceEntry {
        /// What the device accessed.
        address: Gpa,
    },
    /// The device reached for what it is not allowed.
    PageFault {
        /// Its domain.
        domain: u16,
        /// What it accessed.
        address: Gpa,
        /// How.
        access: DeviceAccess,
        /// Whether something is mapped there.
        mapped: bool,
        /// Whether a table entry has reserved bits set.
        reserved_bits: bool,
    },
    /// The device table cannot be read.
    DeviceTableUnreadable {
        /// Where.
        address: Hpa,
    },
    /// A page table cannot be read.
    PageTableUnreadable {
        /// Where.
        address: Hpa,
    },
    /// A command is none.
    BadCommand {
        /// Where it is.
        address: Hpa,
    },
    /// The command buffer cannot be read.
    CommandUnreadable {
        /// Where.
        address: Hpa,
    },
    /// The device did not confirm the invalidation of its own translations.
    DeviceSilent,
    /// The device sent a request that no device may send.
    BadRequest {
        /// With this address.
        address: Gpa,
    },
    /// Events were lost, because nobody read the log in time.
    Overflow,
    /// An event of this code.
    Unknown(u8),
}

/// How a device accessed an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DeviceAccess {
    /// It read.
    Read,
    /// It wrote.
    Write,
    /// It asked for a translation.
    Translation,
    /// It sent an interrupt.
    Interrupt,
}

impl Event {
    /// The event of a log entry; `None` for an entry that is not written yet.
    pub(super) fn decode([first, second]: [u64; 2]) -> Option<Self> {
        let address = Gpa::new(second);
        let machine = Hpa::new(second);
        let kind = match first >> 60 {
            0 => return None,
            1 => EventKind::BadDeviceEntry { address },
            2 => EventKind::PageFault {
                domain: (first >> 32) as u16,
                address,
                access: if first & INTERRUPT != 0 {
                    DeviceAccess::Interrupt
                } else if first & TRANSLATION != 0 {
                    DeviceAccess::Translation
                } else if first & WRITE != 0 {
                    DeviceAccess::Write
                } else {
                    DeviceAccess::Read
                },
                mapped: first & MAPPED != 0,
                reserved_bits: first & MAPPED != 0 && first & RESERVED_BITS != 0,
            },
            3 => EventKind::DeviceTableUnreadable { address: machine },
            4 => EventKind::PageTableUnreadable { address: machine },
            5 => EventKind::BadCommand { address: machine },
            6 => EventKind::CommandUnreadable { address: machine },
            7 => EventKind::DeviceSilent,
            8 => EventKind::BadRequest { address },
            code => EventKind::Unknown(code as u8),
        };
        let device = Bdf(first as u16);
        Some(Event { kind, device })
    }

    /// The event for a log that has overflowed.
    pub(super) const OVERFLOW: Event = Event {
        kind: EventKind::Overflow,
        device: Bdf(0),
    };
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let device = self.device;
        match self.kind {
            EventKind::BadDeviceEntry { address } => {
                write!(
                    f,
                    "bug: the device table entry of {device}, which accessed {address}, is bad"
                )
            }
            EventKind::PageFault {
                reserved_bits: true,
                address,
                domain,
                ..
            } => write!(
                f,
                "bug: the page tables of domain {domain} have reserved bits set for {address} (device {device})"
            ),
            EventKind::PageFault {
                domain,
                address,
                access,
                mapped,
                ..
            } => {
                match access {
                    DeviceAccess::Read => write!(f, "device {device} tried to read {address}"),
                    DeviceAccess::Write => write!(f, "device {device} tried to write {address}"),
                    DeviceAccess::Translation => {
                        write!(f, "device {device} asked for the translation of {address}")
                    }
                    DeviceAccess::Interrupt => {
                        return write!(
                            f,
                            "device {device} tried to send an interrupt that it may not send ({address})"
                        );
                    }
                }?;
                if mapped {
                    write!(f, ", which domain {domain} does not permit")
                } else {
                    write!(f, " outside of its domain {domain}")
                }
            }
            EventKind::DeviceTableUnreadable { address } => {
                write!(
                    f,
                    "the device table is unreadable at {address} (device {device})"
                )
            }
            EventKind::PageTableUnreadable { address } => {
                write!(
                    f,
                    "a page table is unreadable at {address} (device {device})"
                )
            }
            EventKind::BadCommand { address } => {
                write!(f, "bug: the command at {address} is not one")
            }
            EventKind::CommandUnreadable { address } => {
                write!(f, "the command buffer is unreadable at {address}")
            }
            EventKind::DeviceSilent => {
                write!(f, "device {device} did not confirm an invalidation in time")
            }
            EventKind::BadRequest { address } => {
                write!(f, "device {device} sent an impossible request ({address})")
            }
            EventKind::Overflow => f.write_str("events were lost: the log was full"),
            EventKind::Unknown(code) => {
                write!(f, "unknown event {code:#x} from device {device}")
            }
        }
    }
}
