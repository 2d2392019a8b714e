//! How to walk the associations of the pools of devices besides processors and memory.

use super::walks::{CURRENT, bound, one};
use super::{Near, Shape};
use crate::element::{self, Configuration, Element, Limit};
use crate::elements;
use alloc::vec::Vec;
use cim_domain::{DeviceKind, Domain, System};

/// The association classes.
pub(super) static SHAPES: [Shape; 5] = [
    Shape {
        class: "CIM_HostedResourcePool",
        ends: [
            ("GroupComponent", "CIM_ComputerSystem"),
            ("PartComponent", "CIM_ResourcePool"),
        ],
        forward: |_, from| match from {
            Element::Host => DeviceKind::ALL
                .map(Element::DevicePool)
                .map(Near::from)
                .into(),
            _ => Vec::new(),
        },
        backward: |_, from| match from {
            Element::DevicePool(_) => one(Element::Host),
            _ => Vec::new(),
        },
        sources: |_| Vec::from([Element::Host]),
    },
    Shape {
        class: "CIM_ElementCapabilities",
        ends: [
            ("ManagedElement", "CIM_ManagedElement"),
            ("Capabilities", "CIM_AllocationCapabilities"),
        ],
        forward: |_, from| match from {
            Element::Host => {
                let all = DeviceKind::ALL.map(Element::DeviceCapabilities);
                all.map(current).into()
            }
            Element::DevicePool(kind) => Vec::from([current(Element::DeviceCapabilities(*kind))]),
            _ => Vec::new(),
        },
        backward: |_, from| match from {
            Element::DeviceCapabilities(kind) => {
                Vec::from([Element::Host, Element::DevicePool(*kind)].map(current))
            }
            _ => Vec::new(),
        },
        sources: |domain| {
            let pools = pools(domain).into_iter();
            core::iter::once(Element::Host).chain(pools).collect()
        },
    },
    Shape {
        class: "CIM_SettingsDefineCapabilities",
        ends: [
            ("GroupComponent", "CIM_AllocationCapabilities"),
            ("PartComponent", "CIM_ResourceAllocationSettingData"),
        ],
        forward: |_, from| match from {
            Element::DeviceCapabilities(kind) => {
                let bounds = Limit::ALL.into_iter();
                bounds
                    .map(|limit| bound(Element::DeviceLimit(*kind, limit), limit))
                    .collect()
            }
            _ => Vec::new(),
        },
        backward: |_, from| match from {
            Element::DeviceLimit(kind, limit) => {
                Vec::from([bound(Element::DeviceCapabilities(*kind), *limit)])
            }
            _ => Vec::new(),
        },
        sources: |_| DeviceKind::ALL.map(Element::DeviceCapabilities).into(),
    },
    Shape {
        class: "CIM_ResourceAllocationFromPool",
        ends: [
            ("Antecedent", "CIM_ResourcePool"),
            ("Dependent", "CIM_ResourceAllocationSettingData"),
        ],
        forward: |domain, from| {
            drawn(domain, from, |system| {
                elements::allocations_in(system, Configuration::State)
            })
        },
        backward: |domain, from| match from {
            Element::Allocation(..) => pool_of(domain, from).map(one).unwrap_or_default(),
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
        forward: |domain, from| drawn(domain, from, elements::devices),
        backward: |domain, from| match from {
            Element::Device(..) => pool_of(domain, from).map(one).unwrap_or_default(),
            _ => Vec::new(),
        },
        sources: pools,
    },
];

fn current(element: Element) -> Near {
    Near::from(element).with("Characteristics", alloc::vec![CURRENT])
}

fn pools(_: &Domain) -> Vec<Element> {
    DeviceKind::ALL.map(Element::DevicePool).into()
}

/// The pool that a device, or its allocation in the state configuration, comes from.
fn pool_of(domain: &Domain, element: &Element) -> Option<Element> {
    let (system, id) = match element {
        Element::Allocation(system, Configuration::State, id) | Element::Device(system, id) => {
            (*system, *id)
        }
        _ => return None,
    };
    let resource = element::resource(domain, system, Configuration::State, id)?;
    DeviceKind::of(resource).map(Element::DevicePool)
}

/// What systems have from a pool.
fn drawn(domain: &Domain, pool: &Element, of: fn(&System) -> Vec<Element>) -> Vec<Near> {
    let all = domain.systems().flat_map(of);
    let from_pool = |element: &Element| pool_of(domain, element).as_ref() == Some(pool);
    all.filter(from_pool).map(Near::from).collect()
}
