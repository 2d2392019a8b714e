//! Definitions as text, for the store: a line for each fact, so that they can be read after years.
//!
//! `key value`, in the value `\\`, `\n` and `\r` for a backslash, a line feed and a carriage return. A definition of a
//! later version with a key that is not known here is refused as a whole, never half understood.

use crate::allocation::{
    Allocation, ConsoleKind, ConsoleSettings, Mapping, MemorySettings, ProcessorSettings, Resource,
    Topology,
};
use crate::boot::BootFormat;
use crate::definition::{Definition, RecoveryAction, ShutdownAction, StartupAction};
use crate::id::{AllocationId, SystemId};
use crate::one_line::{escaped, unescaped};
use crate::uuid::Uuid;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::{Display, Write};
use core::time::Duration;

/// The blob with the number of the next system.
pub(crate) const NEXT_SYSTEM: &str = "domain/next-system";
/// Prefix of the defined configurations.
pub(crate) const DEFINITIONS: &str = "domain/system/";
/// Prefix of the configurations that systems started with; there is one while a system is on.
pub(crate) const ACTIVE: &str = "domain/active/";

const FIRST_LINE: &str = "bulkhead-definition 1";

pub(crate) fn definition_name(id: SystemId) -> String {
    format!("{DEFINITIONS}{:020}", id.0)
}

pub(crate) fn active_name(id: SystemId) -> String {
    format!("{ACTIVE}{:020}", id.0)
}

pub(crate) fn system_in(name: &str, prefix: &str) -> Option<SystemId> {
    Some(SystemId(name.strip_prefix(prefix)?.parse().ok()?))
}

/// Collects lines.
pub(crate) struct Lines(String);

impl Lines {
    pub(crate) fn new(first: &str) -> Self {
        Lines(format!("{first}\n"))
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0.into_bytes()
    }

    pub(crate) fn add(&mut self, key: &str, value: impl Display) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "{key} {}", escaped(&value.to_string()));
    }

    fn add_some(&mut self, key: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.add(key, value);
        }
    }
}

/// Writes a definition.
pub(crate) fn encode(definition: &Definition) -> Vec<u8> {
    let mut lines = Lines::new(FIRST_LINE);
    lines.add("name", &definition.name);
    lines.add("uuid", definition.uuid);
    lines.add("created", definition.created);
    lines.add("next-allocation", definition.next_allocation);
    lines.add_some("identifier", definition.identifier.as_ref());
    lines.add_some("type", definition.system_type.as_ref());
    lines.add_some("description", definition.description.as_ref());
    if let Some(notes) = &definition.notes {
        lines.add("notes", notes.len());
        for note in notes {
            lines.add("note", note);
        }
    }
    lines.add_some(
        "startup",
        definition.startup.action.map(|action| match action {
            StartupAction::None => "none",
            StartupAction::IfActive => "if-active",
            StartupAction::Always => "always",
        }),
    );
    let delay = definition.startup.delay.map(|delay| delay.as_micros());
    lines.add_some("startup-delay", delay);
    lines.add_some("startup-sequence", definition.startup.sequence);
    lines.add_some(
        "shutdown",
        definition.shutdown.map(|action| match action {
            ShutdownAction::TurnOff => "turn-off",
            ShutdownAction::ShutDown => "shut-down",
        }),
    );
    lines.add_some(
        "recovery",
        definition.recovery.map(|action| match action {
            RecoveryAction::None => "none",
            RecoveryAction::Restart => "restart",
        }),
    );
    let boot = &definition.boot;
    lines.add_some("kernel", boot.kernel.as_ref());
    lines.add_some("initrd", boot.initrd.as_ref());
    lines.add_some("command-line", boot.command_line.as_ref());
    lines.add_some("format", boot.format.map(BootFormat::name));
    lines.add_some("load-address", boot.load_address);
    lines.add_some("entry-address", boot.entry_address);
    for module in &boot.modules {
        lines.add("module", &module.image);
        lines.add("module-arguments", &module.arguments);
    }
    for allocation in &definition.allocations {
        encode_allocation(allocation, &mut lines);
    }
    lines.into_bytes()
}

fn encode_allocation(allocation: &Allocation, lines: &mut Lines) {
    let kind = match &allocation.resource {
        Resource::Processor(_) => "processor",
        Resource::Memory(_) => "memory",
        Resource::Console(settings) => match settings.kind {
            ConsoleKind::Serial => "serial",
            ConsoleKind::Virtio => "virtio-console",
        },
        Resource::Entropy => "entropy",
    };
    lines.add("allocation", format_args!("{} {kind}", allocation.id));
    lines.add_some("allocation-name", allocation.name.as_ref());
    lines.add_some("pool", allocation.pool.as_ref());
    match &allocation.resource {
        Resource::Processor(settings) => {
            lines.add_some("count", settings.count);
            lines.add_some("maximum", settings.maximum);
            lines.add_some("reservation", settings.reservation);
            lines.add_some("limit", settings.limit);
            lines.add_some("weight", settings.weight);
            if let Some(topology) = settings.topology {
                let Topology {
                    sockets,
                    cores,
                    threads,
                } = topology;
                lines.add("topology", format_args!("{sockets} {cores} {threads}"));
            }
            lines.add_some(
                "mapping",
                settings.mapping.map(|mapping| match mapping {
                    Mapping::Dedicated => "dedicated",
                    Mapping::SoftAffinity => "soft",
                    Mapping::HardAffinity => "hard",
                }),
            );
            for number in &settings.cpus {
                lines.add("cpu", number);
            }
        }
        Resource::Memory(settings) => {
            lines.add_some("bytes", settings.bytes);
            lines.add_some("node", settings.node);
        }
        Resource::Console(_) | Resource::Entropy => {}
    }
}

