//! How to walk the associations of base metrics (DSP1053).

use super::{Near, Shape};
use crate::element::Element;
use crate::elements;
use crate::metric::{Measured, Metric};
use alloc::vec::Vec;
use cim_domain::Domain;

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
    // What can be measured, whether the system is on or not.
    Shape {
        class: "CIM_MetricDefForME",
        ends: [
            ("Antecedent", "CIM_EnabledLogicalElement"),
            ("Dependent", "CIM_BaseMetricDefinition"),
        ],
        forward: |domain, from| match Measured::of(from) {
            Some(owner) if from.path(domain).is_some() => {
                let definitions = owner.metrics().iter();
                definitions
                    .map(|metric| enabled(Element::MetricDefinition(*metric)))
                    .collect()
            }
            _ => Vec::new(),
        },
        backward: |domain, from| match from {
            Element::MetricDefinition(metric) => {
                let owners = elements::measurable(domain).into_iter();
                let owners = owners.filter(|owner| owner.metrics().contains(metric));
                owners.map(|owner| enabled(owner.element())).collect()
            }
            _ => Vec::new(),
        },
        sources: owners,
    },
    Shape {
        class: "CIM_MetricForME",
        ends: [
            ("Antecedent", "CIM_EnabledLogicalElement"),
            ("Dependent", "CIM_BaseMetricValue"),
        ],
        forward: |domain, from| {
            let values = Measured::of(from).map(|owner| elements::values_of(domain, owner));
            let values = values.into_iter().flatten();
            values.map(Near::from).collect()
        },
        backward: |domain, from| match from {
            Element::MetricValue(owner, _) if from.path(domain).is_some() => {
                Vec::from([Near::from(owner.element())])
            }
            _ => Vec::new(),
        },
        sources: owners,
    },
    Shape {
        class: "CIM_MetricInstance",
        ends: [
            ("Antecedent", "CIM_BaseMetricDefinition"),
            ("Dependent", "CIM_BaseMetricValue"),
        ],
        forward: |domain, from| match from {
            Element::MetricDefinition(metric) => {
                let owners = elements::measurable(domain).into_iter();
                let values = owners.map(|owner| Element::MetricValue(owner, *metric));
                let there = |value: &Element| value.class(domain).is_some();
                values.filter(there).map(Near::from).collect()
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

fn owners(domain: &Domain) -> Vec<Element> {
    let owners = elements::measurable(domain).into_iter();
    owners.map(Measured::element).collect()
}
