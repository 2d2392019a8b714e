//! The judgement on a whole definition: limits, and what must fit together.

use crate::allocation::{Mapping, ProcessorSettings, Resource, ResourceKind};
use crate::apply::MIB;
use crate::boot::{Boot, BootFormat};
use crate::definition::Definition;
use crate::host::HostFacts;
use crate::image::Images;
use crate::problem::{Problem, ProblemKind};
use alloc::format;
use alloc::string::String;

/// Bytes of a command line that every boot protocol carries (Linux: 2047 and a NUL).
const MAX_COMMAND_LINE: usize = 2047;
/// Characters of a name.
pub(crate) const MAX_NAME: usize = 256;
/// Bytes of all notes and of the description together.
const MAX_NOTES: usize = 16 * 1024;
/// Devices of one kind.
pub(crate) const MAX_DEVICES: u64 = 8;
/// Modules.
const MAX_MODULES: usize = 16;

fn invalid(id: &'static str, what: impl Into<String>, fix: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::Invalid, id, what, fix)
}

/// Judges a definition.
///
/// # Errors
/// The first thing that is wrong with it.
pub(crate) fn check(
    definition: &Definition,
    host: &HostFacts,
    images: &dyn Images,
) -> Result<(), Problem> {
    texts(definition)?;
    boot(&definition.boot, images)?;
    counts(definition)?;
    let mut allocations = definition.allocations.iter();
    allocations.try_for_each(|allocation| check_resource(&allocation.resource, host))
}

/// Judges a resource by itself.
///
/// # Errors
/// The first thing that is wrong with it.
pub(crate) fn check_resource(resource: &Resource, host: &HostFacts) -> Result<(), Problem> {
    match resource {
        Resource::Processor(settings) => processor(settings, host),
        Resource::Memory(settings) => memory(settings.bytes, host),
        Resource::Console(_) | Resource::Entropy => Ok(()),
    }
}

/// Judges a name.
///
/// # Errors
/// [`ProblemKind::Invalid`].
pub(crate) fn name(text: &str, property: &'static str) -> Result<(), Problem> {
    let length = text.chars().count();
    if length == 0 || length > MAX_NAME || text.chars().any(char::is_control) {
        let what =
            format!("A name has 1 to {MAX_NAME} characters, none of them a control character");
        return Err(invalid("BH-NAME", what, "Give another").at(property));
    }
    Ok(())
}

fn texts(definition: &Definition) -> Result<(), Problem> {
    let names = [
        ("ElementName", Some(&definition.name)),
        ("VirtualSystemIdentifier", definition.identifier.as_ref()),
    ];
    for (property, text) in names {
        let Some(text) = text else {
            continue;
        };
        name(text, property)?;
    }
    let notes = definition
        .notes
        .iter()
        .flatten()
        .chain(&definition.description);
    if notes.map(String::len).sum::<usize>() > MAX_NOTES {
        let what = format!("Notes and Description have more than {MAX_NOTES} bytes together");
        return Err(invalid("BH-NOTES", what, "Shorten them").at("Notes"));
    }
    Ok(())
}

fn boot(boot: &Boot, images: &dyn Images) -> Result<(), Problem> {
    let modules = boot.modules.iter().map(|module| ("Modules", &module.image));
    let kernel = boot.kernel.iter().map(|image| ("Kernel", image));
    let initrd = boot.initrd.iter().map(|image| ("Initrd", image));
    for (property, image) in kernel.chain(initrd).chain(modules) {
        if images.find(image).is_none() {
            let what = format!("There is no image {image}");
            let fix = "Upload it, or name one that the image library has";
            return Err(invalid("BH-IMAGE-UNKNOWN", what, fix).at(property));
        }
    }
    let line = boot.command_line.as_deref().unwrap_or_default();
    if line.len() > MAX_COMMAND_LINE || line.contains('\0') {
        let what = format!("A command line has at most {MAX_COMMAND_LINE} bytes, none of them 0");
        return Err(invalid("BH-COMMAND-LINE", what, "Shorten it").at("CommandLine"));
    }
    if boot.modules.len() > MAX_MODULES {
        let what = format!("A system has at most {MAX_MODULES} modules");
        return Err(invalid("BH-MODULES", what, "Name fewer").at("Modules"));
    }
    let flat = matches!(boot.format, Some(BootFormat::Flat));
    let addresses = [
        ("LoadAddress", boot.load_address),
        ("EntryAddress", boot.entry_address),
    ];
    for (property, address) in addresses {
        if address.is_some() && !flat {
            let what = "Only flat binaries are loaded to an address of one's choice";
            let fix = "Leave it out, or set BootFormat to \"flat\"";
            return Err(invalid("BH-ADDRESS", what, fix).at(property));
        }
    }
    let linux = matches!(boot.format, Some(BootFormat::Linux | BootFormat::Flat));
    if linux && !boot.modules.is_empty() {
        let what = "This boot format has no modules";
        return Err(
            invalid("BH-MODULES", what, "Leave them out; Linux takes an Initrd").at("Modules"),
        );
    }
    Ok(())
}

