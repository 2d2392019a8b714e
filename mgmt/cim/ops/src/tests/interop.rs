//! The Interop namespace: namespaces, the object manager, profiles across namespaces.

use super::world::{instances, interop_world, system, texts};
use crate::{AssociatorFilter, Depth, InstanceView, Operation, ReferenceFilter, Response, Role};
use cim_model::{CimStatus, Instance, InstancePath, ObjectPath, Value};

fn enumerate(class: &'static str) -> Operation {
    Operation::EnumerateInstances {
        class: class.into(),
        depth: Depth::Deep,
        view: InstanceView::default(),
    }
}

#[test]
fn namespaces_are_made_and_removed_as_instances() {
    let world = interop_world();
    let list = || instances(world.run_in("interop", enumerate("CIM_Namespace")));
    assert_eq!(texts(&list(), "Name"), ["interop", "root/cimv2"]);
    let new = || Operation::CreateInstance {
        instance: Instance::new("CIM_Namespace")
            .with("Name", "root/test")
            .with("ClassInfo", 0u16),
    };
    world.role.set(Role::Operator);
    assert_eq!(
        world.run_in("interop", new()).err().unwrap().status,
        CimStatus::AccessDenied
    );
    world.role.set(Role::Administrator);
    let Ok(Response::InstanceName(path)) = world.run_in("interop", new()) else {
        panic!()
    };
    assert_eq!(
        world.run_in("interop", new()).err().unwrap().status,
        CimStatus::AlreadyExists
    );
    assert_eq!(
        texts(&list(), "Name"),
        ["interop", "root/cimv2", "root/test"]
    );
    let names = Operation::EnumerateClassNames {
        class: None,
        depth: Depth::Deep,
    };
    let Ok(Response::ClassNames(stream)) = world.run_in("root/test", names) else {
        panic!()
    };
    assert_eq!(stream.count(), 0);
    let delete = |path: InstancePath| world.run_in("interop", Operation::DeleteInstance { path });
    let cimv2 = list()[1].path.clone().unwrap();
    assert_eq!(
        delete(cimv2).err().unwrap().status,
        CimStatus::NamespaceNotEmpty
    );
    assert!(delete(InstancePath::clone(&path)).is_ok());
    assert_eq!(
        delete(InstancePath::clone(&path)).err().unwrap().status,
        CimStatus::NotFound
    );
}

#[test]
fn there_is_one_object_manager() {
    let world = interop_world();
    let found = instances(world.run_in("interop", enumerate("CIM_ObjectManager")));
    assert_eq!(found.len(), 1);
    assert_eq!(
        texts(&found, "Description"),
        ["Test WBEM server version 1.2.3"]
    );
    let path = found[0].path.clone().unwrap();
    let count = |filter| {
        let operation = Operation::ReferenceNames {
            object: ObjectPath::Instance(path.clone()),
            filter,
        };
        let Ok(Response::Paths(stream)) = world.run_in("interop", operation) else {
            panic!()
        };
        stream.count()
    };
    assert_eq!(
        count(ReferenceFilter {
            result: Some("CIM_NamespaceInManager".into()),
            role: None
        }),
        2
    );
    assert_eq!(
        count(ReferenceFilter {
            result: Some("CIM_CommMechanismForManager".into()),
            role: None
        }),
        1
    );
    let change = |name: &'static str, value: Value| {
        let instance = Instance::new("CIM_ObjectManager")
            .with(name, value)
            .with_path(path.clone());
        world.run_in(
            "interop",
            Operation::ModifyInstance {
                instance,
                properties: None,
            },
        )
    };
    assert!(change("GatherStatisticalData", Value::from(true)).is_ok());
    assert_eq!(
        change("Started", Value::from(false)).err().unwrap().status,
        CimStatus::NotSupported
    );
}

