//! From the host's devices to what depends on them: virtual devices and systems.

use super::walks::one;
use super::{Near, Shape};
use crate::element::Element;
use crate::elements;
use alloc::vec::Vec;
use cim_domain::{Domain, SystemId};

/// The association classes.
pub(super) static SHAPES: [Shape; 2] = [
    // A virtual device with the one device of the host behind it, where there is one and it stays.
    Shape {
        class: "CIM_HostedDependency",
        ends: [
            ("Antecedent", "CIM_LogicalDevice"),
            ("Dependent", "CIM_LogicalDevice"),
        ],
        forward: |domain, from| {
            let devices = domain.systems().flat_map(elements::devices);
            let hosted = |device: &Element| host_of(domain, device).as_ref() == Some(from);
            devices.filter(hosted).map(Near::from).collect()
        },
        backward: |domain, from| {
            let host = host_of(domain, from);
            host.map(one).unwrap_or_default()
        },
        sources: elements::host_devices,
    },
    // Everything that would be affected.
    Shape {
        class: "CIM_ConcreteDependency",
        ends: [
            ("Antecedent", "CIM_LogicalDevice"),
            ("Dependent", "CIM_EnabledLogicalElement"),
        ],
        forward: |domain, from| {
            let on = domain.systems().filter(|system| system.active.is_some());
            let affected = on.filter(|system| behind(domain, system.id).contains(from));
            let with_devices = affected.flat_map(|system| {
                let devices = elements::devices(system).into_iter();
                let kind = devices.filter(|device| is_run_by(device, from));
                core::iter::once(Element::System(system.id)).chain(kind)
            });
            with_devices.map(Near::from).collect()
        },
        backward: |domain, from| {
            let (system, devices) = match from {
                Element::System(id) => (*id, None),
                Element::Processor(id, _) | Element::Memory(id) => (*id, Some(from)),
                _ => return Vec::new(),
            };
            let hosts = behind(domain, system).into_iter();
            hosts
                .filter(|host| devices.is_none_or(|device| is_run_by(device, host)))
                .map(Near::from)
                .collect()
        },
        sources: elements::host_devices,
    },
];

/// The host's devices that a system which is on depends on.
fn behind(domain: &Domain, system: SystemId) -> Vec<Element> {
    let on = domain.system(system);
    if on.is_none_or(|system| system.active.is_none()) {
        return Vec::new();
    }
    let processors = domain.ledger().runs_on(system).into_iter();
    processors
        .map(Element::HostProcessor)
        .chain(elements::memory_of(&domain.ledger().memory_of(system)))
        .collect()
}

/// Whether a device of a system is of the kind that this device of the host can stand behind.
fn is_run_by(device: &Element, host: &Element) -> bool {
    matches!(
        (device, host),
        (Element::Processor(..), Element::HostProcessor(_))
            | (Element::Memory(_), Element::HostMemory(_))
    )
}

/// The one device of the host behind a virtual one, which does not change while the system is on.
fn host_of(domain: &Domain, device: &Element) -> Option<Element> {
    match device {
        Element::Memory(system) => {
            let memory = domain.ledger().memory_of(*system);
            let mut nodes = elements::memory_of(&memory);
            let first = nodes.next();
            first.filter(|_| nodes.next().is_none())
        }
        Element::Processor(system, number) => {
            let ledger = domain.ledger();
            let runs_on = ledger.runs_on(*system);
            let place = match runs_on.len() {
                1 => 0,
                // One for each, in the order of their numbers.
                _ if ledger.owns_processors(*system) => usize::try_from(*number).ok()?,
                _ => return None,
            };
            runs_on.into_iter().nth(place).map(Element::HostProcessor)
        }
        _ => None,
    }
}