fn counts(definition: &Definition) -> Result<(), Problem> {
    let count = |kind| {
        let all = definition.allocations.iter();
        let of_kind = all.filter(|known| known.resource.kind() == kind);
        u64::try_from(of_kind.count()).unwrap_or(u64::MAX)
    };
    for (kind, name) in [
        (ResourceKind::Processor, "processors"),
        (ResourceKind::Memory, "memory"),
    ] {
        if count(kind) != 1 {
            return Err(invalid(
                "BH-EXACTLY-ONE",
                format!(
                    "A system has exactly one allocation of {name}, and this makes {}",
                    count(kind)
                ),
                "Modify the one that is there",
            )
            .at("ResourceSettings"));
        }
    }
    for (kind, name) in [
        (ResourceKind::Console, "consoles"),
        (ResourceKind::Entropy, "sources of random numbers"),
    ] {
        if count(kind) > MAX_DEVICES {
            let what = format!("A system has at most {MAX_DEVICES} {name}");
            return Err(invalid("BH-DEVICES", what, "Ask for fewer").at("ResourceSettings"));
        }
    }
    let serial = definition.allocations.iter().filter(|allocation| {
        matches!(&allocation.resource, Resource::Console(settings)
            if settings.kind == crate::allocation::ConsoleKind::Serial)
    });
    if serial.count() > 1 {
        let what = "A system has one serial port";
        let fix = "Ask for one, and for virtio consoles besides it";
        return Err(invalid("BH-DEVICES", what, fix).at("ResourceSettings"));
    }
    Ok(())
}

fn memory(bytes: Option<u64>, host: &HostFacts) -> Result<(), Problem> {
    let Some(bytes) = bytes else {
        return Ok(());
    };
    let place = "VirtualQuantity";
    let (least, most) = (host.min_memory_bytes, host.memory_bytes);
    if bytes > most {
        return Err(invalid(
            "BH-MEMORY-TOO-LARGE",
            format!(
                "{} MiB are more than the {} MiB that the host has for systems",
                bytes / MIB,
                most / MIB
            ),
            format!("Ask for at most {} MiB", most / MIB),
        )
        .at(place));
    }
    if bytes < least {
        return Err(invalid(
            "BH-MEMORY-TOO-SMALL",
            format!("{} MiB are too little for a system", bytes / MIB),
            format!("Ask for at least {} MiB", least / MIB),
        )
        .at(place));
    }
    Ok(())
}

