//! Embedded instances that clients send as plain strings: XML without the attribute that says so, or MOF, as the
//! clients of libvirt-cim do.

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;
use cim_model::{
    ArrayValue, CimType, ClassName, Instance, ObjectPath, Property, PropertyName, Scalar, Shape,
    Text, Value, ValueType,
};
use cim_mof::ast::{InstanceItem, Literal};

/// Reads an embedded object from a plain string, to be given to [`cim_ops::Builder::embedded`]; `None` if it is
/// neither. MOF has no types of its own, so its instances must be of classes of the built-in schema.
pub fn read_embedded(text: &str) -> Option<Scalar> {
    if text.trim_start().starts_with('<') {
        return cim_xml::parse_embedded(text).ok();
    }
    let mut found = cim_mof::parse_instances(text).ok()?;
    match (found.pop(), found.is_empty()) {
        (Some(only), true) => Some(Scalar::Instance(Box::new(instance(only)?))),
        _ => None,
    }
}

fn instance(item: InstanceItem) -> Option<Instance> {
    let class = cim_schema::class(&item.class.text)?;
    let mut instance = Instance::new(ClassName::from_static(class.name()));
    for given in item.values {
        let declared = class.property(&given.name.text)?;
        let value = value(declared.value_type(), given.value.literal)?;
        let name = PropertyName::from_static(declared.name());
        if instance.property(declared.name()).is_some() {
            return None;
        }
        instance.properties.push(Property {
            embedded: declared.embedded_kind(),
            ..Property::new(name, value)
        });
    }
    Some(instance)
}

fn value(ty: ValueType, literal: Literal) -> Option<Value> {
    Some(match (ty.shape, literal) {
        (_, Literal::Null) => Value::Null(ty),
        (Shape::Array, Literal::Array(items)) => {
            let items = items.into_iter().map(|item| match item.literal {
                Literal::Null => Some(None),
                literal => scalar(ty.ty, literal).map(Some),
            });
            Value::Array(ArrayValue {
                ty: ty.ty,
                items: items.collect::<Option<Vec<_>>>()?,
            })
        }
        (Shape::Array, _) | (Shape::Scalar, Literal::Array(_)) => return None,
        (Shape::Scalar, literal) => Value::Scalar(scalar(ty.ty, literal)?),
    })
}

fn scalar(ty: CimType, literal: Literal) -> Option<Scalar> {
    match literal {
        Literal::Boolean(value) if ty == CimType::Boolean => Some(Scalar::Boolean(value)),
        Literal::Integer(value) if ty.is_numeric() => Scalar::parse(ty, &value.to_string()).ok(),
        Literal::Real(value) if ty == CimType::Real32 => Some(Scalar::Real32(value as f32)),
        Literal::Real(value) if ty == CimType::Real64 => Some(Scalar::Real64(value)),
        Literal::Char(unit) if ty == CimType::Char16 => Some(Scalar::Char16(unit)),
        Literal::Text(text) if ty == CimType::String => Some(Scalar::String(Text::from(text))),
        Literal::Text(text) if ty == CimType::Reference => {
            let path: ObjectPath = text.parse().ok()?;
            Some(Scalar::Reference(Box::new(path)))
        }
        // A quoted number is what old clients mean by one.
        Literal::Text(text) => Scalar::parse(ty, &text).ok(),
        Literal::Instance(item) if ty == CimType::String => {
            Some(Scalar::Instance(Box::new(instance(*item)?)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Instance> {
        match read_embedded(text) {
            Some(Scalar::Instance(instance)) => Some(*instance),
            _ => None,
        }
    }

    #[test]
    fn mof_instances_get_the_types_of_the_schema() {
        let found = read(
            "instance of cim_resourceallocationsettingdata {\n  InstanceID = \"vm/mem\"; ResourceType = 4;\n  \
             VirtualQuantity = \"512\"; HostResource = {\"a\", \"b\"}; Parent = null; };",
        )
        .unwrap();
        assert_eq!(found.class.as_str(), "CIM_ResourceAllocationSettingData");
        assert_eq!(found.get("ResourceType"), Some(&Value::from(4u16)));
        assert_eq!(found.get("VirtualQuantity"), Some(&Value::from(512u64)));
        assert_eq!(
            found.get("HostResource"),
            Some(&Value::from(vec!["a", "b"]))
        );
        assert_eq!(found.get("Parent"), Some(&Value::null(CimType::String)));
    }

    #[test]
    fn xml_without_its_attribute_is_read() {
        let found = read("  <INSTANCE CLASSNAME=\"CIM_System\"></INSTANCE>").unwrap();
        assert_eq!(found.class.as_str(), "CIM_System");
    }

    #[test]
    fn what_is_neither_is_refused() {
        for text in [
            "",
            "hello",
            "<INSTANCE>",
            "instance of CIM_Nothing { };",
            "instance of CIM_System { Nonsense = 1; };",
            "instance of CIM_System { EnabledState = 70000; };",
            "instance of CIM_System { EnabledState = {2}; };",
            "instance of CIM_System { Name = 2; };",
            "instance of CIM_System { Name = \"a\"; Name = \"b\"; };",
            "instance of CIM_System { }; instance of CIM_System { };",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
