//! [`Metric`]: what is measured on systems that are on, and on the host for all of them together.

use cim_domain::Usage;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Time that virtual CPUs have run.
    CpuTime,
    /// How often they have left the guest for the hypervisor.
    Exits,
    /// Physical memory in use.
    Memory,
    /// What guests have written to their consoles.
    ConsoleWritten,
    /// What they were given to read from them.
    ConsoleRead,
}

impl Metric {
    /// All of them.
    pub const ALL: [Metric; 5] = [
        Metric::CpuTime,
        Metric::Exits,
        Metric::Memory,
        Metric::ConsoleWritten,
        Metric::ConsoleRead,
    ];

    /// What it is called in the Id of its definition.
    pub(crate) const fn id(self) -> &'static str {
        match self {
            Metric::CpuTime => "cpu-time",
            Metric::Exits => "exits",
            Metric::Memory => "memory",
            Metric::ConsoleWritten => "console-written",
            Metric::ConsoleRead => "console-read",
        }
    }

    pub(crate) fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.id() == id)
    }

    /// What people call it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Metric::CpuTime => "CPU time",
            Metric::Exits => "Exits to the hypervisor",
            Metric::Memory => "Physical memory in use",
            Metric::ConsoleWritten => "Console output",
            Metric::ConsoleRead => "Console input",
        }
    }

    /// Its programmatic unit (DSP0004, annex C).
    pub(crate) const fn unit(self) -> &'static str {
        match self {
            Metric::CpuTime => "second * 10^-9",
            Metric::Exits => "count",
            Metric::Memory | Metric::ConsoleWritten | Metric::ConsoleRead => "byte",
        }
    }

    /// Whether it only grows.
    pub(crate) const fn is_counter(self) -> bool {
        !matches!(self, Metric::Memory)
    }

    /// The number.
    pub(crate) const fn of(self, usage: &Usage) -> u64 {
        match self {
            Metric::CpuTime => usage.cpu_nanoseconds,
            Metric::Exits => usage.exits,
            Metric::Memory => usage.memory_bytes,
            Metric::ConsoleWritten => usage.console_written,
            Metric::ConsoleRead => usage.console_read,
        }
    }
}
