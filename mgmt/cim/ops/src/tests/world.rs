//! The demonstration world.

use crate::indications;
use crate::interop::{self, Central, Identity, Profile};
use crate::{
    Argument, Association, Builder, Caller, Clock, Context, End, Link, MemoryStore, MethodResult,
    Operation, Operations, Provider, Request, Response, Role, Settings, Stream, argument,
};
use cim_model::{
    CimError, CimStatus, ClassDecl, ClassName, Instance, InstancePath, MethodName, NamespaceName,
    ObjectPath, PropertyDecl, Qualifier, Value,
};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

pub(super) fn cimv2() -> NamespaceName {
    NamespaceName::from_static("root/cimv2")
}

/// Virtual systems by name, with their enabled state.
pub(super) struct Systems {
    pub(super) states: RefCell<BTreeMap<String, u16>>,
}

impl Systems {
    fn instance(name: &str, state: u16) -> Instance {
        Instance::new("CIM_ComputerSystem")
            .with("CreationClassName", "CIM_ComputerSystem")
            .with("Name", name.to_string())
            .with("ElementName", format!("System {name}"))
            .with("EnabledState", state)
            .with("OperationalStatus", vec![2u16])
    }
}

fn key(path: &InstancePath, name: &str) -> String {
    path.key(name)
        .and_then(|key| key.as_str())
        .unwrap_or_default()
        .to_string()
}

impl Provider for Rc<Systems> {
    fn enumerate(&self, _: &Context<'_>) -> Result<Stream<Instance>, CimError> {
        let systems = Rc::clone(self);
        let names: Vec<_> = self.states.borrow().keys().cloned().collect();
        Ok(Box::new(names.into_iter().filter_map(move |name| {
            let state = *systems.states.borrow().get(&name)?;
            Some(Ok(Systems::instance(&name, state)))
        })))
    }

    fn create(&self, _: &Context<'_>, instance: Instance) -> Result<InstancePath, CimError> {
        let name = instance
            .get("Name")
            .and_then(Value::as_str)
            .unwrap_or("unnamed")
            .to_string();
        if self.states.borrow().contains_key(&name) {
            return Err(CimError::from(CimStatus::AlreadyExists));
        }
        self.states.borrow_mut().insert(name.clone(), 3);
        Ok(system(&name))
    }

    fn modify(
        &self,
        _: &Context<'_>,
        path: &InstancePath,
        change: Instance,
    ) -> Result<(), CimError> {
        let state = change
            .get("EnabledState")
            .and_then(Value::as_u64)
            .unwrap_or(5);
        self.states
            .borrow_mut()
            .insert(key(path, "Name"), state as u16);
        Ok(())
    }

    fn delete(&self, _: &Context<'_>, path: &InstancePath) -> Result<(), CimError> {
        self.states.borrow_mut().remove(&key(path, "Name"));
        Ok(())
    }

    fn invoke(
        &self,
        _: &Context<'_>,
        object: &ObjectPath,
        method: &MethodName,
        arguments: &[Argument],
    ) -> Result<MethodResult, CimError> {
        assert_eq!(method, "RequestStateChange");
        let ObjectPath::Instance(path) = object else {
            panic!("an instance method")
        };
        let Some(state) = argument(arguments, "RequestedState").and_then(Value::as_u64) else {
            return Ok(MethodResult::new(5u32));
        };
        self.states
            .borrow_mut()
            .insert(key(path, "Name"), state as u16);
        Ok(MethodResult::new(0u32).with(Argument::new(
            "Job",
            Value::null(cim_model::CimType::Reference),
        )))
    }
}

/// A hundred thousand processors that exist only while they are looked at.
pub(super) struct Processors {
    pub(super) made: Cell<usize>,
}

pub(super) const PROCESSORS: usize = 100_000;

pub(super) fn processor(index: usize) -> InstancePath {
    InstancePath::new("CIM_Processor")
        .with_key("SystemCreationClassName", "CIM_ComputerSystem")
        .with_key("SystemName", format!("vm{}", index % 3))
        .with_key("CreationClassName", "CIM_Processor")
        .with_key("DeviceID", format!("cpu{index}"))
}

