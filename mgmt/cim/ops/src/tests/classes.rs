//! Classes, qualifier types, and instances of classes that clients made.

use super::world::{instances, simple_class, system, texts, world};
use crate::{
    AssociatorFilter, ClassView, Depth, InstanceView, MemoryStore, Operation, Record, Response,
    Store,
};
use cim_model::{
    CimStatus, CimType, ClassDecl, ClassName, Flavors, Instance, InstancePath, PropertyDecl,
    Qualifier, QualifierDecl, Scopes, Value,
};

fn class_names(response: Result<Response, cim_model::CimError>) -> Vec<String> {
    let Response::ClassNames(stream) = response.unwrap() else {
        panic!("not class names")
    };
    stream.map(|name| name.unwrap().to_string()).collect()
}

fn names(class: Option<&'static str>, depth: Depth) -> Operation {
    Operation::EnumerateClassNames {
        class: class.map(ClassName::from),
        depth,
    }
}

fn get_class(name: &'static str, view: ClassView) -> Operation {
    Operation::GetClass {
        class: name.into(),
        view,
    }
}

#[test]
fn the_schema_is_there() {
    let world = world();
    let Ok(Response::Class(class)) = world.run(get_class("cim_computersystem", ClassView::FULL))
    else {
        panic!()
    };
    assert!(class.property("EnabledState").unwrap().propagated);
    let local = ClassView {
        local_only: true,
        qualifiers: false,
        class_origin: false,
        properties: None,
    };
    let Ok(Response::Class(class)) = world.run(get_class("CIM_ComputerSystem", local)) else {
        panic!()
    };
    assert!(class.property("EnabledState").is_none() && class.qualifiers.is_empty());
    assert_eq!(
        world.status(get_class("CIM_Nothing", ClassView::FULL)),
        CimStatus::NotFound
    );
    assert_eq!(
        world.status(names(Some("CIM_Nothing"), Depth::Deep)),
        CimStatus::InvalidClass
    );
    let roots = class_names(world.run(names(None, Depth::Shallow)));
    let all = class_names(world.run(names(None, Depth::Deep)));
    assert!(roots.contains(&"CIM_ManagedElement".to_string()) && roots.len() < all.len());
    let below = class_names(world.run(names(Some("CIM_System"), Depth::Deep)));
    assert!(below.contains(&"CIM_ComputerSystem".to_string()));
}

#[test]
fn built_in_classes_and_qualifiers_cannot_be_changed() {
    let world = world();
    let class = || ClassDecl::new("CIM_System", None);
    assert_eq!(
        world.status(Operation::CreateClass { class: class() }),
        CimStatus::AlreadyExists
    );
    assert_eq!(
        world.status(Operation::ModifyClass { class: class() }),
        CimStatus::NotSupported
    );
    assert_eq!(
        world.status(Operation::DeleteClass {
            class: "CIM_System".into()
        }),
        CimStatus::NotSupported
    );
    let key = QualifierDecl::new("Key", CimType::Boolean, Scopes::ANY);
    assert_eq!(
        world.status(Operation::SetQualifier { qualifier: key }),
        CimStatus::NotSupported
    );
    assert_eq!(
        world.status(Operation::DeleteQualifier { name: "key".into() }),
        CimStatus::NotSupported
    );
    assert_eq!(
        world.status(Operation::DeleteQualifier {
            name: "None".into()
        }),
        CimStatus::NotFound
    );
}