fn processor(settings: &ProcessorSettings, host: &HostFacts) -> Result<(), Problem> {
    let topology = settings.topology.map(|topology| topology.count());
    let arranged = match topology {
        None => None,
        Some(count) => {
            let count = count.filter(|count| (1..=host.max_processors).contains(count));
            Some(count.ok_or_else(|| {
                invalid(
                    "BH-TOPOLOGY",
                    "Sockets times cores times threads is no number of processors that a system can have",
                    format!("Make it 1 to {}", host.max_processors),
                )
                .at("Sockets")
            })?)
        }
    };
    let (all, property) = match settings.maximum {
        Some(maximum) => (Some(maximum), "MaximumQuantity"),
        None => (settings.count, "VirtualQuantity"),
    };
    if let (Some(arranged), Some(all)) = (arranged, all)
        && arranged != all
    {
        return Err(invalid(
            "BH-TOPOLOGY",
            format!(
                "Sockets, cores and threads make {arranged} processors, and {property} is {all}"
            ),
            "Make them equal, or leave one of them out",
        )
        .at("Sockets"));
    }
    let count = settings.count.or(arranged).unwrap_or(1);
    maximum(settings.maximum.unwrap_or(count), count, host)?;
    let full = u64::from(count).saturating_mul(100);
    match settings.mapping {
        Some(Mapping::Dedicated) => return dedicated(settings, count, host),
        Some(Mapping::SoftAffinity | Mapping::HardAffinity) if settings.cpus.is_empty() => {
            let what = "An affinity to no processor means nothing";
            let fix = "Name processors of the host, or give NULL";
            return Err(invalid("BH-MAPPING", what, fix).at("HostResource"));
        }
        _ => {}
    }
    let limit = settings.limit.unwrap_or(full);
    if limit == 0 || limit > full {
        return Err(invalid(
            "BH-LIMIT",
            format!("{limit} percent is no limit for {count} processors"),
            format!("Give 1 to {full} percent, or NULL"),
        )
        .at("Limit"));
    }
    let reservation = settings.reservation.unwrap_or(0);
    let most = limit.min(host.reservable(count));
    if reservation > most {
        return Err(invalid(
            "BH-RESERVATION",
            format!(
                "{reservation} percent are more than the limit or than {} percent of a processor for each",
                host.reservable_percent
            ),
            format!("Give 0 to {most} percent, or NULL"),
        )
        .at("Reservation"));
    }
    Ok(())
}

/// Judges how many virtual CPUs there can be.
fn maximum(maximum: u32, count: u32, host: &HostFacts) -> Result<(), Problem> {
    let most = host.max_processors;
    if maximum > most {
        let what = format!("{maximum} is no number of processors that a system can have");
        let fix = format!("Give {count} to {most}, or NULL");
        return Err(invalid("BH-MAXIMUM", what, fix).at("MaximumQuantity"));
    }
    if count > maximum {
        let what = format!(
            "{count} processors are more than the {maximum} that the system can have while it is on"
        );
        let fix = "Ask for fewer, or give a larger MaximumQuantity in its defined configuration";
        return Err(invalid("BH-MAXIMUM", what, fix).at("VirtualQuantity"));
    }
    Ok(())
}

/// Judges virtual CPUs that own a physical CPU each.
fn dedicated(settings: &ProcessorSettings, count: u32, host: &HostFacts) -> Result<(), Problem> {
    let full = u64::from(count).saturating_mul(100);
    for (given, property) in [
        (settings.reservation, "Reservation"),
        (settings.limit, "Limit"),
    ] {
        if given.is_some_and(|given| given != full) {
            let what = "Dedicated processors are whole ones, neither more nor less";
            let fix = format!("Give {full} percent, or NULL");
            return Err(invalid("BH-DEDICATED", what, fix).at(property));
        }
    }
    let named = settings.cpus.len();
    if named != 0 && u32::try_from(named) != Ok(count) {
        let what = format!("It names {named} processors of the host for {count} virtual ones");
        let fix = "Name as many, or none";
        return Err(invalid("BH-DEDICATED", what, fix).at("HostResource"));
    }
    let free = host.processors.iter();
    let free = free.filter(|known| known.held_by.is_none()).count();
    if u32::try_from(free).is_ok_and(|free| count > free) {
        let what = format!("The host has {free} processors that a system can own");
        let fix = "Ask for fewer, or share them";
        return Err(invalid("BH-DEDICATED", what, fix).at("VirtualQuantity"));
    }
    for number in &settings.cpus {
        if let Some(holder) = host.held_by(*number) {
            let what = format!("The processor {number} runs {holder}, and no system can own it");
            let fix = "Name another one";
            return Err(invalid("BH-DEDICATED", what, fix).at("HostResource"));
        }
    }
    Ok(())
}
