//! How to walk the associations of systems, settings, resources and capabilities.

use super::{Near, Shape};
use crate::element::{Configuration, Element, Limit};
use crate::elements::{self, POOLS};
use alloc::vec::Vec;
use cim_domain::{Domain, PoolKind, System};

/// Characteristics of capabilities: current.
const CURRENT: u16 = 3;
/// ElementEffects of a service on a system: manages.
const MANAGES: u16 = 5;
/// IsDefault, IsCurrent, IsNext.
const IS: u16 = 1;
const IS_NOT: u16 = 2;

/// The association classes.
pub(super) static SHAPES: [Shape; 13] = [
    Shape {
        class: "CIM_HostedDependency",
        ends: [
            ("Antecedent", "CIM_ComputerSystem"),
            ("Dependent", "CIM_ComputerSystem"),
        ],
        forward: |domain, from| match from {
            Element::Host => systems(domain),
            _ => Vec::new(),
        },
        backward: |_, from| match from {
            Element::System(_) => one(Element::Host),
            _ => Vec::new(),
        },
        sources: host,
    },
    Shape {
        class: "CIM_HostedService",
        ends: [
            ("Antecedent", "CIM_ComputerSystem"),
            ("Dependent", "CIM_Service"),
        ],
        forward: |_, from| match from {
            Element::Host => Vec::from(SERVICES.map(Near::from)),
            _ => Vec::new(),
        },
        backward: |_, from| match from {
            Element::Service | Element::ConsoleService | Element::PowerService => {
                one(Element::Host)
            }
            _ => Vec::new(),
        },
        sources: host,
    },
    Shape {
        class: "CIM_ServiceAffectsElement",
        ends: [
            ("AffectingElement", "CIM_Service"),
            ("AffectedElement", "CIM_ComputerSystem"),
        ],
        forward: |domain, from| match from {
            Element::Service | Element::ConsoleService | Element::PowerService => {
                let systems = systems(domain).into_iter();
                let managed = |near: Near| near.with("ElementEffects", alloc::vec![MANAGES]);
                systems.map(managed).collect()
            }
            _ => Vec::new(),
        },
        backward: |_, from| match from {
            Element::System(_) => {
                let managed =
                    |service| Near::from(service).with("ElementEffects", alloc::vec![MANAGES]);
                Vec::from(SERVICES.map(managed))
            }
            _ => Vec::new(),
        },
        sources: |_| SERVICES.to_vec(),
    },
    Shape {
        class: "CIM_ElementCapabilities",
        ends: [
            ("ManagedElement", "CIM_ManagedElement"),
            ("Capabilities", "CIM_Capabilities"),
        ],
        forward: |_, from| {
            let current =
                |element| Near::from(element).with("Characteristics", alloc::vec![CURRENT]);
            let of_pools = POOLS.into_iter().map(Element::AllocationCapabilities);
            match from {
                Element::Host => of_pools
                    .chain([Element::ServiceCapabilities])
                    .map(current)
                    .collect(),
                Element::Service => Vec::from([current(Element::ServiceCapabilities)]),
                Element::PowerService => Vec::from([current(Element::PowerCapabilities)]),
                Element::System(id) => Vec::from([current(Element::SystemCapabilities(*id))]),
                Element::Pool(kind) => Vec::from([current(Element::AllocationCapabilities(*kind))]),
                _ => Vec::new(),
            }
        },
        backward: |_, from| {
            let current =
                |element| Near::from(element).with("Characteristics", alloc::vec![CURRENT]);
            match from {
                Element::ServiceCapabilities => {
                    Vec::from([Element::Host, Element::Service].map(current))
                }
                Element::PowerCapabilities => Vec::from([current(Element::PowerService)]),
                Element::SystemCapabilities(id) => Vec::from([current(Element::System(*id))]),
                Element::AllocationCapabilities(kind) => {
                    Vec::from([Element::Host, Element::Pool(*kind)].map(current))
                }
                _ => Vec::new(),
            }
        },
        sources: |domain| {
            let systems = domain.systems().map(|system| Element::System(system.id));
            let pools = POOLS.into_iter().map(Element::Pool);
            let host = [Element::Host, Element::Service, Element::PowerService].into_iter();
            host.chain(pools).chain(systems).collect()
        },
    },
    Shape {
        class: "CIM_SettingsDefineCapabilities",
        ends: [
            ("GroupComponent", "CIM_AllocationCapabilities"),
            ("PartComponent", "CIM_ResourceAllocationSettingData"),
        ],
        forward: |_, from| match from {
            Element::AllocationCapabilities(kind) => {
                let bounds = Limit::ALL.into_iter();
                bounds
                    .map(|limit| bound(Element::AllocationLimit(*kind, limit), limit))
                    .collect()
            }
            _ => Vec::new(),
        },
        backward: |_, from| match from {
            Element::AllocationLimit(kind, limit) => {
                Vec::from([bound(Element::AllocationCapabilities(*kind), *limit)])
            }
            _ => Vec::new(),
        },
        sources: |_| {
            POOLS
                .into_iter()
                .map(Element::AllocationCapabilities)
                .collect()
        },
    },
    Shape {
        class: "CIM_SettingsDefineState",
        ends: [
            ("ManagedElement", "CIM_ManagedElement"),
            ("SettingData", "CIM_SettingData"),
        ],
        forward: |domain, from| match from {
            Element::System(id) => one(Element::Settings(*id, Configuration::State)),
            device => {
                let allocation = elements::allocation_behind(domain, device);
                allocation.into_iter().map(Near::from).collect()
            }
        },
        backward: |domain, from| match from {
            Element::Settings(id, Configuration::State) => one(Element::System(*id)),
            Element::Allocation(id, Configuration::State, _) => {
                let devices = domain
                    .system(*id)
                    .map(elements::devices)
                    .unwrap_or_default();
                let devices = devices.into_iter();
                let behind = |device: &Element| {
                    elements::allocation_behind(domain, device).as_ref() == Some(from)
                };
                devices.filter(behind).map(Near::from).collect()
            }
            _ => Vec::new(),
        },
        sources: |domain| {
            let of = |system: &System| {
                let devices = elements::devices(system).into_iter();
                core::iter::once(Element::System(system.id))
                    .chain(devices)
                    .collect::<Vec<_>>()
            };
            domain.systems().flat_map(of).collect()
        },
    },
    Shape {
        class: "CIM_ElementSettingData",
        ends: [
            ("ManagedElement", "CIM_SettingData"),
            ("SettingData", "CIM_SettingData"),
        ],
        forward: |domain, from| counterpart(domain, from, Configuration::State),
        backward: |domain, from| counterpart(domain, from, Configuration::Defined),
        sources: |domain| {
            let of = |system: &System| {
                let allocations = elements::allocations_in(system, Configuration::State);
                let settings = Element::Settings(system.id, Configuration::State);
                core::iter::once(settings)
                    .chain(allocations)
                    .collect::<Vec<_>>()
            };
            domain.systems().flat_map(of).collect()
        },
    },
    Shape {
        class: "CIM_VirtualSystemSettingDataComponent",
        ends: [
            ("GroupComponent", "CIM_VirtualSystemSettingData"),
            ("PartComponent", "CIM_ResourceAllocationSettingData"),
        ],
        forward: |domain, from| match from {
            Element::Settings(id, configuration) => {
                let system = domain.system(*id).into_iter();
                let allocations =
                    system.flat_map(|system| elements::allocations_in(system, *configuration));
                allocations.map(Near::from).collect()
            }
            _ => Vec::new(),
        },
        backward: |_, from| match from {
            Element::Allocation(id, configuration, _) => {
                one(Element::Settings(*id, *configuration))
            }
            _ => Vec::new(),
        },
        sources: |domain| {
            let both = |system: &System| {
                let id = system.id;
                Configuration::ALL.map(|configuration| Element::Settings(id, configuration))
            };
            domain.systems().flat_map(both).collect()
        },
    },
    Shape {
        class: "CIM_SystemDevice",
        ends: [
            ("GroupComponent", "CIM_ComputerSystem"),
            ("PartComponent", "CIM_LogicalDevice"),
        ],
        forward: |domain, from| match from {
            Element::Host => elements::host_devices(domain)
                .into_iter()
                .map(Near::from)
                .collect(),
            Element::System(id) => {
                let devices = domain
                    .system(*id)
                    .map(elements::devices)
                    .unwrap_or_default();
                devices.into_iter().map(Near::from).collect()
            }
            _ => Vec::new(),
        },
        backward: |_, from| match from.device() {
            Some((None, _)) => one(Element::Host),
            Some((Some(id), _)) => one(Element::System(id)),
            None => Vec::new(),
        },
        sources: |domain| {
            let systems = domain.systems().map(|system| Element::System(system.id));
            core::iter::once(Element::Host).chain(systems).collect()
        },
    },
    Shape {
        class: "CIM_HostedResourcePool",
        ends: [
            ("GroupComponent", "CIM_ComputerSystem"),
            ("PartComponent", "CIM_ResourcePool"),
        ],
        forward: |_, from| match from {
            Element::Host => POOLS
                .into_iter()
                .map(Element::Pool)
                .map(Near::from)
                .collect(),
            _ => Vec::new(),
        },
        backward: |_, from| match from {
            Element::Pool(_) => one(Element::Host),
            _ => Vec::new(),
        },
        sources: host,
    },
    Shape {
        class: "CIM_ConcreteComponent",
        ends: [
            ("GroupComponent", "CIM_ResourcePool"),
            ("PartComponent", "CIM_LogicalDevice"),
        ],
        forward: |domain, from| match from {
            Element::Pool(kind) => {
                let devices = elements::host_devices(domain).into_iter();
                let of_kind =
                    |device: &Element| elements::pool_behind(domain, device) == Some(*kind);
                devices.filter(of_kind).map(Near::from).collect()
            }
            _ => Vec::new(),
        },
        backward: |_, from| match from {
            Element::HostProcessor(_) => one(Element::Pool(PoolKind::Processor)),
            Element::HostMemory => one(Element::Pool(PoolKind::Memory)),
            _ => Vec::new(),
        },
        sources: pools,
    },
    Shape {
        class: "CIM_ResourceAllocationFromPool",
        ends: [
            ("Antecedent", "CIM_ResourcePool"),
            ("Dependent", "CIM_ResourceAllocationSettingData"),
        ],
        forward: |domain, from| match from {
            Element::Pool(kind) => drawn(domain, *kind, |system| {
                elements::allocations_in(system, Configuration::State)
            }),
            _ => Vec::new(),
        },
        backward: |domain, from| match from {
            Element::Allocation(_, Configuration::State, _) => pool_of(domain, from),
            _ => Vec::new(),
        },
        sources: pools,
    },
    Shape {
        class: "CIM_ElementAllocatedFromPool",
        ends: [
            ("Antecedent", "CIM_ResourcePool"),
            ("Dependent", "CIM_LogicalDevice"),
        ],
        forward: |domain, from| match from {
            Element::Pool(kind) => drawn(domain, *kind, elements::devices),
            _ => Vec::new(),
        },
        backward: |domain, from| match from {
            Element::Processor(..) | Element::Memory(_) => pool_of(domain, from),
            _ => Vec::new(),
        },
        sources: pools,
    },
];

