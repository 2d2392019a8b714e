//! How to walk the associations of systems, settings, resources and capabilities.

use super::{Near, Shape};
use crate::element::{Configuration, Element, Limit};
use crate::elements::{self, PRIMORDIAL};
use alloc::vec::Vec;
use cim_domain::{Domain, PoolId, System};

/// Characteristics of capabilities: current.
pub(super) const CURRENT: u16 = 3;
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
            service if SERVICES.contains(service) => one(Element::Host),
            _ => Vec::new(),
        },
        sources: host,
    },
    Shape {
        class: "CIM_ServiceAffectsElement",
        ends: [
            ("AffectingElement", "CIM_Service"),
            ("AffectedElement", "CIM_ManagedElement"),
        ],
        forward: |domain, from| match from {
            Element::PoolService => {
                let managed =
                    |id| Near::from(Element::Pool(id)).with("ElementEffects", alloc::vec![MANAGES]);
                elements::pools(domain).map(managed).collect()
            }
            service if SYSTEM_SERVICES.contains(service) => {
                let systems = systems(domain).into_iter();
                let managed = |near: Near| near.with("ElementEffects", alloc::vec![MANAGES]);
                // Its power is managed as that of its systems is.
                let host = (*service == Element::PowerService).then_some(Element::Host);
                let host = host.into_iter().map(Near::from);
                host.chain(systems).map(managed).collect()
            }
            _ => Vec::new(),
        },
        backward: |_, from| match from {
            Element::System(_) => {
                let managed =
                    |service| Near::from(service).with("ElementEffects", alloc::vec![MANAGES]);
                Vec::from(SYSTEM_SERVICES.map(managed))
            }
            Element::Host => {
                let service = Near::from(Element::PowerService);
                Vec::from([service.with("ElementEffects", alloc::vec![MANAGES])])
            }
            Element::Pool(_) => {
                let service = Near::from(Element::PoolService);
                Vec::from([service.with("ElementEffects", alloc::vec![MANAGES])])
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
            let of_pools = PRIMORDIAL.into_iter().map(Element::AllocationCapabilities);
            match from {
                Element::Host => of_pools
                    .chain([Element::ServiceCapabilities, Element::HostCapabilities])
                    .map(current)
                    .collect(),
                Element::Service => Vec::from([current(Element::ServiceCapabilities)]),
                Element::PowerService => Vec::from([current(Element::PowerCapabilities)]),
                Element::BootService => Vec::from([current(Element::BootCapabilities)]),
                Element::MetricService => Vec::from([current(Element::MetricCapabilities)]),
                Element::SnapshotService => {
                    Vec::from([current(Element::SnapshotServiceCapabilities)])
                }
                Element::System(id) => {
                    let own = [
                        Element::SystemCapabilities(*id),
                        Element::SnapshotCapabilities(*id),
                    ];
                    Vec::from(own.map(current))
                }
                Element::PoolService => Vec::from([current(Element::PoolServiceCapabilities)]),
                Element::Pool(id) => Vec::from([current(Element::AllocationCapabilities(*id))]),
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
                Element::HostCapabilities => Vec::from([current(Element::Host)]),
                Element::PowerCapabilities => Vec::from([current(Element::PowerService)]),
                Element::BootCapabilities => Vec::from([current(Element::BootService)]),
                Element::MetricCapabilities => Vec::from([current(Element::MetricService)]),
                Element::SnapshotServiceCapabilities => {
                    Vec::from([current(Element::SnapshotService)])
                }
                Element::SystemCapabilities(id) | Element::SnapshotCapabilities(id) => {
                    Vec::from([current(Element::System(*id))])
                }
                Element::PoolServiceCapabilities => Vec::from([current(Element::PoolService)]),
                Element::AllocationCapabilities(id @ PoolId::Primordial(_)) => {
                    Vec::from([Element::Host, Element::Pool(*id)].map(current))
                }
                Element::AllocationCapabilities(id) => Vec::from([current(Element::Pool(*id))]),
                _ => Vec::new(),
            }
        },
        sources: |domain| {
            let systems = domain.systems().map(|system| Element::System(system.id));
            let pools = elements::pools(domain).map(Element::Pool);
            let host = core::iter::once(Element::Host).chain(SERVICES);
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
            Element::AllocationCapabilities(id) => {
                let bounds = Limit::ALL.into_iter();
                bounds
                    .map(|limit| bound(Element::AllocationLimit(*id, limit), limit))
                    .collect()
            }
            _ => Vec::new(),
        },
        backward: |_, from| match from {
            Element::AllocationLimit(id, limit) => {
                Vec::from([bound(Element::AllocationCapabilities(*id), *limit)])
            }
            _ => Vec::new(),
        },
        sources: |domain| {
            elements::pools(domain)
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
            Element::Pool(id @ PoolId::Child(..)) => one(Element::PoolAllocation(*id)),
            device => {
                let allocation = elements::allocation_behind(domain, device);
                allocation.into_iter().map(Near::from).collect()
            }
        },
        backward: |domain, from| match from {
            Element::Settings(id, Configuration::State) => one(Element::System(*id)),
            Element::PoolAllocation(id) => one(Element::Pool(*id)),
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
            let pools = elements::child_pools(domain).map(Element::Pool);
            domain.systems().flat_map(of).chain(pools).collect()
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
        forward: |domain, from| match from {
            Element::Host => elements::pools(domain)
                .map(|id| Element::Pool(id).into())
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
            Element::Pool(id) => {
                let components = elements::pool_components(domain, *id).into_iter();
                components.map(Near::from).collect()
            }
            _ => Vec::new(),
        },
        backward: |domain, from| match from {
            Element::HostProcessor(_) | Element::HostMemory(_) => {
                let holds = |id: &PoolId| elements::pool_components(domain, *id).contains(from);
                let pools = elements::pools(domain).filter(holds);
                pools.map(|id| Element::Pool(id).into()).collect()
            }
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
            Element::Pool(id) => {
                let of = |system: &System| elements::allocations_in(system, Configuration::State);
                drawn(domain, *id, of, Element::PoolAllocation)
            }
            _ => Vec::new(),
        },
        backward: |domain, from| match from {
            Element::Allocation(_, Configuration::State, _) | Element::PoolAllocation(_) => {
                pool_of(domain, from)
            }
            _ => Vec::new(),
        },
        sources: pools,
    },
    Shape {
        class: "CIM_ElementAllocatedFromPool",
        ends: [
            ("Antecedent", "CIM_ResourcePool"),
            ("Dependent", "CIM_LogicalElement"),
        ],
        forward: |domain, from| match from {
            Element::Pool(id) => drawn(domain, *id, elements::devices, Element::Pool),
            _ => Vec::new(),
        },
        backward: |domain, from| match from {
            Element::Processor(..) | Element::Memory(_) | Element::Pool(_) => pool_of(domain, from),
            _ => Vec::new(),
        },
        sources: pools,
    },
];

/// The services of the host.
const SERVICES: [Element; 7] = [
    Element::Service,
    Element::ConsoleService,
    Element::PowerService,
    Element::BootService,
    Element::MetricService,
    Element::SnapshotService,
    Element::PoolService,
];

/// Those that do something to virtual systems.
const SYSTEM_SERVICES: [Element; 5] = [
    Element::Service,
    Element::ConsoleService,
    Element::PowerService,
    Element::BootService,
    Element::SnapshotService,
];

pub(super) fn one(element: Element) -> Vec<Near> {
    Vec::from([element.into()])
}

fn host(_: &Domain) -> Vec<Element> {
    Vec::from([Element::Host])
}

fn pools(domain: &Domain) -> Vec<Element> {
    elements::pools(domain).map(Element::Pool).collect()
}

pub(super) fn systems(domain: &Domain) -> Vec<Near> {
    let systems = domain.systems();
    systems
        .map(|system| Element::System(system.id).into())
        .collect()
}

/// What systems and child pools have from a pool.
fn drawn(
    domain: &Domain,
    id: PoolId,
    of: fn(&System) -> Vec<Element>,
    of_pool: fn(PoolId) -> Element,
) -> Vec<Near> {
    let all = domain.systems().flat_map(of);
    let all = all.chain(elements::child_pools(domain).map(of_pool));
    let from_pool = |element: &Element| elements::pool_behind(domain, element) == Some(id);
    all.filter(from_pool).map(Near::from).collect()
}

fn pool_of(domain: &Domain, element: &Element) -> Vec<Near> {
    let pool = elements::pool_behind(domain, element).map(Element::Pool);
    pool.into_iter().map(Near::from).collect()
}

/// A bound of allocation capabilities with what it bounds.
pub(super) fn bound(element: Element, limit: Limit) -> Near {
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
        .is_some_and(|system| domain.is_as_defined(system));
    let current = if unchanged { IS } else { IS_NOT };
    Vec::from([Near::from(other)
        .with("IsDefault", IS)
        .with("IsCurrent", current)
        .with("IsNext", IS)])
}