impl Provider for Rc<Processors> {
    fn enumerate(&self, _: &Context<'_>) -> Result<Stream<Instance>, CimError> {
        let made = Rc::clone(self);
        Ok(Box::new((0..PROCESSORS).map(move |index| {
            made.made.set(made.made.get() + 1);
            let path = processor(index);
            let mut instance =
                Instance::new("CIM_Processor").with("LoadPercentage", (index % 100) as u16);
            for key in path.keys() {
                instance.set(key.name.clone(), key.value.as_str().unwrap().to_string());
            }
            Ok(instance)
        })))
    }
}

pub(super) fn system(name: &str) -> InstancePath {
    InstancePath::new("CIM_ComputerSystem")
        .with_key("CreationClassName", "CIM_ComputerSystem")
        .with_key("Name", name.to_string())
}

pub(super) struct World {
    pub(super) operations: Operations,
    pub(super) indications: Option<indications::Indications>,
    pub(super) systems: Rc<Systems>,
    pub(super) processors: Rc<Processors>,
    pub(super) now: Cell<u64>,
    pub(super) role: Cell<Role>,
}

pub(super) fn world() -> World {
    assemble(false)
}

/// The same world with the Interop providers.
pub(super) fn interop_world() -> World {
    assemble(true)
}

fn profiles() -> Vec<Profile> {
    let central = |names: &'static [&'static str]| {
        vec![Central {
            namespace: cimv2(),
            class: "CIM_ComputerSystem".into(),
            elements: Rc::new(move |_| Ok(Box::new(names.iter().map(|name| Ok(system(name)))))),
        }]
    };
    vec![
        Profile {
            id: "BH:DSP1042".into(),
            name: "System Virtualization".into(),
            version: "1.0.0".into(),
            references: vec!["BH:DSP1057".into()],
            central: central(&["host"]),
        },
        Profile {
            id: "BH:DSP1057".into(),
            name: "Virtual System Profile".into(),
            version: "1.0.0".into(),
            references: vec![],
            central: central(&["vm0", "vm1", "vm2"]),
        },
    ]
}

fn assemble(with_interop: bool) -> World {
    let states = [("host", 2), ("vm0", 2), ("vm1", 3), ("vm2", 2)];
    let systems = Rc::new(Systems {
        states: RefCell::new(
            states
                .iter()
                .map(|(name, state)| (name.to_string(), *state))
                .collect(),
        ),
    });
    let processors = Rc::new(Processors { made: Cell::new(0) });
    let hosted = Association {
        namespace: cimv2(),
        class: ClassName::from("CIM_HostedDependency"),
        ends: [
            End {
                role: "Antecedent".into(),
                class: "CIM_ComputerSystem".into(),
                namespace: cimv2(),
            },
            End {
                role: "Dependent".into(),
                class: "CIM_ComputerSystem".into(),
                namespace: cimv2(),
            },
        ],
        forward: {
            let systems = Rc::clone(&systems);
            Box::new(move |_, from| {
                let names: Vec<_> = systems.states.borrow().keys().cloned().collect();
                let is_host = key(from, "Name") == "host";
                Ok(Box::new(
                    names
                        .into_iter()
                        .filter(move |name| is_host && name != "host")
                        .map(|name| Ok(Link::from(system(&name)))),
                ))
            })
        },
        backward: None,
        sources: None,
    };
    let devices = Association {
        namespace: cimv2(),
        class: ClassName::from("CIM_SystemDevice"),
        ends: [
            End {
                role: "GroupComponent".into(),
                class: "CIM_System".into(),
                namespace: cimv2(),
            },
            End {
                role: "PartComponent".into(),
                class: "CIM_Processor".into(),
                namespace: cimv2(),
            },
        ],
        forward: Box::new(|_, from| {
            let first = match key(from, "Name").as_str() {
                "vm0" => 0,
                "vm1" => 1,
                "vm2" => 2,
                _ => return Ok(Box::new(std::iter::empty())),
            };
            Ok(Box::new(
                (first..PROCESSORS)
                    .step_by(3)
                    .map(|index| Ok(Link::from(processor(index)))),
            ))
        }),
        backward: Some(Box::new(|_, from| {
            Ok(Box::new(std::iter::once(Ok(Link::from(system(&key(
                from,
                "SystemName",
            )))))))
        })),
        sources: None,
    };
    let builder = Builder::new(
        Settings::new("server.example:5988"),
        Box::new(MemoryStore::default()),
    )
    .unwrap()
    .provider(
        "root/cimv2",
        "CIM_ComputerSystem",
        Rc::new(Rc::clone(&systems)),
    )
    .provider(
        "root/cimv2",
        "CIM_Processor",
        Rc::new(Rc::clone(&processors)),
    )
    .association(hosted)
    .association(devices);
    let (builder, indications) = if with_interop {
        let identity = Identity {
            system: "test-system".into(),
            manager: "test-manager".into(),
            product: "Test".into(),
            version: "1.2.3".into(),
        };
        let builder = interop::install(builder, &identity, profiles());
        let (builder, indications) = indications::install(
            builder,
            &identity,
            indications::IndicationSettings::default(),
        );
        (builder, Some(indications))
    } else {
        (builder, None)
    };
    World {
        operations: builder.build(),
        indications,
        systems,
        processors,
        now: Cell::new(0),
        role: Cell::new(Role::Administrator),
    }
}

