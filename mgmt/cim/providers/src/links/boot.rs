//! How to walk the associations of boot control (DSP1012).

use super::walks::one;
use super::{Near, Shape};
use crate::element::{self, Configuration, Element};
use crate::elements;
use alloc::vec::Vec;
use cim_domain::{Domain, SystemId};

/// IsDefault, IsCurrent, IsNext.
const IS: u16 = 1;
const IS_NOT: u16 = 2;
/// AssignedSequence of the one source.
const FIRST: u64 = 1;

/// The association classes.
pub(super) static SHAPES: [Shape; 3] = [
    // What it boots at its next start, and what it has booted while it is on.
    Shape {
        class: "CIM_ElementSettingData",
        ends: [
            ("ManagedElement", "CIM_ComputerSystem"),
            ("SettingData", "CIM_BootConfigSetting"),
        ],
        forward: |domain, from| match from {
            Element::System(id) => {
                let configs = Configuration::ALL.into_iter();
                configs
                    .filter(|configuration| element::boot(domain, *id, *configuration).is_some())
                    .map(|configuration| {
                        in_role(Element::BootConfig(*id, configuration), configuration)
                    })
                    .collect()
            }
            _ => Vec::new(),
        },
        backward: |domain, from| match from {
            Element::BootConfig(id, configuration) if there(domain, *id, *configuration) => {
                Vec::from([in_role(Element::System(*id), *configuration)])
            }
            _ => Vec::new(),
        },
        sources: |domain| {
            let systems = domain.systems();
            systems.map(|system| Element::System(system.id)).collect()
        },
    },
    Shape {
        class: "CIM_OrderedComponent",
        ends: [
            ("GroupComponent", "CIM_BootConfigSetting"),
            ("PartComponent", "CIM_BootSourceSetting"),
        ],
        forward: |domain, from| match from {
            Element::BootConfig(id, configuration) => {
                let source = Element::BootSource(*id, *configuration);
                let source = source.class(domain).map(|_| source);
                source.into_iter().map(first).collect()
            }
            _ => Vec::new(),
        },
        backward: |_, from| match from {
            Element::BootSource(id, configuration) => {
                Vec::from([first(Element::BootConfig(*id, *configuration))])
            }
            _ => Vec::new(),
        },
        sources: |domain| elements::of_configurations(domain, Element::BootConfig),
    },
    // The file is the source.
    Shape {
        class: "CIM_ConcreteIdentity",
        ends: [
            ("SystemElement", "CIM_LogicalFile"),
            ("SameElement", "CIM_BootSourceSetting"),
        ],
        forward: |domain, from| match from {
            Element::Image(name) => {
                let sources = elements::of_configurations(domain, Element::BootSource);
                let of_image = |source: &Element| image(domain, source).as_ref() == Some(from);
                match domain.image(name) {
                    Some(_) => sources
                        .into_iter()
                        .filter(of_image)
                        .map(Near::from)
                        .collect(),
                    None => Vec::new(),
                }
            }
            _ => Vec::new(),
        },
        backward: |domain, from| image(domain, from).map(one).unwrap_or_default(),
        sources: elements::images,
    },
];

fn there(domain: &Domain, id: SystemId, configuration: Configuration) -> bool {
    element::boot(domain, id, configuration).is_some()
}

/// A boot configuration, or the system that has it, with what it is to the system.
fn in_role(element: Element, configuration: Configuration) -> Near {
    let (next, current) = match configuration {
        Configuration::Defined => (IS, IS_NOT),
        Configuration::State => (IS_NOT, IS),
    };
    Near::from(element)
        .with("IsDefault", next)
        .with("IsCurrent", current)
        .with("IsNext", next)
}

fn first(element: Element) -> Near {
    Near::from(element).with("AssignedSequence", FIRST)
}

/// The kernel's file, where the library has it.
fn image(domain: &Domain, source: &Element) -> Option<Element> {
    let Element::BootSource(id, configuration) = source else {
        return None;
    };
    let kernel = element::boot(domain, *id, *configuration)?
        .kernel
        .as_ref()?;
    domain.image(kernel).map(|image| Element::Image(image.name))
}
