//! Instances out of MOF text, typed by the schema.
//!
//! DSP0004 lets an embedded instance be MOF, and clients from before 2010 send it so in string parameters.
//! The text comes from the network: it may declare nothing, include nothing and use no alias, which leaves
//! nothing that could loop; depth and size are bounded by `cim_mof::limits`.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use cim_model::{ArrayValue, CimType, Instance, ObjectPath, Scalar, Shape, Value};
use cim_mof::ast::{Initializer, InstanceItem, Literal};
use cim_mof::{Fault, MofError, Position, Rule, SourceMap};

use crate::class::{self, Class};
use crate::property::Property;

/// The name under which error messages show the text.
const NAME: &str = "embedded instance";

/// The instances that a MOF text consists of.
///
/// ```
/// let text = "instance of CIM_ResourceAllocationSettingData { ResourceType = 4; VirtualQuantity = 0x200; };";
/// let instances = cim_schema::instances_from_mof(text).unwrap();
/// assert_eq!(instances[0].get("VirtualQuantity").unwrap().as_u64(), Some(512));
/// ```
///
/// # Errors
/// When the text is not MOF, holds more than instances, or does not fit the schema; with line and column.
pub fn instances_from_mof(text: &str) -> Result<Vec<Instance>, MofError> {
    let items = cim_mof::parse_instances(text)?;
    let instances: Result<Vec<_>, Fault> = items.iter().map(instance).collect();
    instances.map_err(|fault| {
        let mut sources = SourceMap::new();
        sources.add(NAME, text);
        fault.locate(&sources)
    })
}

fn instance(item: &InstanceItem) -> Result<Instance, Fault> {
    let Some(class) = class::class(&item.class.text) else {
        return Err(Fault::new(
            item.class.at,
            Rule::UnknownClass,
            format!("an instance of `{}`", item.class.text),
            "a class of the schema",
        ));
    };
    let mut instance = Instance::new(class.name());
    for value in &item.values {
        let property = find(class, &value.name.text, value.name.at)?;
        if instance.get(property.name()).is_some() {
            return Err(Fault::new(
                value.name.at,
                Rule::Duplicate,
                format!("`{}` again", property.name()),
                "each property only once",
            ));
        }
        instance.set(property.name(), typed(&value.value, property)?);
    }
    Ok(instance)
}

fn find(class: Class, name: &str, at: Position) -> Result<Property, Fault> {
    class.property(name).ok_or_else(|| {
        Fault::new(
            at,
            Rule::Instance,
            format!(
                "the property `{name}`, which `{}` does not have",
                class.name()
            ),
            "a property of the class",
        )
    })
}

fn typed(value: &Initializer, property: Property) -> Result<Value, Fault> {
    let ty = property.value_type();
    match (&value.literal, ty.shape) {
        (Literal::Null, _) => Ok(Value::Null(ty)),
        (Literal::Array(elements), Shape::Array) => {
            let items = elements.iter().map(|element| match element.literal {
                Literal::Null => Ok(None),
                _ => scalar(element, property).map(Some),
            });
            let items = items.collect::<Result<Vec<_>, _>>()?;
            Ok(Value::Array(ArrayValue { ty: ty.ty, items }))
        }
        (_, Shape::Array) => Err(mismatch(value, "an array in braces")),
        (_, Shape::Scalar) => scalar(value, property).map(Value::Scalar),
    }
}

fn scalar(value: &Initializer, property: Property) -> Result<Scalar, Fault> {
    let ty = property.value_type().ty;
    let fit = match (&value.literal, ty) {
        (Literal::Boolean(b), CimType::Boolean) => Some(Scalar::Boolean(*b)),
        (Literal::Char(unit), CimType::Char16) => Some(Scalar::Char16(*unit)),
        (Literal::Text(text), CimType::String) => Some(Scalar::from(text.clone())),
        (Literal::Text(text), CimType::DateTime) => text.parse().ok().map(Scalar::DateTime),
        (Literal::Text(text), CimType::Reference) => {
            text.parse::<ObjectPath>().ok().map(Scalar::from)
        }
        (Literal::Integer(i), _) if ty.is_numeric() => integer(*i, ty),
        (Literal::Real(r), CimType::Real64) => Some(Scalar::Real64(*r)),
        (Literal::Real(r), CimType::Real32) => Scalar::Real64(*r).coerce(ty).ok(),
        (Literal::Instance(inner), CimType::String) if property.embedded_kind().is_some() => {
            Some(Scalar::from(instance(inner)?))
        }
        _ => None,
    };
    fit.ok_or_else(|| mismatch(value, format!("a value of type {ty}")))
}