impl World {
    pub(super) fn caller(&self) -> Caller {
        Caller {
            user: "tester".into(),
            role: self.role.get(),
            peer: "test".into(),
            clock: Clock {
                monotonic: Duration::from_secs(self.now.get()),
                unix_micros: 1_800_000_000_000_000 + self.now.get() as i64 * 1_000_000,
            },
        }
    }

    pub(super) fn pump(&self) {
        if let Some(indications) = &self.indications {
            indications.pump(&self.operations, self.caller().clock);
        }
    }

    pub(super) fn run(&self, operation: Operation) -> Result<Response, CimError> {
        self.run_in("root/cimv2", operation)
    }

    pub(super) fn run_in(
        &self,
        namespace: &'static str,
        operation: Operation,
    ) -> Result<Response, CimError> {
        let namespace = NamespaceName::from_static(namespace);
        self.operations.execute(
            &self.caller(),
            Request {
                namespace,
                operation,
            },
        )
    }

    /// The status of an operation that must fail.
    pub(super) fn status(&self, operation: Operation) -> CimStatus {
        match self.run(operation.clone()) {
            Ok(_) => panic!("{operation:?} succeeded"),
            Err(error) => error.status,
        }
    }

    pub(super) fn void(&self, operation: Operation) {
        match self.run(operation.clone()) {
            Ok(Response::Void) => {}
            Ok(_) => panic!("{operation:?} returned something"),
            Err(error) => panic!("{operation:?}: {error}"),
        }
    }
}

/// The instances of a response that holds instances.
pub(super) fn instances(response: Result<Response, CimError>) -> Vec<Instance> {
    match response.unwrap() {
        Response::NamedInstances(stream) | Response::Instances(stream) | Response::Rows(stream) => {
            stream.collect::<Result<_, _>>().unwrap()
        }
        _ => panic!("not instances"),
    }
}

/// The value of a property in each instance.
pub(super) fn texts(instances: &[Instance], property: &str) -> Vec<String> {
    instances
        .iter()
        .map(|instance| {
            instance
                .get(property)
                .and_then(Value::as_str)
                .unwrap_or("-")
                .to_string()
        })
        .collect()
}

/// A class with a string key.
pub(super) fn simple_class(name: &'static str, superclass: Option<&'static str>) -> ClassDecl {
    let mut class = ClassDecl::new(name, superclass.map(ClassName::from));
    let mut id = PropertyDecl::new("Id", cim_model::CimType::String);
    id.qualifiers.push(Qualifier::new("Key", true));
    class.properties.push(id);
    class
        .properties
        .push(PropertyDecl::new("Count", cim_model::CimType::Uint32));
    class
}