/// The services of the host.
const SERVICES: [Element; 3] = [
    Element::Service,
    Element::ConsoleService,
    Element::PowerService,
];

pub(super) fn one(element: Element) -> Vec<Near> {
    Vec::from([element.into()])
}

fn host(_: &Domain) -> Vec<Element> {
    Vec::from([Element::Host])
}

fn pools(_: &Domain) -> Vec<Element> {
    POOLS.into_iter().map(Element::Pool).collect()
}

pub(super) fn systems(domain: &Domain) -> Vec<Near> {
    let systems = domain.systems();
    systems
        .map(|system| Element::System(system.id).into())
        .collect()
}

/// What systems have from a pool.
fn drawn(domain: &Domain, kind: PoolKind, of: fn(&System) -> Vec<Element>) -> Vec<Near> {
    let all = domain.systems().flat_map(of);
    let from_pool = |element: &Element| elements::pool_behind(domain, element) == Some(kind);
    all.filter(from_pool).map(Near::from).collect()
}

fn pool_of(domain: &Domain, element: &Element) -> Vec<Near> {
    let pool = elements::pool_behind(domain, element).map(Element::Pool);
    pool.into_iter().map(Near::from).collect()
}

/// A bound of allocation capabilities with what it bounds.
fn bound(element: Element, limit: Limit) -> Near {
    /// ValueRole: default and supported.
    const DEFAULT: u16 = 0;
    const SUPPORTED: u16 = 3;
    let (role, range) = match limit {
        Limit::Default => (DEFAULT, 0u16),
        Limit::Minimum => (SUPPORTED, 1),
        Limit::Maximum => (SUPPORTED, 2),
        Limit::Increment => (SUPPORTED, 3),
    };
    // PropertyPolicy: independent.
    Near::from(element)
        .with("PropertyPolicy", 0u16)
        .with("ValueRole", role)
        .with("ValueRange", range)
}

/// From the state of a system or an allocation to its definition, or back. `from` says which of the two is given.
fn counterpart(domain: &Domain, element: &Element, from: Configuration) -> Vec<Near> {
    let to = match from {
        Configuration::State => Configuration::Defined,
        Configuration::Defined => Configuration::State,
    };
    let (system, other) = match element {
        Element::Settings(id, configuration) if *configuration == from => {
            (*id, Element::Settings(*id, to))
        }
        Element::Allocation(id, configuration, allocation) if *configuration == from => {
            (*id, Element::Allocation(*id, to, *allocation))
        }
        _ => return Vec::new(),
    };
    // An allocation may have been added or removed since the start.
    if other.path(domain).is_none() {
        return Vec::new();
    }
    let unchanged = domain
        .system(system)
        .is_some_and(|system| system.active.as_ref() == Some(&domain.resolved(&system.defined)));
    let current = if unchanged { IS } else { IS_NOT };
    Vec::from([Near::from(other)
        .with("IsDefault", IS)
        .with("IsCurrent", current)
        .with("IsNext", IS)])
}