/// Reads a definition; `None` for anything that [`encode`] does not write.
pub(crate) fn decode(bytes: &[u8]) -> Option<Definition> {
    let text = core::str::from_utf8(bytes).ok()?;
    let mut lines = text.strip_suffix('\n')?.split('\n');
    if lines.next()? != FIRST_LINE {
        return None;
    }
    // Replaced by the lines that every definition has.
    let nobody = Uuid([0; 16]);
    let mut definition = Definition::new(String::new(), nobody, 0);
    for line in lines {
        let (key, value) = line.split_once(' ')?;
        let value = unescaped(value)?;
        match definition.allocations.last_mut() {
            Some(_) if key == "allocation" => definition.allocations.push(allocation(&value)?),
            Some(last) => decode_in_allocation(last, key, value)?,
            None => decode_line(&mut definition, key, value)?,
        }
    }
    (definition.uuid != nobody && !definition.name.is_empty()).then_some(definition)
}

fn decode_line(to: &mut Definition, key: &str, value: String) -> Option<()> {
    match key {
        "name" => to.name = value,
        "uuid" => to.uuid = Uuid::parse(&value)?,
        "created" => to.created = value.parse().ok()?,
        "next-allocation" => to.next_allocation = value.parse().ok()?,
        "identifier" => to.identifier = Some(value),
        "type" => to.system_type = Some(value),
        "description" => to.description = Some(value),
        "notes" => to.notes = Some(Vec::new()),
        "note" => to.notes.as_mut()?.push(value),
        "startup" => {
            to.startup.action = Some(match value.as_str() {
                "none" => StartupAction::None,
                "if-active" => StartupAction::IfActive,
                "always" => StartupAction::Always,
                _ => return None,
            });
        }
        "startup-delay" => to.startup.delay = Some(Duration::from_micros(value.parse().ok()?)),
        "startup-sequence" => to.startup.sequence = Some(value.parse().ok()?),
        "shutdown" => {
            to.shutdown = Some(match value.as_str() {
                "turn-off" => ShutdownAction::TurnOff,
                "shut-down" => ShutdownAction::ShutDown,
                _ => return None,
            });
        }
        "recovery" => {
            to.recovery = Some(match value.as_str() {
                "none" => RecoveryAction::None,
                "restart" => RecoveryAction::Restart,
                _ => return None,
            });
        }
        "allocation" => to.allocations.push(allocation(&value)?),
        "module-arguments" => return to.boot.take_fact("arguments", value),
        // The store has another name for it.
        "arguments" => return None,
        _ => return to.boot.take_fact(key, value),
    }
    Some(())
}

fn allocation(text: &str) -> Option<Allocation> {
    let (id, kind) = text.split_once(' ')?;
    let resource = match kind {
        "processor" => Resource::Processor(ProcessorSettings::default()),
        "memory" => Resource::Memory(MemorySettings::default()),
        "serial" => Resource::Console(ConsoleSettings {
            kind: ConsoleKind::Serial,
        }),
        "virtio-console" => Resource::Console(ConsoleSettings {
            kind: ConsoleKind::Virtio,
        }),
        "entropy" => Resource::Entropy,
        _ => return None,
    };
    Some(Allocation {
        id: AllocationId(id.parse().ok()?),
        name: None,
        pool: None,
        resource,
    })
}

fn decode_in_allocation(to: &mut Allocation, key: &str, value: String) -> Option<()> {
    match (key, &mut to.resource) {
        ("allocation-name", _) => to.name = Some(value),
        ("pool", _) => to.pool = Some(value),
        ("count", Resource::Processor(to)) => to.count = Some(value.parse().ok()?),
        ("maximum", Resource::Processor(to)) => to.maximum = Some(value.parse().ok()?),
        ("reservation", Resource::Processor(to)) => to.reservation = Some(value.parse().ok()?),
        ("limit", Resource::Processor(to)) => to.limit = Some(value.parse().ok()?),
        ("weight", Resource::Processor(to)) => to.weight = Some(value.parse().ok()?),
        ("topology", Resource::Processor(to)) => {
            let mut numbers = value.split(' ').map(str::parse);
            let mut next = || numbers.next()?.ok();
            to.topology = Some(Topology {
                sockets: next()?,
                cores: next()?,
                threads: next()?,
            });
        }
        ("mapping", Resource::Processor(to)) => {
            to.mapping = Some(match value.as_str() {
                "dedicated" => Mapping::Dedicated,
                "soft" => Mapping::SoftAffinity,
                "hard" => Mapping::HardAffinity,
                _ => return None,
            });
        }
        ("cpu", Resource::Processor(to)) => to.cpus.push(value.parse().ok()?),
        ("node", Resource::Memory(to)) => to.node = Some(value.parse().ok()?),
        ("bytes", Resource::Memory(to)) => to.bytes = Some(value.parse().ok()?),
        _ => return None,
    }
    Some(())
}