fn integer(value: i128, ty: CimType) -> Option<Scalar> {
    let wide = match u64::try_from(value) {
        Ok(value) => Scalar::Uint64(value),
        Err(_) => Scalar::Sint64(i64::try_from(value).ok()?),
    };
    wide.coerce(ty).ok()
}

fn mismatch(value: &Initializer, expected: impl Into<String>) -> Fault {
    let found = match &value.literal {
        Literal::Null => "null".into(),
        Literal::Boolean(b) => format!("`{b}`"),
        Literal::Integer(i) => format!("the number {i}"),
        Literal::Real(r) => format!("the number {r}"),
        Literal::Char(_) => "a character".into(),
        Literal::Text(_) => "a string".into(),
        Literal::Alias(name) => format!("the alias `${name}`"),
        Literal::Instance(_) => "an instance".into(),
        Literal::Array(_) => "an array".into(),
    };
    Fault::new(value.at, Rule::ValueType, found, expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Result<Instance, MofError> {
        instances_from_mof(text).map(|mut all| all.remove(0))
    }

    #[test]
    fn the_forms_that_old_clients_send_are_read() {
        // The shape that libvirt-cim's own test suite sends in DefineSystem.
        let vm = one("instance of CIM_VirtualSystemSettingData {\n\
                      VirtualSystemIdentifier = \"test\";\nAutomaticStartupAction = 2;\n\
                      Notes = {\"a\", \"b\" \"c\"};\nElementName = NULL;\n};")
        .unwrap();
        assert_eq!(
            vm.get("virtualsystemidentifier").unwrap().as_str(),
            Some("test")
        );
        assert_eq!(vm.get("AutomaticStartupAction"), Some(&Value::from(2u16)));
        assert_eq!(vm.get("Notes"), Some(&Value::from(vec!["a", "bc"])));
        assert!(vm.get("ElementName").unwrap().is_null());
    }

    #[test]
    fn numbers_must_fit_their_property() {
        let error = one("instance of CIM_ResourceAllocationSettingData { ResourceType = 65536; };");
        assert_eq!(error.unwrap_err().rule, Rule::ValueType);
        let error = one("instance of CIM_ResourceAllocationSettingData { Limit = -1; };");
        assert_eq!(error.unwrap_err().rule, Rule::ValueType);
        let limit =
            one("instance of CIM_ResourceAllocationSettingData { Limit = 18446744073709551615; };");
        assert_eq!(
            limit.unwrap().get("Limit").unwrap().as_u64(),
            Some(u64::MAX)
        );
    }

    #[test]
    fn datetimes_and_nested_instances_are_typed() {
        let vm = one("instance of CIM_VirtualSystemSettingData {\n\
                      AutomaticStartupActionDelay = \"00000000000100.000000:000\"; };");
        let delay = vm.unwrap();
        assert!(
            delay
                .get("AutomaticStartupActionDelay")
                .unwrap()
                .as_datetime()
                .is_some()
        );
        let creation = one("instance of CIM_InstCreation {\n\
                            SourceInstance = instance of CIM_ComputerSystem { Name = \"x\"; }; };");
        let creation = creation.unwrap();
        let inner = creation
            .get("SourceInstance")
            .unwrap()
            .as_instance()
            .unwrap();
        assert_eq!(inner.get("Name").unwrap().as_str(), Some("x"));
    }

    #[test]
    fn errors_point_at_the_text() {
        let error = one("instance of CIM_ComputerSystem {\n  Nam = \"x\";\n};").unwrap_err();
        assert_eq!(
            (error.line, error.column, error.rule),
            (2, 3, Rule::Instance)
        );
        let error = one("instance of CIM_Nothing { };").unwrap_err();
        assert_eq!((error.column, error.rule), (13, Rule::UnknownClass));
        let error = one("instance of CIM_ComputerSystem { Roles = $a; };").unwrap_err();
        assert_eq!(error.rule, Rule::ValueType);
        let error = one("instance of CIM_ComputerSystem { Name = \"a\"; NAME = \"b\"; };");
        assert_eq!(error.unwrap_err().rule, Rule::Duplicate);
        assert_eq!(one("class X { };").unwrap_err().rule, Rule::Syntax);
        assert_eq!(
            one("#pragma include (\"x\")").unwrap_err().rule,
            Rule::Syntax
        );
    }
}
