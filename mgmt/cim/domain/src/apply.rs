//! Carrying out what a client says: changes onto definitions and allocations, with every value checked by itself.

use crate::allocation::{
    Allocation, ConsoleKind, ConsoleSettings, Mapping, MemorySettings, ProcessorSettings, Resource,
    ResourceKind, Topology,
};
use crate::change::{AllocationChange, DefinitionChange, HostDevice};
use crate::check;
use crate::definition::{Definition, VIRTUAL_SYSTEM_TYPE};
use crate::device_kind::DeviceKind;
use crate::host::HostFacts;
use crate::id::AllocationId;
use crate::ledger::Ledger;
use crate::patch::Patch;
use crate::pool::{PoolKind, PoolShare};
use crate::problem::{Problem, ProblemKind};
use crate::units::{Dimension, Unit};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Bytes of the smallest piece of memory.
pub(crate) const MIB: u64 = 1 << 20;
/// What systems get memory in: a large page, so that all of it is mapped by large ones.
pub const MEMORY_INCREMENT: u64 = 2 << 20;

fn invalid(id: &'static str, what: impl Into<String>, fix: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::Invalid, id, what, fix)
}

/// Carries a change out on a definition; [`check`](crate::check) judges the outcome.
pub(crate) fn define(change: DefinitionChange, to: &mut Definition) -> Result<(), Problem> {
    match change.name {
        Patch::Keep => {}
        Patch::Clear => {
            let fix = "Give a name, or leave the property out";
            return Err(invalid("BH-NAME", "A system has a name", fix).at("ElementName"));
        }
        Patch::Set(name) => to.name = name,
    }
    if let Some(uuid) = change.uuid.given()
        && *uuid != to.uuid
    {
        let what = format!("The UUID of the system is {} and cannot change", to.uuid);
        return Err(invalid("BH-UUID-FIXED", what, "Leave the property out").at("UUID"));
    }
    if let Some(given) = change.system_type.given()
        && given != VIRTUAL_SYSTEM_TYPE
    {
        let what = format!("There is no virtual system type \"{given}\"");
        let fix = format!("Give \"{VIRTUAL_SYSTEM_TYPE}\" or NULL");
        return Err(invalid("BH-TYPE", what, fix).at("VirtualSystemType"));
    }
    let own = format!("{}", to.uuid);
    match change.identifier {
        // What the host shows where the choice was left to it.
        Patch::Set(text) if text.eq_ignore_ascii_case(&own) => to.identifier = None,
        other => other.apply(&mut to.identifier),
    }
    change.system_type.apply(&mut to.system_type);
    change.description.apply(&mut to.description);
    change.notes.apply(&mut to.notes);
    change.startup.apply(&mut to.startup.action);
    change.startup_delay.apply(&mut to.startup.delay);
    change.startup_sequence.apply(&mut to.startup.sequence);
    change.shutdown.apply(&mut to.shutdown);
    change.recovery.apply(&mut to.recovery);
    change.kernel.apply(&mut to.boot.kernel);
    change.initrd.apply(&mut to.boot.initrd);
    change.command_line.apply(&mut to.boot.command_line);
    change.format.apply(&mut to.boot.format);
    match change.modules {
        Patch::Keep => {}
        Patch::Clear => to.boot.modules.clear(),
        Patch::Set(modules) => to.boot.modules = modules,
    }
    change.load_address.apply(&mut to.boot.load_address);
    change.entry_address.apply(&mut to.boot.entry_address);
    Ok(())
}

/// A new allocation.
pub(crate) fn allocate(
    change: AllocationChange,
    id: AllocationId,
    host: &HostFacts,
    pools: &Ledger,
) -> Result<Allocation, Problem> {
    let resource = match change.kind {
        Some(ResourceKind::Processor) => Resource::Processor(ProcessorSettings::default()),
        Some(ResourceKind::Memory) => Resource::Memory(MemorySettings::default()),
        Some(ResourceKind::Console) => Resource::Console(ConsoleSettings {
            kind: change.console.unwrap_or(ConsoleKind::Serial),
        }),
        Some(ResourceKind::Entropy) => Resource::Entropy,
        None => {
            let what = "It does not say which kind of resource it is";
            let fix = "Give 3 (Processor), 4 (Memory), 13 (I/O Device) or 21 (Serial port)";
            return Err(invalid("BH-KIND", what, fix).at("ResourceType"));
        }
    };
    let mut allocation = Allocation {
        id,
        name: None,
        pool: None,
        resource,
    };
    alter(change, &mut allocation, host, pools)?;
    Ok(allocation)
}