#[test]
fn client_classes_inherit_from_the_schema() {
    let world = world();
    world.void(Operation::CreateClass {
        class: simple_class("TST_Thing", Some("CIM_ManagedElement")),
    });
    let Ok(Response::Class(class)) = world.run(get_class("TST_Thing", ClassView::FULL)) else {
        panic!()
    };
    let caption = class.property("Caption").unwrap();
    assert!(caption.propagated);
    assert_eq!(
        caption.class_origin.as_ref().unwrap().as_str(),
        "CIM_ManagedElement"
    );
    let local = ClassView {
        local_only: true,
        ..ClassView::FULL
    };
    let Ok(Response::Class(class)) = world.run(get_class("TST_Thing", local)) else {
        panic!()
    };
    assert_eq!(class.properties.len(), 2);
    let below = class_names(world.run(names(Some("CIM_ManagedElement"), Depth::Shallow)));
    assert!(below.contains(&"TST_Thing".to_string()));
    let create = |class| Operation::CreateClass { class };
    assert_eq!(
        world.status(create(simple_class("TST_Thing", None))),
        CimStatus::AlreadyExists
    );
    assert_eq!(
        world.status(create(simple_class("TST_B", Some("TST_None")))),
        CimStatus::InvalidSuperclass
    );
    let mut odd = simple_class("TST_B", None);
    odd.qualifiers.push(Qualifier::new("Undeclared", true));
    assert_eq!(world.status(create(odd)), CimStatus::InvalidParameter);
    let mut odd = simple_class("TST_B", Some("CIM_ManagedElement"));
    odd.properties
        .push(PropertyDecl::new("Caption", CimType::Uint8));
    assert_eq!(world.status(create(odd)), CimStatus::InvalidParameter);
    world.void(create(simple_class("TST_Sub", Some("TST_Thing"))));
    assert_eq!(
        world.status(Operation::DeleteClass {
            class: "TST_Thing".into()
        }),
        CimStatus::ClassHasChildren
    );
    world.void(Operation::DeleteClass {
        class: "tst_sub".into(),
    });
    world.void(Operation::DeleteClass {
        class: "TST_Thing".into(),
    });
    assert_eq!(
        world.status(get_class("TST_Thing", ClassView::FULL)),
        CimStatus::NotFound
    );
}

#[test]
fn instances_of_client_classes_are_stored() {
    let world = world();
    world.void(Operation::CreateClass {
        class: simple_class("TST_Thing", Some("CIM_ManagedElement")),
    });
    let thing = |id: &'static str| {
        Instance::new("TST_Thing")
            .with("Id", id)
            .with("Count", 7u32)
    };
    for id in ["b", "a"] {
        assert!(
            world
                .run(Operation::CreateInstance {
                    instance: thing(id)
                })
                .is_ok()
        );
    }
    assert_eq!(
        world.status(Operation::CreateInstance {
            instance: thing("a")
        }),
        CimStatus::AlreadyExists
    );
    let keyless = Instance::new("TST_Thing").with("Count", 1u32);
    assert_eq!(
        world.status(Operation::CreateInstance { instance: keyless }),
        CimStatus::InvalidParameter
    );
    let enumerate = || Operation::EnumerateInstances {
        class: "CIM_ManagedElement".into(),
        depth: Depth::Deep,
        view: InstanceView {
            class_origin: true,
            properties: Some(vec!["Id".into()]),
        },
    };
    let Ok(Response::NamedInstances(stream)) = world.run(enumerate()) else {
        panic!()
    };
    let found: Vec<_> = stream
        .map(Result::unwrap)
        .filter(|found| found.class == "TST_Thing")
        .collect();
    assert_eq!(texts(&found, "Id"), ["a", "b"]);
    assert_eq!(
        found[0].properties[0]
            .class_origin
            .as_ref()
            .unwrap()
            .as_str(),
        "TST_Thing"
    );
    let path = InstancePath::new("TST_Thing").with_key("Id", "a");
    world.void(Operation::ModifyInstance {
        instance: Instance::new("TST_Thing")
            .with("Count", 8u32)
            .with_path(path.clone()),
        properties: None,
    });
    let Ok(Response::Instance(found)) = world.run(Operation::GetInstance {
        path: path.clone(),
        view: InstanceView::default(),
    }) else {
        panic!()
    };
    assert_eq!(found.get("Count"), Some(&Value::from(8u32)));
    assert_eq!(
        world.status(Operation::DeleteClass {
            class: "TST_Thing".into()
        }),
        CimStatus::ClassHasInstances
    );
    world.void(Operation::DeleteInstance { path: path.clone() });
    assert_eq!(
        world.status(Operation::DeleteInstance { path }),
        CimStatus::NotFound
    );
}

#[test]
fn client_associations_are_found_by_looking() {
    let world = world();
    let mut class = ClassDecl::new("TST_Link", None);
    class.qualifiers.push(Qualifier::new("Association", true));
    for role in ["Left", "Right"] {
        let mut end = PropertyDecl::new(role, CimType::Reference);
        end.reference_class = Some("CIM_ComputerSystem".into());
        end.qualifiers.push(Qualifier::new("Key", true));
        class.properties.push(end);
    }
    world.void(Operation::CreateClass { class });
    let link = Instance::new("TST_Link")
        .with("Left", system("vm0"))
        .with("Right", system("vm1"));
    let Ok(Response::InstanceName(path)) = world.run(Operation::CreateInstance { instance: link })
    else {
        panic!()
    };
    assert_eq!(
        path.key("Left")
            .unwrap()
            .as_instance_path()
            .unwrap()
            .namespace
            .as_ref()
            .unwrap()
            .as_str(),
        "root/cimv2"
    );
    let operation = Operation::Associators {
        object: system("vm1").into(),
        filter: AssociatorFilter {
            association: Some("TST_Link".into()),
            ..AssociatorFilter::default()
        },
        view: InstanceView::default(),
    };
    assert_eq!(texts(&instances(world.run(operation)), "Name"), ["vm0"]);
}

