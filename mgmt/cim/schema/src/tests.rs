//! Tests over the real schema: each fact checked here is one that a client relies on.

use std::collections::BTreeSet;

use cim_model::{CimType, EmbeddedKind, PropertyName, Scopes, Value, ValueType};

use super::*;

fn find(name: &str) -> Class {
    class(name).unwrap()
}

#[test]
fn every_class_is_found_in_any_case() {
    for class in classes() {
        assert_eq!(super::class(class.name()), Some(class));
        assert_eq!(super::class(&class.name().to_uppercase()), Some(class));
    }
    assert_eq!(super::class("CIM_Nothing"), None);
    assert_eq!(super::class(""), None);
}

#[test]
fn the_schema_has_the_classes_of_the_profiles() {
    assert!(classes().len() >= 271, "{} classes", classes().len());
    for name in [
        "CIM_VirtualSystemMigrationService",
        "CIM_MostCurrentSnapshotInBranch",
        "CIM_SerialPort",
        "CIM_ListenerDestinationCIMXML",
        "CIM_WBEMServer",
        "CIM_ObjectManager",
        "CIM_VirtualEthernetSwitchSettingData",
    ] {
        assert!(class(name).is_some(), "{name}");
    }
}

#[test]
fn tables_stay_small() {
    // The partition keeps them in memory for good; growth should be a decision, not an accident.
    println!("{} classes in {TABLE_BYTES} bytes", classes().len());
    const { assert!(TABLE_BYTES < 400 << 10) };
}

#[test]
fn hierarchy_agrees_with_the_superclasses() {
    for class in classes() {
        let lineage: Vec<_> = class.lineage().collect();
        let below: BTreeSet<_> = class.descendants().map(Class::name).collect();
        let direct: BTreeSet<_> = class.subclasses().map(Class::name).collect();
        for other in classes() {
            let expected = other.lineage().any(|c| c == class);
            assert_eq!(other.is_a(class), expected, "{other:?} is a {class:?}");
            assert_eq!(
                below.contains(other.name()),
                expected && other != class,
                "{other:?} below {class:?}"
            );
            assert_eq!(
                direct.contains(other.name()),
                other.superclass() == Some(class)
            );
        }
        assert!(lineage.last().unwrap().superclass().is_none());
    }
    let reached: usize = roots().map(|root| 1 + root.descendants().count()).sum();
    assert_eq!(reached, classes().len());
}

#[test]
fn inherited_features_come_first_and_once() {
    for class in classes() {
        let names: Vec<_> = class
            .properties()
            .map(|p| p.name().to_lowercase())
            .collect();
        let unique: BTreeSet<_> = names.iter().collect();
        assert_eq!(names.len(), unique.len(), "{class:?}");
        let Some(superclass) = class.superclass() else {
            continue;
        };
        let above: Vec<_> = superclass
            .properties()
            .map(|p| p.name().to_lowercase())
            .collect();
        assert_eq!(names[..above.len()], above, "{class:?}");
    }
}

#[test]
fn overrides_keep_their_origin() {
    let rasd = find("CIM_ResourceAllocationSettingData");
    let id = rasd.property("InstanceID").unwrap();
    assert_eq!(id.declared_in().name(), "CIM_SettingData");
    assert_eq!(id.class_origin().name(), "CIM_ManagedElement");
    assert!(id.propagated() && id.is_key());
    let declared = find("CIM_SettingData").property("InstanceID").unwrap();
    assert!(!declared.propagated());
    assert_eq!(
        declared.overrides().unwrap().declared_in().name(),
        "CIM_ManagedElement"
    );
    assert!(
        !find("CIM_ManagedElement")
            .property("InstanceID")
            .unwrap()
            .is_key()
    );
}

#[test]
fn restricted_qualifiers_stay_with_their_class() {
    // Abstract and Override are Restricted, Association and Key are ToSubclass.
    let component = find("CIM_Component");
    assert!(component.is_abstract() && component.qualifier("Abstract").is_some());
    let concrete = find("CIM_ConcreteComponent");
    assert!(!concrete.is_abstract() && concrete.qualifier("Abstract").is_none());
    let association = concrete.qualifier("association").unwrap();
    assert_eq!(association.value().as_bool(), Some(true));
    assert!(!association.propagated(), "stated again in the subclass");
    assert_eq!(
        concrete
            .qualifiers()
            .filter(|q| q.name() == "Association")
            .count(),
        1
    );

    let key = |class: &str| find(class).property("InstanceID").unwrap().qualifier("Key");
    assert!(!key("CIM_SettingData").unwrap().propagated());
    assert!(key("CIM_VirtualSystemSettingData").unwrap().propagated());
    let inherited = find("CIM_VirtualSystemSettingData")
        .property("InstanceID")
        .unwrap();
    assert!(inherited.qualifier("Override").is_none());
    let stated = find("CIM_SettingData").property("InstanceID").unwrap();
    assert_eq!(
        stated.qualifier("Override").unwrap().value().as_str(),
        Some("InstanceID")
    );
}