/// Carries a change out on an allocation.
pub(crate) fn alter(
    change: AllocationChange,
    to: &mut Allocation,
    host: &HostFacts,
    pools: &Ledger,
) -> Result<(), Problem> {
    let kind = to.resource.kind();
    let console = match &to.resource {
        Resource::Console(settings) => Some(settings.kind),
        _ => None,
    };
    if change.kind.is_some_and(|given| given != kind)
        || change.console.is_some_and(|given| console != Some(given))
    {
        let what = "The kind of a resource cannot change";
        let fix = "Remove it and add another";
        return Err(invalid("BH-KIND-FIXED", what, fix).at("ResourceType"));
    }
    if let Some(pool) = change.pool.given() {
        check_pool(pool, &to.resource, pools)?;
    }
    match &mut to.resource {
        Resource::Processor(settings) => processor(&change, settings, host)?,
        Resource::Memory(settings) => {
            refuse_mapping(&change)?;
            memory(&change, settings)?;
            match change.host {
                Patch::Keep => {}
                Patch::Clear | Patch::Set(_) => settings.node = node(&change, host)?,
            }
        }
        Resource::Console(_) | Resource::Entropy => {
            refuse_mapping(&change)?;
            if change.host.given().is_some() {
                let what = "This kind of resource is nowhere in particular";
                let fix = "Leave the property out";
                return Err(invalid("BH-HOST-RESOURCE", what, fix).at("HostResource"));
            }
            single(&change)?;
        }
    }
    change.name.apply(&mut to.name);
    change.pool.apply(&mut to.pool);
    // Here the place in the request is still known, which makes better sentences.
    check::check_resource(&to.resource, host)
}

/// Only processors can be mapped.
fn refuse_mapping(change: &AllocationChange) -> Result<(), Problem> {
    if change.mapping.given().is_some() {
        let what = "Only processors are mapped to what the host has";
        let fix = "Leave the property out";
        return Err(invalid("BH-MAPPING", what, fix).at("MappingBehavior"));
    }
    Ok(())
}

/// The NUMA node whose memory HostResource names; `None` where it names nothing.
fn node(change: &AllocationChange, host: &HostFacts) -> Result<Option<u32>, Problem> {
    let wrong = |what: &str| {
        let fix = "Name the one CIM_Memory of the host that all of it is to come from, or none";
        Err(invalid("BH-HOST-RESOURCE", what, fix).at("HostResource"))
    };
    match change.host.given().map(Vec::as_slice) {
        None | Some([]) => Ok(None),
        Some([HostDevice::Memory(node)]) => {
            let index = usize::try_from(*node).unwrap_or(usize::MAX);
            match host.nodes.on(index) {
                0 => wrong("The host has no memory there"),
                _ => Ok(Some(*node)),
            }
        }
        Some([HostDevice::Processor(_)]) => wrong("A processor has no memory"),
        Some(_) => wrong("It names several devices of the host"),
    }
}

fn check_pool(pool: &str, resource: &Resource, pools: &Ledger) -> Result<(), Problem> {
    if let Some(device) = DeviceKind::of(resource) {
        if device.pool() == pool {
            return Ok(());
        }
        let what = format!("There is no pool \"{pool}\" of this kind of resource");
        let fix = format!("Give \"{}\", or NULL", device.pool());
        return Err(invalid("BH-POOL", what, fix).at("PoolID"));
    }
    let Some(kind) = PoolKind::of(resource.kind()) else {
        return Ok(());
    };
    if pools.find(pool).is_some_and(|found| found.kind() == kind) {
        return Ok(());
    }
    Err(invalid(
        "BH-POOL",
        format!("There is no pool \"{pool}\" of this kind of resource"),
        format!(
            "Give \"{}\", the PoolID of one of its child pools, or NULL",
            kind.primordial()
        ),
    )
    .at("PoolID"))
}

