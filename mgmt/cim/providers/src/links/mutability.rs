//! How to walk from systems to what can be changed of their allocations, and to its bounds.

use super::walks::{CURRENT, bound};
use super::{Near, Shape};
use crate::element::Element;
use crate::elements;
use alloc::vec::Vec;
use cim_domain::PoolKind;

/// The association classes.
pub(super) static SHAPES: [Shape; 2] = [
    Shape {
        class: "CIM_ElementCapabilities",
        ends: [
            ("ManagedElement", "CIM_ComputerSystem"),
            ("Capabilities", "CIM_AllocationCapabilities"),
        ],
        forward: |domain, from| match from {
            Element::System(id) if domain.system(*id).is_some() => {
                let kinds = PoolKind::ALL.map(|kind| current(Element::Mutability(*id, kind)));
                kinds.into()
            }
            _ => Vec::new(),
        },
        backward: |_, from| match from {
            Element::Mutability(id, _) => Vec::from([current(Element::System(*id))]),
            _ => Vec::new(),
        },
        sources: |domain| {
            let systems = domain.systems();
            systems.map(|system| Element::System(system.id)).collect()
        },
    },
    Shape {
        class: "CIM_SettingsDefineCapabilities",
        ends: [
            ("GroupComponent", "CIM_AllocationCapabilities"),
            ("PartComponent", "CIM_ResourceAllocationSettingData"),
        ],
        forward: |_, from| match from {
            Element::Mutability(id, kind) => elements::mutability_limits((*id, *kind))
                .into_iter()
                .filter_map(to_limit)
                .collect(),
            _ => Vec::new(),
        },
        backward: |_, from| match from {
            Element::MutabilityLimit(id, kind, limit) => {
                Vec::from([bound(Element::Mutability(*id, *kind), *limit)])
            }
            _ => Vec::new(),
        },
        sources: |domain| {
            elements::mutabilities(domain)
                .map(|(id, kind)| Element::Mutability(id, kind))
                .collect()
        },
    },
];

fn current(element: Element) -> Near {
    Near::from(element).with("Characteristics", alloc::vec![CURRENT])
}

fn to_limit(element: Element) -> Option<Near> {
    match element {
        Element::MutabilityLimit(_, _, limit) => Some(bound(element, limit)),
        _ => None,
    }
}
