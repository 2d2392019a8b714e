//! The state of a partition as bytes: all that its vCPUs and the devices in the hypervisor are, for a snapshot or a move.
//!
//! The hypercalls PartitionSave and PartitionRestore lead here through [`crate::lifecycle::transfer`]. What is in a section is
//! the section's own business and has a version of its own; a section that is not known, of another version, cut off or too long
//! is refused with its name. Whoever hands a state in is not trusted: what no CPU and no device can be in is refused before anything
//! has changed, so that neither the hypervisor nor the hardware meets it. RAM is not part of it, nor what management
//! has registered with the partition (pages, ports, doorbells).
//!
//! Time stands still between a save and a restore: every clock of the guest goes on from what it showed.

mod bytes;
mod devices;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod partition;
#[cfg(test)]
mod tests;
mod vcpu;

use core::fmt;

pub use bytes::{Reader, Sections, Writer};
pub use partition::{SavedPartition, SavedTime, Shape};
pub use vcpu::{Limits, SavedVcpu};

use crate::fault::ResourceError;
use crate::local_apic::StateError;
use crate::time::Hertz;

/// What a section holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum Kind {
    /// The partition as a whole: shape and time.
    Partition = 1,
    /// The 8259A pair.
    Pic = 0x10,
    /// The I/O APIC.
    IoApic = 0x11,
    /// The 8254.
    Pit = 0x12,
    /// The real-time clock.
    Rtc = 0x13,
    /// COM1.
    Uart = 0x14,
    /// The ACPI timer.
    PmTimer = 0x15,
    /// A vCPU: what it does, and when; the other sections of it follow.
    Vcpu = 0x20,
    /// Its registers.
    Registers = 0x21,
    /// Its extended state.
    Extended = 0x22,
    /// Its local APIC.
    LocalApic = 0x23,
    /// Its emulated MSRs.
    Bank = 0x24,
    /// Its paravirtual clock.
    Clock = 0x25,
}

impl Kind {
    /// What it is called.
    const fn name(self) -> &'static str {
        match self {
            Kind::Pic => "interrupt controllers (8259A)",
            Kind::IoApic => "I/O APIC",
            Kind::Pit => "interval timer (8254)",
            Kind::Rtc => "real-time clock",
            Kind::Uart => "serial port",
            Kind::PmTimer => "ACPI timer",
            Kind::Partition => "partition as a whole",
            Kind::Vcpu => "vCPU",
            Kind::Registers => "registers of a vCPU",
            Kind::Extended => "extended state of a vCPU",
            Kind::LocalApic => "local APIC",
            Kind::Bank => "emulated MSRs",
            Kind::Clock => "paravirtual clock",
        }
    }
}

/// Why bytes are not a state that can be restored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BadState {
    /// They are something else.
    NotAState,
    /// The form is one of a later version.
    Form(u16),
    /// They are not as many as they say.
    Length,
    /// They were damaged on the way.
    Checksum,
    /// Another section comes first.
    Section {
        /// The section that should come.
        expected: Kind,
        /// The number of the one that does.
        found: u16,
    },
    /// A section is of another version.
    Version {
        /// Which section.
        section: Kind,
        /// Its version.
        version: u16,
    },
    /// A section ends too early.
    Short(Kind),
    /// A section has more than belongs there.
    Long(Kind),
    /// There are sections after the last.
    Rest,
    /// Something has a value that it cannot have here.
    Value(StateError),
    /// It is of a partition of another shape.
    Shape(Shape),
    /// It is of a guest whose TSC has this rate, which it cannot have here.
    Rate(Hertz),
    /// An extended state that the CPUs here cannot load, and why.
    Extended(&'static str),
    /// There is no memory to look at it.
    Resource(ResourceError),
}

impl From<StateError> for BadState {
    fn from(error: StateError) -> Self {
        BadState::Value(error)
    }
}

impl fmt::Display for BadState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadState::NotAState => {
                f.write_str("these bytes are not the saved state of a partition")
            }
            BadState::Form(form) => {
                write!(
                    f,
                    "the saved state is of form {form}, which is not known here"
                )
            }
            BadState::Length => f.write_str("the saved state is cut off, or longer than it says"),
            BadState::Checksum => f.write_str("the saved state is damaged: its checksum is wrong"),
            BadState::Section { expected, found } => write!(
                f,
                "the saved state has section {found:#x} in the place of the {}",
                expected.name()
            ),
            BadState::Version { section, version } => write!(
                f,
                "the saved state of the {} is of version {version}, which is not known here",
                section.name()
            ),
            BadState::Short(section) => {
                write!(
                    f,
                    "the saved state of the {} ends too early",
                    section.name()
                )
            }
            BadState::Long(section) => write!(
                f,
                "the saved state of the {} has more than belongs there",
                section.name()
            ),
            BadState::Rest => f.write_str("the saved state has sections that do not belong there"),
            BadState::Value(error) => error.fmt(f),
            BadState::Shape(shape) => write!(
                f,
                "the saved state is that of a partition with {} vCPUs and {} bytes of RAM, which this is not",
                shape.vcpus, shape.ram
            ),
            BadState::Rate(rate) => write!(
                f,
                "the saved state is that of a guest whose time-stamp counter runs at {} Hz, and the CPUs here cannot scale theirs to that",
                rate.get()
            ),
            BadState::Extended(what) => {
                write!(f, "the saved state needs another CPU: {what}")
            }
            BadState::Resource(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for BadState {}