#[test]
fn profiles_reach_into_other_namespaces() {
    let world = interop_world();
    let found = instances(world.run_in("interop", enumerate("CIM_RegisteredProfile")));
    assert_eq!(
        texts(&found, "RegisteredName"),
        [
            "System Virtualization",
            "Virtual System Profile",
            "Profile Registration",
            "WBEM Server Profile"
        ]
    );
    let profile = found[0].path.clone().unwrap();
    let conforms = || AssociatorFilter {
        association: Some("CIM_ElementConformsToProfile".into()),
        result_role: Some("ManagedElement".into()),
        ..AssociatorFilter::default()
    };
    let operation = Operation::Associators {
        object: profile.clone().into(),
        filter: conforms(),
        view: InstanceView::default(),
    };
    let central = instances(world.run_in("interop", operation));
    assert_eq!(texts(&central, "Name"), ["host"]);
    let path = central[0].path.as_ref().unwrap();
    assert_eq!(path.namespace.as_ref().unwrap().as_str(), "root/cimv2");
    let back = Operation::Associators {
        object: system("host").into(),
        filter: AssociatorFilter {
            association: Some("CIM_ElementConformsToProfile".into()),
            ..AssociatorFilter::default()
        },
        view: InstanceView::default(),
    };
    let back = instances(world.run(back));
    assert_eq!(texts(&back, "RegisteredName"), ["System Virtualization"]);
    assert_eq!(
        back[0]
            .path
            .as_ref()
            .unwrap()
            .namespace
            .as_ref()
            .unwrap()
            .as_str(),
        "interop"
    );
    let links = instances(world.run(Operation::References {
        object: system("host").into(),
        filter: ReferenceFilter {
            result: Some("CIM_ElementConformsToProfile".into()),
            role: None,
        },
        view: InstanceView::default(),
    }));
    let link = links[0].path.clone().unwrap();
    assert_eq!(link.namespace.as_ref().unwrap().as_str(), "interop");
    let get = Operation::GetInstance {
        path: link,
        view: InstanceView::default(),
    };
    assert!(world.run_in("interop", get).is_ok());
    let component = Operation::Associators {
        object: profile.into(),
        filter: AssociatorFilter {
            association: Some("CIM_ReferencedProfile".into()),
            result_role: Some("Antecedent".into()),
            ..AssociatorFilter::default()
        },
        view: InstanceView::default(),
    };
    let component = instances(world.run_in("interop", component));
    assert_eq!(
        texts(&component, "RegisteredName"),
        ["Virtual System Profile"]
    );
    let all = instances(world.run_in("interop", enumerate("CIM_ElementConformsToProfile")));
    assert_eq!(
        all.len(),
        9,
        "one host, three virtual systems, one server, four profiles"
    );
}

#[test]
fn the_audit_trail_is_a_log_that_clients_can_read() {
    let world = interop_world();
    let all = |class: &'static str| {
        instances(world.run_in(
            "interop",
            Operation::EnumerateInstances {
                class: class.into(),
                depth: Depth::Deep,
                view: InstanceView::default(),
            },
        ))
    };
    assert!(all("CIM_LogEntry").is_empty());
    let instance = Instance::new("CIM_ComputerSystem").with("Name", "new");
    assert!(world.run(Operation::CreateInstance { instance }).is_ok());
    let path = super::world::system("nobody");
    assert!(world.run(Operation::DeleteInstance { path }).is_err());
    let created = "tester@test CreateInstance root/cimv2:CIM_ComputerSystem.CreationClassName=\
                   \"CIM_ComputerSystem\",Name=\"new\": done";
    let entries = texts(&all("CIM_LogEntry"), "RecordData");
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[0], created, "with the path of what was made");
    assert!(entries[1].contains("Name=\"nobody\": "), "{}", entries[1]);
    let log = all("CIM_RecordLog").remove(0);
    assert_eq!(
        log.get("CurrentNumberOfRecords").and_then(Value::as_u64),
        Some(2)
    );
    let managed = Operation::Associators {
        object: log.path.clone().unwrap().into(),
        filter: crate::AssociatorFilter {
            association: Some("CIM_LogManagesRecord".into()),
            ..crate::AssociatorFilter::default()
        },
        view: InstanceView::default(),
    };
    assert_eq!(instances(world.run_in("interop", managed)).len(), 2);
    let entry = all("CIM_LogEntry").remove(0);
    let read = Operation::GetInstance {
        path: entry.path.clone().unwrap(),
        view: InstanceView::default(),
    };
    assert!(matches!(
        world.run_in("interop", read),
        Ok(Response::Instance(_))
    ));
    // What the server writes down is not taken away by readers.
    assert!(world.operations.take_audit().is_some());
}