/// What a child pool is to hold, of what a client says about an allocation from its parent.
pub(crate) fn pool_share(
    change: AllocationChange,
    kind: PoolKind,
    host: &HostFacts,
) -> Result<PoolShare, Problem> {
    let missing = || {
        let what = "It does not say how much the pool is to have";
        invalid("BH-POOL-SIZE", what, "Give VirtualQuantity").at("VirtualQuantity")
    };
    match kind {
        PoolKind::Memory => {
            let mut settings = MemorySettings::default();
            let mut change = change;
            if change.quantity.given().is_none() {
                change.quantity = core::mem::take(&mut change.reservation);
            }
            memory(&change, &mut settings)?;
            let bytes = settings.bytes.ok_or_else(missing)?;
            let node = node(&change, host)?;
            Ok(PoolShare::Memory { bytes, node })
        }
        PoolKind::Processor => {
            let scale = change.allocation_units.given();
            let percent = |given: &Patch<u64>, property| {
                let given = given.given();
                given
                    .map(|amount| share(*amount, scale, property, host))
                    .transpose()
            };
            let uneven = |what: String, property| {
                let fix = "Give whole processors, 100 percent for each";
                invalid("BH-POOL-SIZE", what, fix).at(property)
            };
            let mut counts = Vec::new();
            if let Some(count) = change.quantity.given() {
                counts.push(*count);
            }
            for (given, property) in [
                (percent(&change.reservation, "Reservation")?, "Reservation"),
                (percent(&change.limit, "Limit")?, "Limit"),
            ] {
                match given {
                    Some(percent) if percent % 100 == 0 => counts.push(percent / 100),
                    Some(percent) => {
                        let what = format!("{percent} percent are no whole number of processors");
                        return Err(uneven(what, property));
                    }
                    None => {}
                }
            }
            let first = *counts.first().ok_or_else(missing)?;
            if counts.iter().any(|count| *count != first) {
                let what = String::from(
                    "Quantity, reservation and limit of a pool are the same processors",
                );
                return Err(uneven(what, "Reservation"));
            }
            match u32::try_from(first) {
                Ok(count) if count > 0 => Ok(PoolShare::ProcessorCount(count)),
                _ => Err(uneven(
                    format!("{first} is no number of processors for a pool"),
                    "VirtualQuantity",
                )),
            }
        }
    }
}

/// The unit that a client gave for a property, which must be of one of these dimensions.
fn unit(
    text: &str,
    property: &'static str,
    allowed: &[Dimension],
    example: &str,
) -> Result<Unit, Problem> {
    let fix = || format!("Give {example}");
    let unit = Unit::parse(text)
        .map_err(|error| invalid("BH-UNIT", format!("{error}"), fix()).at(property))?;
    if !allowed.contains(&unit.dimension()) {
        let what = format!("\"{text}\" does not measure this kind of resource");
        return Err(invalid("BH-UNIT", what, fix()).at(property));
    }
    Ok(unit)
}

fn memory(change: &AllocationChange, to: &mut MemorySettings) -> Result<(), Problem> {
    const EXAMPLE: &str = "\"byte*2^20\"";
    let read = |text: &String, property| unit(text, property, &[Dimension::Byte], EXAMPLE);
    // "count" is the schema's default, which clients send without meaning it; older ones put the unit of the quantity
    // into AllocationUnits.
    let quantity_units = change.quantity_units.given();
    let meant = quantity_units.filter(|text| !text.trim().eq_ignore_ascii_case("count"));
    let own = meant
        .map(|text| read(text, "VirtualQuantityUnits"))
        .transpose()?;
    let shared = change.allocation_units.given();
    let shared = shared
        .map(|text| read(text, "AllocationUnits"))
        .transpose()?;
    let mebibytes = Unit::parse("byte*2^20").ok();
    let bytes = |amount: u64, unit: Option<Unit>, property| {
        let bytes = unit.or(mebibytes).and_then(|unit| unit.to_base(amount));
        let whole = bytes.filter(|bytes| bytes % MEMORY_INCREMENT == 0 && *bytes > 0);
        whole.ok_or_else(|| match bytes {
            Some(bytes) => {
                let step = MEMORY_INCREMENT / MIB;
                let below = bytes / MEMORY_INCREMENT * step;
                let fix = format!(
                    "Give {} or {} in units of \"byte*2^20\"",
                    below.max(step),
                    below.max(step).saturating_add(step)
                );
                let what = format!("{bytes} bytes are not a multiple of {step} MiB above 0");
                invalid("BH-MEMORY-UNEVEN", what, fix).at(property)
            }
            None => invalid(
                "BH-MEMORY-TOO-LARGE",
                format!("{amount} of this unit are no number of bytes that fits"),
                "Give a smaller number",
            )
            .at(property),
        })
    };
    match change.quantity {
        Patch::Keep => {}
        Patch::Clear => to.bytes = None,
        Patch::Set(amount) => to.bytes = Some(bytes(amount, own.or(shared), "VirtualQuantity")?),
    }
    for (given, property) in [
        (&change.reservation, "Reservation"),
        (&change.limit, "Limit"),
    ] {
        let Some(amount) = given.given() else {
            continue;
        };
        let given = bytes(*amount, shared.or(own), property)?;
        if to.bytes != Some(given) {
            return Err(invalid(
                "BH-MEMORY-WHOLE",
                "A system has all of its memory or none, so this can only be the same amount as VirtualQuantity",
                "Give that amount, or NULL",
            )
            .at(property));
        }
    }
    refuse_weight(change)?;
    refuse_topology(change)
}

