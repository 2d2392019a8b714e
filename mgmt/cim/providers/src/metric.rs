//! [`Metric`]: what is measured on systems that are on, on their virtual CPUs, and on the host for all of them together.

use crate::element::Element;
use cim_domain::{Domain, SystemId, Usage};

/// What something is measured on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Measured {
    /// The host: all systems together.
    Host,
    /// A virtual system.
    System(SystemId),
    /// A virtual CPU of one.
    Processor(SystemId, u32),
}

impl Measured {
    /// What an element is as something that is measured on.
    pub(crate) const fn of(element: &Element) -> Option<Self> {
        match element {
            Element::Host => Some(Measured::Host),
            Element::System(id) => Some(Measured::System(*id)),
            Element::Processor(id, number) => Some(Measured::Processor(*id, *number)),
            _ => None,
        }
    }

    /// The element.
    pub(crate) const fn element(self) -> Element {
        match self {
            Measured::Host => Element::Host,
            Measured::System(id) => Element::System(id),
            Measured::Processor(id, number) => Element::Processor(id, number),
        }
    }

    /// What is measured on it.
    pub(crate) const fn metrics(self) -> &'static [Metric] {
        match self {
            Measured::Host | Measured::System(_) => &Metric::ALL,
            Measured::Processor(..) => &[Metric::CpuTime, Metric::Exits],
        }
    }

    /// The number, where it is there and this is measured on it.
    pub(crate) fn value(self, metric: Metric, domain: &Domain) -> Option<u64> {
        let usage = match self {
            Measured::Host => domain.total_usage(),
            Measured::System(id) => domain.usage(id)?,
            Measured::Processor(id, number) => {
                let usage = domain.processor_usage(id, number)?;
                Usage {
                    cpu_nanoseconds: usage.cpu_nanoseconds,
                    exits: usage.exits,
                    ..Usage::default()
                }
            }
        };
        self.metrics().contains(&metric).then(|| metric.of(&usage))
    }
}

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
