//! How to walk the associations of jobs, consoles, images and power.

use super::walks::{one, systems};
use super::{Near, Shape};
use crate::element::{Configuration, Element};
use crate::{elements, shown};
use alloc::vec::Vec;
use cim_domain::{ConsoleKind, Domain, Resource, SystemId};

/// The association classes.
pub(super) static SHAPES: [Shape; 10] = [
    Shape {
        class: "CIM_AffectedJobElement",
        ends: [
            ("AffectingElement", "CIM_ConcreteJob"),
            ("AffectedElement", "CIM_ComputerSystem"),
        ],
        forward: |domain, from| match from {
            Element::Job(id) => {
                let job = domain.job(*id);
                let affected = job.and_then(|job| match job.system {
                    Some(system) => Some(Element::System(system)),
                    None => job.kind.is_of_host().then_some(Element::Host),
                });
                affected.into_iter().map(Near::from).collect()
            }
            _ => Vec::new(),
        },
        backward: |domain, from| match from {
            Element::System(id) => {
                let jobs = domain.jobs().filter(|job| job.system == Some(*id));
                jobs.map(|job| Element::Job(job.id).into()).collect()
            }
            Element::Host => {
                let jobs = domain.jobs().filter(|job| job.kind.is_of_host());
                jobs.map(|job| Element::Job(job.id).into()).collect()
            }
            _ => Vec::new(),
        },
        sources: jobs,
    },
    Shape {
        class: "CIM_OwningJobElement",
        ends: [
            ("OwningElement", "CIM_Service"),
            ("OwnedElement", "CIM_ConcreteJob"),
        ],
        forward: |domain, from| match from {
            Element::Service | Element::PowerService => {
                let jobs = jobs(domain).into_iter();
                let owned = jobs.filter(|job| owner_of(domain, job).as_ref() == Some(from));
                owned.map(Near::from).collect()
            }
            _ => Vec::new(),
        },
        backward: |domain, from| owner_of(domain, from).map(one).unwrap_or_default(),
        sources: |_| Vec::from([Element::Service, Element::PowerService]),
    },
    Shape {
        class: "CIM_HostedAccessPoint",
        ends: [
            ("Antecedent", "CIM_ComputerSystem"),
            ("Dependent", "CIM_ServiceAccessPoint"),
        ],
        forward: |domain, from| match from {
            Element::System(id) => one(Element::Console(*id)),
            Element::Host => elements::console_ports(domain)
                .into_iter()
                .map(Near::from)
                .collect(),
            _ => Vec::new(),
        },
        backward: |_, from| match from {
            Element::Console(id) => one(Element::System(*id)),
            Element::ConsolePort(_) => one(Element::Host),
            _ => Vec::new(),
        },
        sources: |domain| {
            let systems = domain.systems().map(|system| Element::System(system.id));
            core::iter::once(Element::Host).chain(systems).collect()
        },
    },
    Shape {
        class: "CIM_SAPAvailableForElement",
        ends: [
            ("AvailableSAP", "CIM_ServiceAccessPoint"),
            ("ManagedElement", "CIM_ComputerSystem"),
        ],
        forward: |_, from| match from {
            Element::Console(id) => one(Element::System(*id)),
            _ => Vec::new(),
        },
        backward: |_, from| match from {
            Element::System(id) => one(Element::Console(*id)),
            _ => Vec::new(),
        },
        sources: consoles,
    },
    Shape {
        class: "CIM_ServiceAccessBySAP",
        ends: [
            ("Antecedent", "CIM_Service"),
            ("Dependent", "CIM_ServiceAccessPoint"),
        ],
        forward: |domain, from| match from {
            Element::ConsoleService => consoles(domain).into_iter().map(Near::from).collect(),
            _ => Vec::new(),
        },
        backward: |_, from| match from {
            Element::Console(_) => one(Element::ConsoleService),
            _ => Vec::new(),
        },
        sources: |_| Vec::from([Element::ConsoleService]),
    },
    Shape {
        class: "CIM_BindsTo",
        ends: [
            ("Antecedent", "CIM_ProtocolEndpoint"),
            ("Dependent", "CIM_ServiceAccessPoint"),
        ],
        forward: |_, from| match from {
            Element::ConsolePort(id) => one(Element::Console(*id)),
            _ => Vec::new(),
        },
        backward: |domain, from| match from {
            Element::Console(id) if domain.console_port(*id).is_some() => {
                one(Element::ConsolePort(*id))
            }
            _ => Vec::new(),
        },
        sources: elements::console_ports,
    },
    Shape {
        class: "CIM_DeviceSAPImplementation",
        ends: [
            ("Antecedent", "CIM_LogicalDevice"),
            ("Dependent", "CIM_ServiceAccessPoint"),
        ],
        forward: |domain, from| match from {
            Element::Device(id, _) if serial_port(domain, *id).as_ref() == Some(from) => {
                one(Element::Console(*id))
            }
            _ => Vec::new(),
        },
        backward: |domain, from| match from {
            Element::Console(id) => serial_port(domain, *id)
                .into_iter()
                .map(Near::from)
                .collect(),
            _ => Vec::new(),
        },
        sources: |domain| {
            let systems = domain.systems();
            systems
                .filter_map(|system| serial_port(domain, system.id))
                .collect()
        },
    },
    Shape {
        class: "CIM_FileStorage",
        ends: [
            ("GroupComponent", "CIM_FileSystem"),
            ("PartComponent", "CIM_LogicalFile"),
        ],
        forward: |domain, from| match from {
            Element::ImageLibrary => elements::images(domain)
                .into_iter()
                .map(Near::from)
                .collect(),
            _ => Vec::new(),
        },
        backward: |_, from| match from {
            Element::Image(_) => one(Element::ImageLibrary),
            _ => Vec::new(),
        },
        sources: |_| Vec::from([Element::ImageLibrary]),
    },
    // What boots from an image depends on it.
    Shape {
        class: "CIM_ConcreteDependency",
        ends: [
            ("Antecedent", "CIM_LogicalFile"),
            ("Dependent", "CIM_VirtualSystemSettingData"),
        ],
        forward: |domain, from| match from {
            Element::Image(name) => {
                let users = domain
                    .users_of(name)
                    .filter(|system| system.defined.boot.images().any(|image| image == name));
                users
                    .map(|system| Element::Settings(system.id, Configuration::Defined).into())
                    .collect()
            }
            _ => Vec::new(),
        },
        backward: |domain, from| match from {
            Element::Settings(id, Configuration::Defined) => {
                let system = domain.system(*id).into_iter();
                let mut names: Vec<_> = system
                    .flat_map(|system| system.defined.boot.images())
                    .collect();
                names.sort();
                names.dedup();
                let known = names
                    .into_iter()
                    .filter(|name| domain.image(name).is_some());
                known
                    .map(|name| Element::Image(name.clone()).into())
                    .collect()
            }
            _ => Vec::new(),
        },
        sources: elements::images,
    },
    Shape {
        class: "CIM_AssociatedPowerManagementService",
        ends: [
            ("ServiceProvided", "CIM_PowerManagementService"),
            ("UserOfService", "CIM_ComputerSystem"),
        ],
        forward: |domain, from| match from {
            Element::PowerService => {
                let powered = |near: Near| match near.element {
                    Element::System(id) => power(domain, id, near),
                    Element::Host => host_power(domain, near),
                    _ => near,
                };
                let host = core::iter::once(Near::from(Element::Host));
                host.chain(systems(domain)).map(powered).collect()
            }
            _ => Vec::new(),
        },
        backward: |domain, from| match from {
            Element::System(id) => Vec::from([power(domain, *id, Element::PowerService.into())]),
            Element::Host => Vec::from([host_power(domain, Element::PowerService.into())]),
            _ => Vec::new(),
        },
        sources: |_| Vec::from([Element::PowerService]),
    },
];

