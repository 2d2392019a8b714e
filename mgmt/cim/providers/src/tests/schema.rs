//! What is shown is what the schema allows: names, types, and values of value maps.

use super::fixture::{all, world};
use crate::{faults, links, shown};
use cim_domain::{Problem, ProblemKind};
use cim_model::{Instance, Value};

/// Compares a value with its declaration.
fn check(class: &str, name: &str, value: &Value) {
    let declared = cim_schema::class(class).unwrap();
    let property = declared.property(name);
    let property = property.unwrap_or_else(|| panic!("{class} has no property {name}"));
    assert_eq!(property.value_type(), value.value_type(), "{class}.{name}");
    if property.qualifier("ValueMap").is_none() {
        return;
    }
    let numbers: Vec<i128> = match value {
        Value::Null(_) => vec![],
        Value::Scalar(scalar) => scalar.as_integer().into_iter().collect(),
        Value::Array(array) => {
            let items = array.items.iter().flatten();
            items.filter_map(|item| item.as_integer()).collect()
        }
    };
    for number in numbers {
        let meaning = property.meaning(number);
        let meaning = meaning.unwrap_or_else(|| panic!("{class}.{name} has no value {number}"));
        assert!(
            !meaning.contains("Reserved"),
            "{class}.{name} = {number}: {meaning}"
        );
    }
}

fn check_all(instance: &Instance) {
    for property in &instance.properties {
        check(
            instance.class.as_str(),
            property.name.as_str(),
            &property.value,
        );
    }
    let declared = cim_schema::class(instance.class.as_str()).unwrap();
    for property in declared.properties() {
        let name = property.name();
        let required =
            property.qualifier("Required").is_some() || property.qualifier("Key").is_some();
        let given = instance.get(name).is_some_and(|value| !value.is_null());
        assert!(given || !required, "{} lacks {name}", instance.class);
    }
}

#[test]
fn every_instance_has_the_properties_and_values_of_its_class() {
    let domain = world();
    let elements = all(&domain);
    assert!(elements.len() > 200, "{}", elements.len());
    for element in &elements {
        let instance = shown::instance(&domain, element).unwrap();
        check_all(&instance);
        let class = cim_schema::class(instance.class.as_str()).unwrap();
        assert!(!class.is_abstract(), "{}", instance.class);
    }
}

#[test]
fn every_class_shows_something() {
    let domain = world();
    for class in crate::elements::CLASSES {
        let class = cim_model::ClassName::from_static(class);
        assert!(
            !crate::elements::of_class(&domain, &class).is_empty(),
            "{class}"
        );
    }
}

#[test]
fn errors_are_instances_of_cim_error() {
    use ProblemKind::*;
    for kind in [
        Invalid,
        NotFound,
        Exists,
        State,
        Busy,
        Unsupported,
        Resources,
        Store,
        TimedOut,
        Guest,
        Machine,
    ] {
        let problem = Problem::new(kind, "BH-X", "What", "Fix");
        check_all(&faults::instance(&problem));
    }
}

#[test]
fn associations_fit_their_classes_and_lead_back() {
    let domain = world();
    for shape in links::shapes() {
        let class = cim_schema::class(shape.class).unwrap();
        assert!(
            class.is_association() && !class.is_abstract(),
            "{}",
            shape.class
        );
        for (role, end) in shape.ends {
            let reference = class.property(role).unwrap().reference_class().unwrap();
            assert!(
                cim_schema::is_a(end, reference.name()),
                "{}.{role}: {end}",
                shape.class
            );
        }
        let mut count = 0;
        for source in (shape.sources)(&domain) {
            let own = source.class(&domain).unwrap();
            assert!(
                cim_schema::is_a(own.as_str(), shape.ends[0].1),
                "{}: {own}",
                shape.class
            );
            for near in (shape.forward)(&domain, &source) {
                count += 1;
                let far = near.element.class(&domain).unwrap();
                assert!(
                    cim_schema::is_a(far.as_str(), shape.ends[1].1),
                    "{}: {far}",
                    shape.class
                );
                for property in &near.properties {
                    check(shape.class, property.name.as_str(), &property.value);
                }
                let back = (shape.backward)(&domain, &near.element);
                let back = back.into_iter().find(|link| link.element == source);
                let back = back.unwrap_or_else(|| {
                    panic!("{}: no way back from {:?}", shape.class, near.element)
                });
                assert_eq!(back.properties, near.properties, "{}", shape.class);
            }
        }
        assert!(count > 0, "{} links nothing", shape.class);
        // Backward finds nothing that forward does not.
        for element in all(&domain) {
            for near in (shape.backward)(&domain, &element) {
                let forward = (shape.forward)(&domain, &near.element);
                assert!(
                    forward.iter().any(|link| link.element == element),
                    "{}: {element:?}",
                    shape.class
                );
                assert!(
                    (shape.sources)(&domain).contains(&near.element),
                    "{}: {:?}",
                    shape.class,
                    near.element
                );
            }
        }
    }
}
