//! Lists of elements: of a class, and of a system.

use crate::element::{self, Configuration, Element, Limit};
use crate::metric::{Measured, Metric};
use alloc::vec::Vec;
use cim_domain::{
    Definition, DeviceKind, Domain, NodeMemory, PoolId, PoolKind, Resource, System, SystemId,
};
use cim_model::ClassName;

/// The pools that the machine has by itself.
pub(crate) const PRIMORDIAL: [PoolId; 2] = [
    PoolId::Primordial(PoolKind::Processor),
    PoolId::Primordial(PoolKind::Memory),
];

/// Every pool.
pub(crate) fn pools(domain: &Domain) -> impl Iterator<Item = PoolId> + use<> {
    domain.pools().into_iter().map(|pool| pool.id)
}

/// The pools that clients have made.
pub(crate) fn child_pools(domain: &Domain) -> impl Iterator<Item = PoolId> + use<> {
    pools(domain).filter(|id| matches!(id, PoolId::Child(..)))
}

/// The pool that a pool is a part of.
pub(crate) fn parent(domain: &Domain, id: PoolId) -> Option<PoolId> {
    domain.ledger().pool(id)?.parent
}

/// The classes that the one provider serves.
pub(crate) const CLASSES: [&str; 36] = [
    element::SYSTEM,
    element::SERVICE,
    element::SERVICE_CAPABILITIES,
    element::SYSTEM_CAPABILITIES,
    element::SETTINGS,
    element::ALLOCATION,
    element::PROCESSOR_ALLOCATION,
    element::ALLOCATION_CAPABILITIES,
    element::POOL,
    element::PROCESSOR,
    element::MEMORY,
    element::SERIAL_PORT,
    element::PCI_DEVICE,
    element::JOB,
    element::CONSOLE_SERVICE,
    element::CONSOLE,
    element::CONSOLE_PORT,
    element::IMAGE_LIBRARY,
    element::IMAGE,
    element::BOOT_SERVICE,
    element::BOOT_CAPABILITIES,
    element::BOOT_CONFIG,
    element::BOOT_SOURCE,
    element::DISK_ALLOCATION,
    element::NETWORK_CARD_ALLOCATION,
    element::METRIC_SERVICE,
    element::METRIC_CAPABILITIES,
    element::METRIC_DEFINITION,
    element::METRIC_VALUE,
    element::SNAPSHOT_SERVICE,
    element::SNAPSHOT_SERVICE_CAPABILITIES,
    element::SNAPSHOT_CAPABILITIES,
    element::POWER_SERVICE,
    element::POWER_CAPABILITIES,
    element::POOL_SERVICE,
    element::POOL_SERVICE_CAPABILITIES,
];