/// The service that does a job: what ends the host is a matter of its power.
fn owner_of(domain: &Domain, job: &Element) -> Option<Element> {
    let Element::Job(id) = job else {
        return None;
    };
    Some(match domain.job(*id)?.kind.is_of_host() {
        true => Element::PowerService,
        false => Element::Service,
    })
}

fn jobs(domain: &Domain) -> Vec<Element> {
    domain.jobs().map(|job| Element::Job(job.id)).collect()
}

fn consoles(domain: &Domain) -> Vec<Element> {
    domain
        .systems()
        .map(|system| Element::Console(system.id))
        .collect()
}

/// The serial port of a system that is on.
fn serial_port(domain: &Domain, id: SystemId) -> Option<Element> {
    let active = domain.system(id)?.active.as_ref()?;
    let serial = active.allocations.iter().find(|allocation| {
        matches!(&allocation.resource, Resource::Console(settings)
            if settings.kind == ConsoleKind::Serial)
    });
    Some(Element::Device(id, serial?.id))
}

/// A link between the power service and a system.
fn power(domain: &Domain, id: SystemId, near: Near) -> Near {
    let Some(system) = domain.system(id) else {
        return near;
    };
    let available = system.available_requests();
    let available: Vec<u16> = available
        .flat_map(|request| {
            let states = shown::POWER_STATES.into_iter();
            states.filter(move |(_, known)| *known == request)
        })
        .map(|(state, _)| state)
        .collect();
    near.with("PowerState", shown::power_state(system))
        .with("RequestedPowerState", shown::requested_power_state(system))
        .with("AvailableRequestedPowerStates", available)
        .with(
            "TransitioningToPowerState",
            shown::transitioning_power_state(system),
        )
}

/// A link between the power service and the host.
fn host_power(domain: &Domain, near: Near) -> Near {
    /// On.
    const ON: u16 = 2;
    let stop = domain.host_stop();
    let power = stop.map(shown::power_of_stop);
    near.with("PowerState", ON)
        .with(
            "RequestedPowerState",
            power.map_or(shown::NONE_REQUESTED, shown::shifted),
        )
        .with(
            "AvailableRequestedPowerStates",
            shown::host_available(stop, &shown::HOST_POWER_STATES),
        )
        .with(
            "TransitioningToPowerState",
            power.unwrap_or(shown::NO_TRANSITION),
        )
}
