//! GetInstance, enumerations, writes, methods, rights and the audit trail.

use super::world::{instances, system, texts, world};
use crate::{Argument, Depth, InstanceView, Operation, Response, Role};
use cim_model::{CimStatus, CimType, Instance, InstancePath, ObjectPath, Value};

fn get(path: InstancePath) -> Operation {
    Operation::GetInstance {
        path,
        view: InstanceView::default(),
    }
}

fn enumerate(class: &'static str) -> Operation {
    Operation::EnumerateInstances {
        class: class.into(),
        depth: Depth::Deep,
        view: InstanceView::default(),
    }
}

fn view(properties: &[&'static str]) -> InstanceView {
    let properties = properties.iter().map(|name| (*name).into()).collect();
    InstanceView {
        class_origin: false,
        properties: Some(properties),
    }
}

#[test]
fn an_instance_has_every_property_of_its_class() {
    let world = world();
    let Ok(Response::Instance(found)) = world.run(get(system("vm1"))) else {
        panic!()
    };
    assert_eq!(found.get("EnabledState").and_then(Value::as_u64), Some(3));
    assert_eq!(found.get("Caption"), Some(&Value::null(CimType::String)));
    let schema = cim_schema::class("CIM_ComputerSystem").unwrap();
    assert_eq!(found.properties.len(), schema.properties().count());
    let path = found.path.unwrap();
    assert_eq!(
        path.to_string(),
        format!(
            "//server.example:5988/{}",
            path.clone().to_local().with_namespace("root/cimv2")
        )
    );
}

#[test]
fn keys_may_come_in_any_spelling_and_type() {
    let world = world();
    let path = InstancePath::new("cim_computersystem")
        .with_host("elsewhere")
        .with_key("NAME", "vm1")
        .with_key("creationclassname", "CIM_ComputerSystem");
    assert!(world.run(get(path)).is_ok());
}

#[test]
fn errors_follow_the_order_namespace_class_instance() {
    let world = world();
    let unknown = InstancePath::new("CIM_Nothing").with_key("x", "y");
    let error = world
        .run_in("root/none", get(unknown.clone()))
        .err()
        .unwrap();
    assert_eq!(error.status, CimStatus::InvalidNamespace);
    assert_eq!(world.status(get(unknown)), CimStatus::InvalidClass);
    assert_eq!(world.status(get(system("nobody"))), CimStatus::NotFound);
    let incomplete = InstancePath::new("CIM_ComputerSystem").with_key("Name", "vm1");
    assert_eq!(world.status(get(incomplete)), CimStatus::InvalidParameter);
    assert_eq!(
        world.status(enumerate("CIM_Nothing")),
        CimStatus::InvalidClass
    );
    assert!(instances(world.run(enumerate("CIM_LogicalPort"))).is_empty());
}

#[test]
fn enumeration_includes_subclasses_and_trims_when_shallow() {
    let world = world();
    let found = instances(world.run(enumerate("CIM_System")));
    assert_eq!(texts(&found, "Name"), ["host", "vm0", "vm1", "vm2"]);
    assert!(
        found
            .iter()
            .all(|instance| instance.class == "CIM_ComputerSystem")
    );
    let shallow = Operation::EnumerateInstances {
        class: "CIM_System".into(),
        depth: Depth::Shallow,
        view: InstanceView::default(),
    };
    let found = instances(world.run(shallow));
    assert!(found[0].get("Dedicated").is_none() && found[0].get("Name").is_some());
    assert_eq!(found[0].class, "CIM_ComputerSystem");
}

#[test]
fn property_lists_are_case_insensitive_and_may_name_strangers() {
    let world = world();
    let operation = Operation::EnumerateInstances {
        class: "CIM_ComputerSystem".into(),
        depth: Depth::Deep,
        view: view(&["elementNAME", "Nonsense", "ElementName"]),
    };
    let found = instances(world.run(operation));
    assert_eq!(found[0].properties.len(), 1);
    assert_eq!(found[0].properties[0].name.as_str(), "ElementName");
    assert_eq!(found[0].path.as_ref().unwrap().keys().len(), 2);
    let none = Operation::GetInstance {
        path: system("vm1"),
        view: view(&[]),
    };
    let Ok(Response::Instance(found)) = world.run(none) else {
        panic!()
    };
    assert!(found.properties.is_empty());
}

#[test]
fn a_response_of_a_hundred_thousand_is_made_one_by_one() {
    let world = world();
    let Ok(Response::NamedInstances(mut stream)) = world.run(enumerate("CIM_LogicalDevice")) else {
        panic!()
    };
    assert_eq!(
        world.processors.made.get(),
        1,
        "only the first is made before the response begins"
    );
    stream.next().unwrap().unwrap();
    stream.next().unwrap().unwrap();
    assert_eq!(world.processors.made.get(), 2);
    assert_eq!(stream.count(), super::world::PROCESSORS - 2);
}

#[test]
fn instances_are_created_modified_and_deleted() {
    let world = world();
    let new = Instance::new("CIM_ComputerSystem").with("name", "vm9");
    let Ok(Response::InstanceName(path)) = world.run(Operation::CreateInstance {
        instance: new.clone(),
    }) else {
        panic!()
    };
    assert_eq!(path.key("Name").unwrap().as_str(), Some("vm9"));
    assert_eq!(
        world.status(Operation::CreateInstance { instance: new }),
        CimStatus::AlreadyExists
    );
    let change = |name: &'static str, value: Value| Operation::ModifyInstance {
        instance: Instance::new("CIM_ComputerSystem")
            .with(name, value)
            .with_path(system("vm9")),
        properties: None,
    };
    // A string where the schema has a number is read as the number.
    world.void(change("EnabledState", Value::from("2")));
    assert_eq!(world.systems.states.borrow()["vm9"], 2);
    assert_eq!(
        world.status(change("EnabledState", Value::from("on"))),
        CimStatus::TypeMismatch
    );
    assert_eq!(
        world.status(change("Nonsense", Value::from("x"))),
        CimStatus::NoSuchProperty
    );
    assert_eq!(
        world.status(change("Name", Value::from("vm8"))),
        CimStatus::InvalidParameter
    );
    world.void(change("Name", Value::from("vm9")));
    world.void(Operation::DeleteInstance {
        path: system("vm9"),
    });
    assert_eq!(
        world.status(Operation::DeleteInstance {
            path: system("vm9")
        }),
        CimStatus::NotFound
    );
    assert_eq!(
        world.status(change("EnabledState", Value::from(2u16))),
        CimStatus::NotFound
    );
    let port = Instance::new("CIM_NetworkPort");
    assert_eq!(
        world.status(Operation::CreateInstance { instance: port }),
        CimStatus::NotSupported
    );
}

