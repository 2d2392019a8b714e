//! Associators, References, their Names, and their class forms.

use super::world::{PROCESSORS, instances, processor, system, texts, world};
use crate::{AssociatorFilter, Depth, InstanceView, Operation, ReferenceFilter, Response};
use cim_model::{CimStatus, ClassPath, InstancePath, ObjectPath, Value};

fn associators(object: impl Into<ObjectPath>, filter: AssociatorFilter) -> Operation {
    Operation::Associators {
        object: object.into(),
        filter,
        view: InstanceView::default(),
    }
}

fn of_class(association: &'static str) -> AssociatorFilter {
    AssociatorFilter {
        association: Some(association.into()),
        ..AssociatorFilter::default()
    }
}

fn names(response: Result<Response, cim_model::CimError>) -> Vec<ObjectPath> {
    let Response::Paths(stream) = response.unwrap() else {
        panic!("not paths")
    };
    stream.collect::<Result<_, _>>().unwrap()
}

#[test]
fn associators_walk_both_ways() {
    let world = world();
    let found = instances(world.run(associators(
        system("host"),
        of_class("CIM_HostedDependency"),
    )));
    assert_eq!(texts(&found, "Name"), ["vm0", "vm1", "vm2"]);
    let found = instances(world.run(associators(system("vm1"), of_class("CIM_HostedDependency"))));
    assert_eq!(texts(&found, "Name"), ["host"]);
    let found = instances(world.run(associators(processor(4), AssociatorFilter::default())));
    assert_eq!(texts(&found, "Name"), ["vm1"]);
}

#[test]
fn filters_include_superclasses_and_ignore_case() {
    let world = world();
    let filter = |association: Option<&'static str>,
                  result: Option<&'static str>,
                  role: Option<&'static str>,
                  far: Option<&'static str>| {
        AssociatorFilter {
            association: association.map(Into::into),
            result: result.map(Into::into),
            role: role.map(Into::into),
            result_role: far.map(Into::into),
        }
    };
    let count = |filter| instances(world.run(associators(system("host"), filter))).len();
    assert_eq!(count(filter(Some("cim_dependency"), None, None, None)), 3);
    assert_eq!(
        count(filter(
            None,
            Some("CIM_System"),
            Some("ANTECEDENT"),
            Some("dependent")
        )),
        3
    );
    assert_eq!(count(filter(None, Some("CIM_Processor"), None, None)), 0);
    assert_eq!(
        count(filter(
            Some("CIM_HostedDependency"),
            None,
            Some("Dependent"),
            None
        )),
        0
    );
    assert_eq!(
        count(filter(
            Some("CIM_HostedDependency"),
            None,
            None,
            Some("Antecedent")
        )),
        0
    );
    let bad = associators(
        system("host"),
        filter(Some("CIM_Nothing"), None, None, None),
    );
    assert_eq!(world.status(bad), CimStatus::InvalidParameter);
    let bad = associators(
        InstancePath::new("CIM_Nothing").with_key("x", "y"),
        AssociatorFilter::default(),
    );
    assert_eq!(world.status(bad), CimStatus::InvalidParameter);
    let nobody = associators(system("nobody"), of_class("CIM_HostedDependency"));
    assert!(instances(world.run(nobody)).is_empty());
}

#[test]
fn references_are_instances_that_can_be_fetched() {
    let world = world();
    let operation = Operation::References {
        object: system("host").into(),
        filter: ReferenceFilter {
            result: Some("CIM_Dependency".into()),
            role: None,
        },
        view: InstanceView::default(),
    };
    let found = instances(world.run(operation));
    assert_eq!(found.len(), 3);
    let path = found[1].path.clone().unwrap();
    let Ok(Response::Instance(link)) = world.run(Operation::GetInstance {
        path: path.clone(),
        view: InstanceView::default(),
    }) else {
        panic!("{path}")
    };
    let far = link
        .get("Dependent")
        .and_then(Value::as_instance_path)
        .unwrap();
    assert_eq!(far.key("Name").unwrap().as_str(), Some("vm1"));
    assert_eq!(far.namespace.as_ref().unwrap().as_str(), "root/cimv2");
    let backwards = path
        .clone()
        .with_key("Antecedent", system("vm1").with_namespace("root/cimv2"));
    let get = Operation::GetInstance {
        path: backwards,
        view: InstanceView::default(),
    };
    assert_eq!(world.status(get), CimStatus::NotFound);
    let links = names(world.run(Operation::ReferenceNames {
        object: system("vm1").into(),
        filter: ReferenceFilter {
            result: Some("CIM_HostedDependency".into()),
            role: Some("Dependent".into()),
        },
    }));
    assert_eq!(links, [ObjectPath::Instance(path)]);
}

#[test]
fn association_classes_can_be_enumerated() {
    let world = world();
    let operation = |class: &'static str| Operation::EnumerateInstances {
        class: class.into(),
        depth: Depth::Deep,
        view: InstanceView::default(),
    };
    let found = instances(world.run(operation("CIM_HostedDependency")));
    assert_eq!(found.len(), 3);
    let Ok(Response::NamedInstances(stream)) = world.run(operation("CIM_SystemDevice")) else {
        panic!()
    };
    assert_eq!(stream.count(), PROCESSORS);
}

#[test]
fn names_carry_host_and_namespace() {
    let world = world();
    let found = names(world.run(Operation::AssociatorNames {
        object: system("host").into(),
        filter: of_class("CIM_HostedDependency"),
    }));
    assert_eq!(found.len(), 3);
    assert!(
        found
            .iter()
            .all(|path| path.host().unwrap().as_str() == "server.example:5988")
    );
    assert_eq!(found[0].namespace().unwrap().as_str(), "root/cimv2");
}

#[test]
fn classes_have_associations_too() {
    let world = world();
    let class = || ObjectPath::Class(ClassPath::new("CIM_ComputerSystem"));
    let found = names(world.run(Operation::ReferenceNames {
        object: class(),
        filter: ReferenceFilter {
            result: Some("CIM_SystemDevice".into()),
            role: None,
        },
    }));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].class().as_str(), "CIM_SystemDevice");
    let found = names(world.run(Operation::AssociatorNames {
        object: class(),
        filter: of_class("CIM_SystemDevice"),
    }));
    assert_eq!(
        found
            .iter()
            .map(|path| path.class().as_str())
            .collect::<Vec<_>>(),
        ["CIM_LogicalDevice"]
    );
    let Ok(Response::ClassesWithPath(classes)) =
        world.run(associators(class(), of_class("CIM_SystemDevice")))
    else {
        panic!()
    };
    assert!(classes[0].path.as_ref().unwrap().host.is_some());
    let bad = Operation::ReferenceNames {
        object: ObjectPath::Class(ClassPath::new("CIM_Nothing")),
        filter: ReferenceFilter::default(),
    };
    assert_eq!(world.status(bad), CimStatus::InvalidParameter);
}