/// The elements of a class.
pub(crate) fn of_class(domain: &Domain, class: &ClassName) -> Vec<Element> {
    let each = |make: fn(&System) -> Vec<Element>| domain.systems().flat_map(make);
    let all: Vec<Element> = match class.as_str() {
        element::SYSTEM => {
            let systems = domain.systems().map(|system| Element::System(system.id));
            core::iter::once(Element::Host).chain(systems).collect()
        }
        element::SERVICE => Vec::from([Element::Service]),
        element::SERVICE_CAPABILITIES => Vec::from([Element::ServiceCapabilities]),
        element::SYSTEM_CAPABILITIES => {
            let systems = each(|system| Vec::from([Element::SystemCapabilities(system.id)]));
            core::iter::once(Element::HostCapabilities)
                .chain(systems)
                .collect()
        }
        element::SETTINGS => {
            let of = |system: &System| {
                let both = Configuration::ALL.into_iter();
                both.map(|configuration| Element::Settings(system.id, configuration))
                    .collect()
            };
            each(of).collect()
        }
        element::ALLOCATION | element::PROCESSOR_ALLOCATION => {
            let limits = pools(domain).flat_map(limits).chain(device_limits());
            let limits = limits.chain(mutabilities(domain).flat_map(mutability_limits));
            let of_pools = child_pools(domain).map(Element::PoolAllocation);
            each(allocations).chain(limits).chain(of_pools).collect()
        }
        element::DISK_ALLOCATION | element::NETWORK_CARD_ALLOCATION => device_limits().collect(),
        element::ALLOCATION_CAPABILITIES => {
            let pools = pools(domain);
            let devices = DeviceKind::ALL.map(Element::DeviceCapabilities);
            let systems = mutabilities(domain).map(|(id, kind)| Element::Mutability(id, kind));
            let pools = pools.map(Element::AllocationCapabilities);
            pools.chain(devices).chain(systems).collect()
        }
        element::POOL => {
            let devices = DeviceKind::ALL.map(Element::DevicePool);
            pools(domain).map(Element::Pool).chain(devices).collect()
        }
        element::PROCESSOR | element::MEMORY | element::SERIAL_PORT | element::PCI_DEVICE => {
            let devices = each(devices);
            host_devices(domain).into_iter().chain(devices).collect()
        }
        element::JOB => domain.jobs().map(|job| Element::Job(job.id)).collect(),
        element::CONSOLE_SERVICE => Vec::from([Element::ConsoleService]),
        element::CONSOLE => each(|system| Vec::from([Element::Console(system.id)])).collect(),
        element::CONSOLE_PORT => console_ports(domain),
        element::IMAGE_LIBRARY => Vec::from([Element::ImageLibrary]),
        element::IMAGE => images(domain),
        element::BOOT_SERVICE => Vec::from([Element::BootService]),
        element::BOOT_CAPABILITIES => Vec::from([Element::BootCapabilities]),
        element::BOOT_CONFIG => of_configurations(domain, Element::BootConfig),
        element::BOOT_SOURCE => of_configurations(domain, Element::BootSource),
        element::METRIC_SERVICE => Vec::from([Element::MetricService]),
        element::METRIC_CAPABILITIES => Vec::from([Element::MetricCapabilities]),
        element::METRIC_DEFINITION => Metric::ALL.map(Element::MetricDefinition).to_vec(),
        element::METRIC_VALUE => metric_values(domain),
        element::SNAPSHOT_SERVICE => Vec::from([Element::SnapshotService]),
        element::SNAPSHOT_SERVICE_CAPABILITIES => Vec::from([Element::SnapshotServiceCapabilities]),
        element::SNAPSHOT_CAPABILITIES => {
            each(|system| Vec::from([Element::SnapshotCapabilities(system.id)])).collect()
        }
        element::POWER_SERVICE => Vec::from([Element::PowerService]),
        element::POWER_CAPABILITIES => Vec::from([Element::PowerCapabilities]),
        element::POOL_SERVICE => Vec::from([Element::PoolService]),
        element::POOL_SERVICE_CAPABILITIES => Vec::from([Element::PoolServiceCapabilities]),
        _ => Vec::new(),
    };
    let fits = |element: &Element| element.class(domain).is_some_and(|own| own == *class);
    all.into_iter().filter(fits).collect()
}

/// What something can be measured on: the host, systems, and the virtual CPUs of those that are on.
pub(crate) fn measurable(domain: &Domain) -> Vec<Measured> {
    let of = |system: &System| {
        let devices = devices(system).into_iter();
        let devices = devices.filter_map(|device| Measured::of(&device));
        core::iter::once(Measured::System(system.id))
            .chain(devices)
            .collect::<Vec<_>>()
    };
    let systems = domain.systems().flat_map(of);
    core::iter::once(Measured::Host).chain(systems).collect()
}

/// What was measured on one of them.
pub(crate) fn values_of(domain: &Domain, owner: Measured) -> Vec<Element> {
    let values = owner.metrics().iter();
    let values = values.map(|metric| Element::MetricValue(owner, *metric));
    let there = |value: &Element| value.class(domain).is_some();
    values.filter(there).collect()
}

fn metric_values(domain: &Domain) -> Vec<Element> {
    let owners = measurable(domain).into_iter();
    owners.flat_map(|owner| values_of(domain, owner)).collect()
}

/// What there is one of in each configuration of each system.
pub(crate) fn of_configurations(
    domain: &Domain,
    make: fn(SystemId, Configuration) -> Element,
) -> Vec<Element> {
    let both = |system: &System| {
        let id = system.id;
        Configuration::ALL.map(|configuration| make(id, configuration))
    };
    let there = |element: &Element| element.class(domain).is_some();
    domain.systems().flat_map(both).filter(there).collect()
}

/// The ports of the consoles that have one.
pub(crate) fn console_ports(domain: &Domain) -> Vec<Element> {
    let systems = domain.systems().map(|system| system.id);
    let with_port = systems.filter(|id| domain.console_port(*id).is_some());
    with_port.map(Element::ConsolePort).collect()
}

/// The images.
pub(crate) fn images(domain: &Domain) -> Vec<Element> {
    let images = domain.images().into_iter();
    images.map(|image| Element::Image(image.name)).collect()
}

/// What of each system can be changed.
pub(crate) fn mutabilities(domain: &Domain) -> impl Iterator<Item = (SystemId, PoolKind)> {
    let kinds = |system: &System| {
        let id = system.id;
        PoolKind::ALL.map(|kind| (id, kind))
    };
    domain.systems().flat_map(kinds)
}

/// The bounds of that.
pub(crate) fn mutability_limits((id, kind): (SystemId, PoolKind)) -> [Element; 4] {
    Limit::ALL.map(|limit| Element::MutabilityLimit(id, kind, limit))
}

