//! Lists of elements: of a class, and of a system.

use crate::element::{self, Configuration, Element, Limit};
use alloc::vec::Vec;
use cim_domain::{Definition, Domain, PoolKind, Resource, System};
use cim_model::ClassName;

/// The pools.
pub(crate) const POOLS: [PoolKind; 2] = [PoolKind::Processor, PoolKind::Memory];

/// The classes that the one provider serves.
pub(crate) const CLASSES: [&str; 21] = [
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
    element::POWER_SERVICE,
    element::POWER_CAPABILITIES,
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
            each(|system| Vec::from([Element::SystemCapabilities(system.id)])).collect()
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
            let limits = POOLS.into_iter().flat_map(limits);
            each(allocations).chain(limits).collect()
        }
        element::ALLOCATION_CAPABILITIES => {
            let pools = POOLS.into_iter();
            pools.map(Element::AllocationCapabilities).collect()
        }
        element::POOL => POOLS.into_iter().map(Element::Pool).collect(),
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
        element::POWER_SERVICE => Vec::from([Element::PowerService]),
        element::POWER_CAPABILITIES => Vec::from([Element::PowerCapabilities]),
        _ => Vec::new(),
    };
    let fits = |element: &Element| element.class(domain).is_some_and(|own| own == *class);
    all.into_iter().filter(fits).collect()
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

/// The bounds of a pool.
pub(crate) fn limits(kind: PoolKind) -> impl Iterator<Item = Element> {
    let limits = Limit::ALL.into_iter();
    limits.map(move |limit| Element::AllocationLimit(kind, limit))
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
    processors
        .chain(core::iter::once(Element::HostMemory))
        .collect()
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

/// The pool that an allocation or a device of a system comes from.
pub(crate) fn pool_behind(domain: &Domain, element: &Element) -> Option<PoolKind> {
    match element {
        Element::Allocation(system, configuration, id) => {
            let resource = element::resource(domain, *system, *configuration, *id)?;
            PoolKind::of(resource.kind())
        }
        Element::Processor(..) | Element::HostProcessor(_) => Some(PoolKind::Processor),
        Element::Memory(_) | Element::HostMemory => Some(PoolKind::Memory),
        _ => None,
    }
}