#[test]
fn listed_properties_that_are_missing_are_reset() {
    let world = world();
    let operation = Operation::ModifyInstance {
        instance: Instance::new("CIM_ComputerSystem")
            .with("Caption", "x")
            .with_path(system("vm0")),
        properties: Some(vec!["EnabledState".into()]),
    };
    world.void(operation);
    assert_eq!(
        world.systems.states.borrow()["vm0"],
        5,
        "the default of EnabledState"
    );
}

#[test]
fn single_properties_can_be_read_and_written() {
    let world = world();
    let read = |property: &'static str| Operation::GetProperty {
        path: system("vm0"),
        property: property.into(),
    };
    let Ok(Response::Value(value)) = world.run(read("enabledstate")) else {
        panic!()
    };
    assert_eq!(value, Value::from(2u16));
    assert_eq!(world.status(read("Nonsense")), CimStatus::NoSuchProperty);
    world.void(Operation::SetProperty {
        path: system("vm0"),
        property: "EnabledState".into(),
        value: Some(Value::from("3")),
    });
    assert_eq!(world.systems.states.borrow()["vm0"], 3);
}

#[test]
fn methods_get_typed_arguments() {
    let world = world();
    let call =
        |object: ObjectPath, method: &'static str, arguments: Vec<Argument>| Operation::Invoke {
            object,
            method: method.into(),
            arguments,
        };
    let vm = || ObjectPath::Instance(system("vm1"));
    let state = || vec![Argument::new("requestedstate", "2")];
    let Ok(Response::Method(result)) = world.run(call(vm(), "requeststatechange", state())) else {
        panic!()
    };
    assert_eq!(result.value, Value::from(0u32));
    assert_eq!(world.systems.states.borrow()["vm1"], 2);
    let unknown = call(vm(), "Explode", vec![]);
    assert_eq!(world.status(unknown), CimStatus::MethodNotFound);
    let wrong = call(
        vm(),
        "RequestStateChange",
        vec![Argument::new("Colour", "red")],
    );
    assert_eq!(world.status(wrong), CimStatus::InvalidParameter);
    let wrong = call(
        vm(),
        "RequestStateChange",
        vec![Argument::new("RequestedState", "red")],
    );
    assert_eq!(world.status(wrong), CimStatus::InvalidParameter);
    let nobody = call(
        ObjectPath::Instance(system("nobody")),
        "RequestStateChange",
        state(),
    );
    assert_eq!(world.status(nobody), CimStatus::NotFound);
    let class = call(
        ObjectPath::Class(cim_model::ClassPath::new("CIM_ComputerSystem")),
        "RequestStateChange",
        state(),
    );
    assert_eq!(world.status(class), CimStatus::InvalidParameter);
    let processor = call(
        ObjectPath::Instance(super::world::processor(0)),
        "RequestStateChange",
        vec![],
    );
    assert_eq!(world.status(processor), CimStatus::MethodNotAvailable);
}

#[test]
fn roles_bound_what_a_client_may_do() {
    let world = world();
    world.role.set(Role::ReadOnly);
    assert!(world.run(get(system("vm1"))).is_ok());
    let delete = Operation::DeleteInstance {
        path: system("vm1"),
    };
    assert_eq!(world.status(delete.clone()), CimStatus::AccessDenied);
    world.role.set(Role::Operator);
    assert_eq!(
        world.status(Operation::DeleteClass {
            class: "CIM_X".into()
        }),
        CimStatus::AccessDenied
    );
    world.void(delete);
}

#[test]
fn every_change_leaves_an_audit_record() {
    let world = world();
    world.run(get(system("vm1"))).ok();
    world
        .run(Operation::DeleteInstance {
            path: system("nobody"),
        })
        .err();
    world.void(Operation::DeleteInstance {
        path: system("vm1"),
    });
    let failed = world.operations.take_audit().unwrap();
    assert_eq!(failed.failure, Some(CimStatus::NotFound));
    let done = world.operations.take_audit().unwrap();
    assert_eq!(
        (done.operation.as_str(), done.failure),
        ("DeleteInstance", None)
    );
    assert_eq!(
        done.target,
        "root/cimv2:CIM_ComputerSystem.CreationClassName=\"CIM_ComputerSystem\",Name=\"vm1\""
    );
    assert!(
        world.operations.take_audit().is_none(),
        "reading is not audited"
    );
}