fn processor(
    change: &AllocationChange,
    to: &mut ProcessorSettings,
    host: &HostFacts,
) -> Result<(), Problem> {
    if let Some(text) = change.quantity_units.given() {
        let counted = unit(
            text,
            "VirtualQuantityUnits",
            &[Dimension::Count],
            "\"count\"",
        )?;
        if counted.to_base(1) != Some(1) {
            let what = "Processors are counted one by one";
            return Err(invalid("BH-UNIT", what, "Give \"count\"").at("VirtualQuantityUnits"));
        }
    }
    let too_many = |count: &dyn core::fmt::Display| {
        let what = format!("{count} is no number of processors that a system can have");
        let fix = format!("Give 1 to {}", host.max_processors);
        invalid("BH-PROCESSOR-COUNT", what, fix).at("VirtualQuantity")
    };
    let former = to.count;
    change
        .quantity
        .clone()
        .try_map(|count| {
            u32::try_from(count)
                .ok()
                .filter(|count| (1..=host.max_processors).contains(count))
                .ok_or_else(|| too_many(&count))
        })?
        .apply(&mut to.count);
    change.maximum.clone().apply(&mut to.maximum);
    let scale = change.allocation_units.given();
    let share = |amount: u64, property| share(amount, scale, property, host);
    change
        .reservation
        .clone()
        .try_map(|amount| share(amount, "Reservation"))?
        .apply(&mut to.reservation);
    change
        .limit
        .clone()
        .try_map(|amount| share(amount, "Limit"))?
        .apply(&mut to.limit);
    if to.count != former {
        follow_count(change, former, to);
    }
    change
        .weight
        .clone()
        .try_map(|weight| {
            let fits = (1..=10_000).contains(&weight);
            fits.then_some(weight).ok_or_else(|| {
                let what = format!("{weight} is no weight");
                invalid("BH-WEIGHT", what, "Give 1 to 10000; 100 is customary").at("Weight")
            })
        })?
        .apply(&mut to.weight);
    topology(change, to)?;
    change.mapping.clone().apply(&mut to.mapping);
    match &change.host {
        Patch::Keep => {}
        Patch::Clear => to.cpus.clear(),
        Patch::Set(devices) => to.cpus = cpus(devices, host)?,
    }
    Ok(())
}

/// What was all of so many processors is all of another number as well, also where a client gives back what it has read.
fn follow_count(change: &AllocationChange, former: Option<u32>, to: &mut ProcessorSettings) {
    let full = |count: Option<u32>| count.map(|count| u64::from(count).saturating_mul(100));
    let (before, now) = (full(former), full(to.count));
    if to.limit == before && (change.limit.given().is_none() || before > now) {
        to.limit = None;
    }
    if to.reservation == before && to.mapping == Some(Mapping::Dedicated) {
        to.reservation = None;
    }
}

/// The physical CPUs that HostResource names, in ascending order.
fn cpus(devices: &[HostDevice], host: &HostFacts) -> Result<Vec<u32>, Problem> {
    let wrong = |what: String| {
        let fix = "Name each processor of the host at most once";
        Err(invalid("BH-HOST-RESOURCE", what, fix).at("HostResource"))
    };
    let mut numbers = Vec::new();
    for device in devices {
        let known = |number: &u32| host.processors.iter().any(|known| known.number == *number);
        match device {
            HostDevice::Processor(number) if known(number) => numbers.push(*number),
            HostDevice::Processor(number) => {
                return wrong(format!("The host has no processor {number}"));
            }
            HostDevice::Memory(_) => return wrong("Memory runs no processor".into()),
        }
    }
    numbers.sort_unstable();
    if numbers.windows(2).any(|pair| pair.first() == pair.last()) {
        return wrong("It names a processor twice".into());
    }
    Ok(numbers)
}