/// The bounds of the pools of devices.
fn device_limits() -> impl Iterator<Item = Element> {
    let limits = |kind| Limit::ALL.map(|limit| Element::DeviceLimit(kind, limit));
    DeviceKind::ALL.into_iter().flat_map(limits)
}

/// The bounds of a pool.
pub(crate) fn limits(id: PoolId) -> impl Iterator<Item = Element> {
    let limits = Limit::ALL.into_iter();
    limits.map(move |limit| Element::AllocationLimit(id, limit))
}

/// The allocations in both configurations of a system.
pub(crate) fn allocations(system: &System) -> Vec<Element> {
    let both = Configuration::ALL.into_iter();
    both.flat_map(|configuration| allocations_in(system, configuration))
        .collect()
}

/// The allocations in one configuration of a system.
pub(crate) fn allocations_in(system: &System, configuration: Configuration) -> Vec<Element> {
    let definition: Option<&Definition> = match configuration {
        Configuration::Defined => Some(&system.defined),
        Configuration::State => system.active.as_ref(),
    };
    let allocations = definition.into_iter().flat_map(|known| &known.allocations);
    allocations
        .map(|allocation| Element::Allocation(system.id, configuration, allocation.id))
        .collect()
}

/// The devices of the host.
pub(crate) fn host_devices(domain: &Domain) -> Vec<Element> {
    let processors = domain.host().processors.iter();
    let processors = processors.map(|processor| Element::HostProcessor(processor.number));
    let nodes = memory_of(&domain.host().nodes);
    processors.chain(nodes).collect()
}

/// The memory of the host by the NUMA nodes that some of this is on.
pub(crate) fn memory_of(memory: &NodeMemory) -> impl Iterator<Item = Element> {
    let nodes = memory.used_nodes();
    nodes.filter_map(|node| Some(Element::HostMemory(u32::try_from(node).ok()?)))
}

/// The devices of a system; none while it is off.
pub(crate) fn devices(system: &System) -> Vec<Element> {
    let Some(active) = &system.active else {
        return Vec::new();
    };
    let mut devices = Vec::new();
    for allocation in &active.allocations {
        match &allocation.resource {
            Resource::Processor(settings) => {
                let numbers = 0..settings.count.unwrap_or(1);
                devices.extend(numbers.map(|number| Element::Processor(system.id, number)));
            }
            Resource::Memory(_) => devices.push(Element::Memory(system.id)),
            Resource::Console(_) | Resource::Entropy => {
                devices.push(Element::Device(system.id, allocation.id));
            }
        }
    }
    devices
}

/// The allocation in the state configuration behind a device.
pub(crate) fn allocation_behind(domain: &Domain, device: &Element) -> Option<Element> {
    let wanted = |system, is: fn(&Resource) -> bool| {
        let active = domain.system(system)?.active.as_ref()?;
        let allocation = active
            .allocations
            .iter()
            .find(|known| is(&known.resource))?;
        Some(Element::Allocation(
            system,
            Configuration::State,
            allocation.id,
        ))
    };
    match device {
        Element::Processor(system, _) => wanted(*system, |resource| {
            matches!(resource, Resource::Processor(_))
        }),
        Element::Memory(system) => {
            wanted(*system, |resource| matches!(resource, Resource::Memory(_)))
        }
        Element::Device(system, id) => {
            Some(Element::Allocation(*system, Configuration::State, *id))
        }
        _ => None,
    }
}

/// The pool that an allocation or a device of a system, or a child pool or its allocation, comes from.
pub(crate) fn pool_behind(domain: &Domain, element: &Element) -> Option<PoolId> {
    match element {
        Element::Allocation(system, Configuration::State, id) => {
            let active = domain.system(*system)?.active.as_ref()?;
            let allocation = active.allocation(*id)?;
            let kind = PoolKind::of(allocation.resource.kind())?;
            let named = allocation.pool.as_deref();
            let named = named.and_then(|text| domain.ledger().find(text));
            Some(named.unwrap_or(PoolId::Primordial(kind)))
        }
        Element::Processor(..) | Element::Memory(_) => {
            pool_behind(domain, &allocation_behind(domain, element)?)
        }
        Element::Pool(id) | Element::PoolAllocation(id) => parent(domain, *id),
        _ => None,
    }
}

/// The host's devices that a pool is made of.
pub(crate) fn pool_components(domain: &Domain, id: PoolId) -> Vec<Element> {
    let Some(pool) = domain.ledger().pool(id) else {
        return Vec::new();
    };
    match id.kind() {
        PoolKind::Processor => pool
            .processors
            .into_iter()
            .map(Element::HostProcessor)
            .collect(),
        PoolKind::Memory => memory_of(&pool.memory).collect(),
    }
}
