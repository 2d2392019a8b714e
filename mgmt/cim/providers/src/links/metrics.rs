//! How to walk the associations of base metrics (DSP1053).

use super::{Near, Shape};
use crate::element::Element;
use crate::elements;
use crate::metric::Metric;
use alloc::vec::Vec;
use cim_domain::{Domain, SystemId};

/// ElementEffects of the service on a definition: manages.
const MANAGES: u16 = 5;
/// MetricCollectionEnabled: enabled.
const ENABLED: u16 = 2;

/// The association classes.
pub(super) static SHAPES: [Shape; 4] = [
    Shape {
        class: "CIM_ServiceAffectsElement",
        ends: [
            ("AffectingElement", "CIM_MetricService"),
            ("AffectedElement", "CIM_BaseMetricDefinition"),
        ],
        forward: |_, from| match from {
            Element::MetricService => {
                let definitions = Metric::ALL.map(Element::MetricDefinition);
                definitions.into_iter().map(managed).collect()
            }
            _ => Vec::new(),
        },
        backward: |_, from| match from {
            Element::MetricDefinition(_) => Vec::from([managed(Element::MetricService)]),
            _ => Vec::new(),
        },
        sources: |_| Vec::from([Element::MetricService]),
    },
    // On every system all of it can be measured, whether it is on or not.
    Shape {
        class: "CIM_MetricDefForME",
        ends: [
            ("Antecedent", "CIM_ComputerSystem"),
            ("Dependent", "CIM_BaseMetricDefinition"),
        ],
        forward: |domain, from| match from {
            Element::Host | Element::System(_) if from.path(domain).is_some() => {
                let definitions = Metric::ALL.map(Element::MetricDefinition);
                definitions.into_iter().map(enabled).collect()
            }
            _ => Vec::new(),
        },
        backward: |domain, from| match from {
            Element::MetricDefinition(_) => systems(domain).into_iter().map(enabled).collect(),
            _ => Vec::new(),
        },
        sources: systems,
    },
    Shape {
        class: "CIM_MetricForME",
        ends: [
            ("Antecedent", "CIM_ComputerSystem"),
            ("Dependent", "CIM_BaseMetricValue"),
        ],
        forward: |domain, from| match from {
            Element::Host => values(domain, None),
            Element::System(id) => values(domain, Some(*id)),
            _ => Vec::new(),
        },
        backward: |domain, from| match from {
            Element::MetricValue(owner, _) if from.path(domain).is_some() => {
                Vec::from([Near::from(owner.map_or(Element::Host, Element::System))])
            }
            _ => Vec::new(),
        },
        sources: systems,
    },
    Shape {
        class: "CIM_MetricInstance",
        ends: [
            ("Antecedent", "CIM_BaseMetricDefinition"),
            ("Dependent", "CIM_BaseMetricValue"),
        ],
        forward: |domain, from| match from {
            Element::MetricDefinition(metric) => {
                let owners = elements::measured(domain).into_iter();
                owners
                    .map(|owner| Element::MetricValue(owner, *metric).into())
                    .collect()
            }
            _ => Vec::new(),
        },
        backward: |domain, from| match from {
            Element::MetricValue(_, metric) if from.path(domain).is_some() => {
                Vec::from([Near::from(Element::MetricDefinition(*metric))])
            }
            _ => Vec::new(),
        },
        sources: |_| Metric::ALL.map(Element::MetricDefinition).to_vec(),
    },
];

fn managed(element: Element) -> Near {
    Near::from(element).with("ElementEffects", alloc::vec![MANAGES])
}

fn enabled(element: Element) -> Near {
    Near::from(element).with("MetricCollectionEnabled", ENABLED)
}

/// What is measured on a system that is on, or on the host.
fn values(domain: &Domain, owner: Option<SystemId>) -> Vec<Near> {
    let values = Metric::ALL.map(|metric| Element::MetricValue(owner, metric));
    let there = |value: &Element| value.path(domain).is_some();
    values.into_iter().filter(there).map(Near::from).collect()
}

fn systems(domain: &Domain) -> Vec<Element> {
    let systems = domain.systems().map(|system| Element::System(system.id));
    core::iter::once(Element::Host).chain(systems).collect()
}