#[test]
fn qualifier_types_can_be_set_and_deleted() {
    let world = world();
    let qualifier = QualifierDecl::new("TST_Mark", CimType::String, Scopes::CLASS);
    world.void(Operation::SetQualifier { qualifier });
    let Ok(Response::Qualifier(found)) = world.run(Operation::GetQualifier {
        name: "tst_mark".into(),
    }) else {
        panic!()
    };
    assert_eq!(found.flavors, Flavors::DEFAULT);
    let Ok(Response::Qualifiers(all)) = world.run(Operation::EnumerateQualifiers) else {
        panic!()
    };
    let all: Vec<_> = all.map(|decl| decl.unwrap().name.to_string()).collect();
    assert!(all.contains(&"TST_Mark".to_string()) && all.contains(&"Key".to_string()));
    world.void(Operation::DeleteQualifier {
        name: "TST_Mark".into(),
    });
    assert_eq!(
        world.status(Operation::GetQualifier {
            name: "TST_Mark".into()
        }),
        CimStatus::NotFound
    );
}

#[test]
fn qualifier_types_in_use_stay() {
    let world = world();
    let mark = || QualifierDecl::new("TST_Mark", CimType::String, Scopes::CLASS);
    world.void(Operation::SetQualifier { qualifier: mark() });
    let mut class = simple_class("TST_Thing", None);
    class.qualifiers.push(Qualifier::new("tst_mark", "x"));
    world.void(Operation::CreateClass {
        class: class.clone(),
    });
    let delete = || Operation::DeleteQualifier {
        name: "TST_Mark".into(),
    };
    assert_eq!(world.status(delete()), CimStatus::Failed);
    let other = QualifierDecl::new("TST_Mark", CimType::Boolean, Scopes::CLASS);
    assert_eq!(
        world.status(Operation::SetQualifier { qualifier: other }),
        CimStatus::Failed
    );
    world.void(Operation::SetQualifier { qualifier: mark() });
    let mut misplaced = simple_class("TST_Other", None);
    misplaced.properties[1]
        .qualifiers
        .push(Qualifier::new("TST_Mark", "x"));
    assert_eq!(
        world.status(Operation::CreateClass { class: misplaced }),
        CimStatus::InvalidParameter
    );
    world.void(Operation::DeleteClass {
        class: "TST_Thing".into(),
    });
    world.void(delete());
}

#[test]
fn a_record_that_no_longer_fits_does_not_keep_the_server_from_starting() {
    let mut store = MemoryStore::default();
    let orphan = simple_class("TST_Orphan", Some("CIM_Gone"));
    store
        .save(&Record::Class("root/cimv2".into(), orphan))
        .unwrap();
    let builder = crate::Builder::new(crate::Settings::new("h"), Box::new(store)).unwrap();
    assert_eq!(builder.catalog().borrow().unusable().len(), 1);
}

#[test]
fn what_clients_made_survives_a_restart() {
    let mut store = MemoryStore::default();
    let namespace = || "root/mine".into();
    store
        .save(&Record::Instance(
            Instance::new("TST_Thing").with("Id", "a").with_path(
                InstancePath::new("TST_Thing")
                    .with_namespace("root/mine")
                    .with_key("Id", "a"),
            ),
        ))
        .unwrap();
    store
        .save(&Record::Class(namespace(), simple_class("TST_Thing", None)))
        .unwrap();
    let key = QualifierDecl::new("Key", CimType::Boolean, Scopes::ANY);
    store.save(&Record::Qualifier(namespace(), key)).unwrap();
    store.save(&Record::Namespace(namespace())).unwrap();
    let operations = crate::Builder::new(crate::Settings::new("h"), Box::new(store))
        .unwrap()
        .build();
    let caller = world().caller();
    let request = crate::Request {
        namespace: namespace(),
        operation: Operation::EnumerateInstances {
            class: "TST_Thing".into(),
            depth: Depth::Deep,
            view: InstanceView::default(),
        },
    };
    assert_eq!(
        texts(&instances(operations.execute(&caller, request)), "Id"),
        ["a"]
    );
}