#[test]
fn overriding_properties_inherit_what_they_do_not_state() {
    // The reference keeps the key qualifier of the association it narrows.
    let device = find("CIM_SystemDevice").property("PartComponent").unwrap();
    assert_eq!(
        device.reference_class().unwrap().name(),
        "CIM_LogicalDevice"
    );
    assert!(device.is_key());
    assert!(device.qualifier("Key").unwrap().propagated());
    assert!(!device.qualifier("Override").unwrap().propagated());
    assert!(device.local_qualifiers().all(|q| q.name() != "Key"));
}

#[test]
fn constants_have_the_types_of_their_declarations() {
    let pool = find("CIM_ResourcePool");
    let primordial = pool.property("Primordial").unwrap();
    assert_eq!(primordial.default_value().to_value(), Value::from(false));
    let capacity = pool.property("Capacity").unwrap();
    assert_eq!(capacity.value_type(), ValueType::scalar(CimType::Uint64));
    assert_eq!(
        capacity.default_value().to_value(),
        Value::null(CimType::Uint64)
    );
    let units = pool.property("ConsumedResourceUnits").unwrap();
    assert_eq!(units.default_value().as_str(), Some("count"));
    let types = pool.property("ResourceType").unwrap();
    let map = types.qualifier("ValueMap").unwrap().value();
    assert_eq!(map.value_type(), ValueType::array(CimType::String));
    assert_eq!(map.strings().next(), Some("1"));
    let max = find("CIM_HostedDependency")
        .property("Antecedent")
        .unwrap()
        .qualifier("Max")
        .unwrap()
        .value();
    assert_eq!(max.to_value(), Value::from(1u32));
}

#[test]
fn parameters_know_direction_and_embedding() {
    let define = find("CIM_VirtualSystemManagementService")
        .method("DefineSystem")
        .unwrap();
    assert_eq!(define.return_type(), CimType::Uint32);
    let settings = define.parameter("resourcesettings").unwrap();
    assert!(settings.is_input() && !settings.is_output());
    assert!(settings.value_type().is_array());
    assert_eq!(settings.embedded_kind(), Some(EmbeddedKind::Instance));
    let job = define.parameter("Job").unwrap();
    assert!(!job.is_input() && job.is_output());
    assert_eq!(job.reference_class().unwrap().name(), "CIM_ConcreteJob");
    let source = find("CIM_InstIndication")
        .property("SourceInstance")
        .unwrap();
    assert_eq!(source.embedded_kind(), Some(EmbeddedKind::Object));
}

#[test]
fn methods_are_inherited() {
    let system = find("CIM_ComputerSystem");
    let change = system.method("RequestStateChange").unwrap();
    assert!(change.propagated());
    assert_eq!(change.class_origin().name(), "CIM_EnabledLogicalElement");
    assert!(
        system
            .local_methods()
            .all(|m| m.name() != "RequestStateChange")
    );
}

#[test]
fn qualifier_types_are_complete() {
    assert_eq!(qualifier_types().count(), 70);
    let key = qualifier_type("key").unwrap();
    assert_eq!(key.scopes(), Scopes::PROPERTY | Scopes::REFERENCE);
    assert!(!key.flavors().overridable && key.flavors().to_subclass);
    assert_eq!(key.default_value().as_bool(), Some(false));
    assert_eq!(qualifier_type("Description").unwrap().scopes(), Scopes::ANY);
    assert!(!qualifier_type("Abstract").unwrap().flavors().to_subclass);
    assert!(qualifier_type("Values").unwrap().flavors().translatable);
    assert!(qualifier_type("ValueMap").unwrap().value_type().is_array());
}

#[test]
fn get_class_options_select_what_is_answered() {
    let service = find("CIM_VirtualSystemManagementService");
    let local = service.to_model(Detail {
        features: Features::Local,
        qualifiers: Qualifiers::Omit,
        origin: Origin::Omit,
        properties: None,
    });
    assert!(local.properties.is_empty(), "it declares methods only");
    assert_eq!(local.methods.len(), 6);
    assert!(local.qualifiers.is_empty());
    assert!(
        local
            .methods
            .iter()
            .all(|m| m.class_origin.is_none() && !m.propagated)
    );

    let full = service.to_model(Detail::FULL);
    assert_eq!(full.superclass.as_ref().unwrap().as_str(), "CIM_Service");
    assert!(full.keys().count() == 4);
    let state = full.property("EnabledState").unwrap();
    assert!(state.propagated);
    assert_eq!(
        state.class_origin.as_ref().unwrap().as_str(),
        "CIM_EnabledLogicalElement"
    );
    assert!(state.qualifiers.iter().all(|q| q.propagated));

    let names = [PropertyName::from("NAME"), PropertyName::from("Nothing")];
    let some = service.to_model(Detail {
        properties: Some(&names),
        ..Detail::FULL
    });
    assert_eq!(some.properties.len(), 1);
    assert_eq!(some.methods.len(), full.methods.len());
}

#[test]
fn every_class_and_feature_is_described() {
    let described = |qualifier: Option<Qualifier>| {
        qualifier
            .and_then(|q| q.value().as_str())
            .is_some_and(|text| text.ends_with('.'))
    };
    for class in classes() {
        let local = class.local_qualifiers().find(|q| q.name() == "Description");
        assert!(described(local), "{class:?}");
        for property in class.local_properties() {
            assert!(described(property.qualifier("Description")), "{property:?}");
        }
        for method in class.local_methods() {
            assert!(described(method.qualifier("Description")), "{method:?}");
        }
    }
}