/// A reservation or limit in percent of one CPU.
fn share(
    amount: u64,
    scale: Option<&String>,
    property: &'static str,
    host: &HostFacts,
) -> Result<u64, Problem> {
    const KNOWN: [Dimension; 3] = [Dimension::Percent, Dimension::Count, Dimension::Hertz];
    const EXAMPLE: &str = "\"percent\" (of one processor)";
    let unit = match scale {
        Some(text) => unit(text, "AllocationUnits", &KNOWN, EXAMPLE)?,
        None => return Ok(amount),
    };
    let percent = match unit.dimension() {
        Dimension::Percent => unit.to_base(amount),
        Dimension::Count => unit
            .to_base(amount)
            .and_then(|count| count.checked_mul(100)),
        _ => {
            let clock = host.processors.first().map_or(0, |cpu| cpu.megahertz);
            if clock == 0 {
                let what = "The clock of the processors is not known, so hertz measure nothing";
                return Err(invalid("BH-UNIT", what, "Give \"percent\"").at("AllocationUnits"));
            }
            let one_percent = u64::from(clock).saturating_mul(10_000);
            unit.to_base(amount)
                .map(|hertz| hertz.div_ceil(one_percent))
        }
    };
    percent.ok_or_else(|| {
        let what = format!("{amount} of this unit are no whole percent of a processor");
        invalid("BH-SHARE", what, "Give a whole number of \"percent\"").at(property)
    })
}

fn topology(change: &AllocationChange, to: &mut ProcessorSettings) -> Result<(), Problem> {
    let parts = [&change.sockets, &change.cores, &change.threads];
    if parts.iter().all(|part| matches!(part, Patch::Keep)) {
        return Ok(());
    }
    if parts.iter().all(|part| part.given().is_none()) {
        to.topology = None;
        return Ok(());
    }
    let old = to.topology;
    let part = |part: &Patch<u32>, old: Option<u32>| match part {
        Patch::Set(value) => *value,
        Patch::Keep => old.unwrap_or(1),
        Patch::Clear => 1,
    };
    to.topology = Some(Topology {
        sockets: part(&change.sockets, old.map(|old| old.sockets)),
        cores: part(&change.cores, old.map(|old| old.cores)),
        threads: part(&change.threads, old.map(|old| old.threads)),
    });
    Ok(())
}

/// Consoles and sources of random numbers come one by one.
fn single(change: &AllocationChange) -> Result<(), Problem> {
    if let Some(count) = change.quantity.given()
        && *count != 1
    {
        let what = "Each allocation of this kind is one device";
        return Err(
            invalid("BH-SINGLE", what, "Give 1, or several allocations").at("VirtualQuantity")
        );
    }
    for (given, property) in [
        (&change.reservation, "Reservation"),
        (&change.limit, "Limit"),
    ] {
        if given.given().is_some_and(|amount| *amount > 1) {
            let what = "Each allocation of this kind is one device";
            return Err(invalid("BH-SINGLE", what, "Give 1 or NULL").at(property));
        }
    }
    refuse_weight(change)?;
    refuse_topology(change)
}

fn refuse_weight(change: &AllocationChange) -> Result<(), Problem> {
    match change.weight.given() {
        None | Some(0) => Ok(()),
        Some(_) => Err(invalid(
            "BH-NO-WEIGHT",
            "Only processors have a weight",
            "Leave the property out",
        )
        .at("Weight")),
    }
}

fn refuse_topology(change: &AllocationChange) -> Result<(), Problem> {
    let parts = [
        &change.sockets,
        &change.cores,
        &change.threads,
        &change.maximum,
    ];
    if parts.iter().all(|part| part.given().is_none()) {
        return Ok(());
    }
    Err(invalid(
        "BH-NO-TOPOLOGY",
        "Only processors have sockets, cores, threads and a maximum",
        "Leave the properties out",
    ))
}
