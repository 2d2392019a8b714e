//! The demonstration world: a host, three virtual systems and any number of processors.
//!
//! Real clients exercise every operation against it, and benchmarks measure with it; the management partition
//! has the real providers instead.

mod processors;
mod systems;

use cim_model::{ClassName, InstancePath, NamespaceName};
use cim_ops::interop::{Central, Profile};
use cim_ops::{Association, Builder, End, Link, Stream};
use processors::Processors;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use systems::Systems;

/// The name of the host system.
pub(crate) const HOST: &str = "host";
/// How many virtual systems there are at the start.
pub(crate) const VIRTUAL_SYSTEMS: usize = 3;

/// The demonstration world.
pub struct Demo {
    systems: Rc<Systems>,
    processors: usize,
}

pub(crate) fn namespace() -> NamespaceName {
    NamespaceName::from_static("root/cimv2")
}

/// The value of a string key.
pub(crate) fn key<'a>(path: &'a InstancePath, name: &str) -> &'a str {
    path.key(name)
        .and_then(|key| key.as_str())
        .unwrap_or_default()
}

impl Demo {
    /// A world with this many processors, dealt out to the virtual systems.
    pub fn new(processors: usize) -> Self {
        let mut states = BTreeMap::from([(HOST.to_string(), 2)]);
        states.extend((0..VIRTUAL_SYSTEMS).map(|index| (format!("vm{index}"), 2)));
        Demo {
            systems: Rc::new(Systems {
                states: RefCell::new(states),
            }),
            processors,
        }
    }

    /// The profiles that the world claims to implement.
    pub fn profiles(&self) -> Vec<Profile> {
        let central = |of_host: bool| {
            let systems = Rc::clone(&self.systems);
            vec![Central {
                namespace: namespace(),
                class: ClassName::from_static("CIM_ComputerSystem"),
                elements: Rc::new(move |_| {
                    let names = systems.names().into_iter();
                    let wanted = names.filter(move |name| (name == HOST) == of_host);
                    Ok(Box::new(wanted.map(|name| Ok(systems::path(&name)))))
                }),
            }]
        };
        let virtual_system = "BH:DSP1057-VirtualSystem-1.0.0";
        vec![
            Profile {
                id: "BH:DSP1042-SystemVirtualization-1.0.0".into(),
                name: "System Virtualization".into(),
                version: "1.0.0".into(),
                references: vec![virtual_system.into()],
                central: central(true),
            },
            Profile {
                id: virtual_system.into(),
                name: "Virtual System Profile".into(),
                version: "1.0.0".into(),
                references: vec![],
                central: central(false),
            },
        ]
    }

    /// Adds the providers.
    #[must_use]
    pub fn install(&self, builder: Builder) -> Builder {
        builder
            .provider(
                namespace(),
                "CIM_ComputerSystem",
                Rc::new(systems::SystemProvider(Rc::clone(&self.systems))),
            )
            .provider(
                namespace(),
                "CIM_Processor",
                Rc::new(Processors {
                    count: self.processors,
                }),
            )
            .association(self.hosted())
            .association(self.devices())
    }

    /// The host and its virtual systems.
    fn hosted(&self) -> Association {
        let systems = Rc::clone(&self.systems);
        Association {
            namespace: namespace(),
            class: ClassName::from_static("CIM_HostedDependency"),
            ends: [
                end("Antecedent", "CIM_ComputerSystem"),
                end("Dependent", "CIM_ComputerSystem"),
            ],
            forward: Box::new(move |_, from| {
                if key(from, "Name") != HOST {
                    return Ok(Box::new(std::iter::empty()));
                }
                let guests = systems.names().into_iter().filter(|name| name != HOST);
                Ok(Box::new(
                    guests.map(|name| Ok(Link::from(systems::path(&name)))),
                ))
            }),
            backward: Some(Box::new(|_, from| {
                let host = (key(from, "Name") != HOST).then(|| Ok(Link::from(systems::path(HOST))));
                Ok(Box::new(host.into_iter()) as Stream<Link>)
            })),
            sources: None,
        }
    }

    /// Systems and their processors.
    fn devices(&self) -> Association {
        let count = self.processors;
        Association {
            namespace: namespace(),
            class: ClassName::from_static("CIM_SystemDevice"),
            ends: [
                end("GroupComponent", "CIM_System"),
                end("PartComponent", "CIM_Processor"),
            ],
            forward: Box::new(move |_, from| Ok(processors::of_system(key(from, "Name"), count))),
            backward: Some(Box::new(|_, from| {
                let system = systems::path(key(from, "SystemName"));
                Ok(Box::new(std::iter::once(Ok(Link::from(system)))))
            })),
            sources: None,
        }
    }
}

fn end(role: &'static str, class: &'static str) -> End {
    End {
        role: role.into(),
        class: ClassName::from_static(class),
        namespace: namespace(),
    }
}
