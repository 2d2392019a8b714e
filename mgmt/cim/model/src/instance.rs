//! Instances and their properties.

use crate::qualifier::find;
use crate::{ClassName, EmbeddedKind, InstancePath, PropertyName, Qualifier, Value, ValueType};
use alloc::vec::Vec;

/// An instance: its class, its properties in order, and its path when it is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Instance {
    /// The creation class.
    pub class: ClassName,
    /// The path, when the instance comes from or goes to a place.
    pub path: Option<InstancePath>,
    /// Qualifiers; deprecated on instances, read and otherwise ignored.
    pub qualifiers: Vec<Qualifier>,
    /// The properties, each name once.
    pub properties: Vec<Property>,
}

/// A property of an instance.
#[derive(Clone, Debug, PartialEq)]
pub struct Property {
    /// The name.
    pub name: PropertyName,
    /// The value with its type.
    pub value: Value,
    /// The class that first declared it, when asked for.
    pub class_origin: Option<ClassName>,
    /// Whether the value comes from a superclass (of no use on instances; kept because the DTD has it).
    pub propagated: bool,
    /// What kind of object a string property embeds. Give it also for NULL: clients decide by it.
    pub embedded: Option<EmbeddedKind>,
    /// The class that a reference property is declared to refer to.
    pub reference_class: Option<ClassName>,
    /// The size of a fixed-size array.
    pub array_size: Option<u32>,
    /// Qualifiers; deprecated on instances, read and otherwise ignored.
    pub qualifiers: Vec<Qualifier>,
}

impl Property {
    /// A property with a value; `embedded` follows the value.
    pub fn new(name: impl Into<PropertyName>, value: impl Into<Value>) -> Self {
        let value = value.into();
        Property {
            name: name.into(),
            embedded: value.embedded_kind(),
            value,
            class_origin: None,
            propagated: false,
            reference_class: None,
            array_size: None,
            qualifiers: Vec::new(),
        }
    }

    /// The type.
    pub const fn value_type(&self) -> ValueType {
        self.value.value_type()
    }
}

impl Instance {
    /// An instance without properties and path.
    pub fn new(class: impl Into<ClassName>) -> Self {
        Instance {
            class: class.into(),
            path: None,
            qualifiers: Vec::new(),
            properties: Vec::new(),
        }
    }

    /// The same instance with a property added or replaced.
    #[must_use]
    pub fn with(mut self, name: impl Into<PropertyName>, value: impl Into<Value>) -> Self {
        self.set(name, value);
        self
    }

    /// The same instance with a path.
    #[must_use]
    pub fn with_path(mut self, path: InstancePath) -> Self {
        self.path = Some(path);
        self
    }

    /// Adds a property or replaces the value of the one with that name.
    pub fn set(&mut self, name: impl Into<PropertyName>, value: impl Into<Value>) {
        let (name, value) = (name.into(), value.into());
        match self
            .properties
            .iter_mut()
            .find(|property| property.name == name)
        {
            Some(property) => {
                property.embedded = value.embedded_kind().or(property.embedded);
                property.value = value;
            }
            None => self.properties.push(Property::new(name, value)),
        }
    }

    /// The property of a name.
    pub fn property(&self, name: &str) -> Option<&Property> {
        self.properties
            .iter()
            .find(|property| property.name == *name)
    }

    /// The property of a name.
    pub fn property_mut(&mut self, name: &str) -> Option<&mut Property> {
        self.properties
            .iter_mut()
            .find(|property| property.name == *name)
    }

    /// The value of a property, NULL included; `None` when the instance does not carry the property.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.property(name).map(|property| &property.value)
    }

    /// Takes a property out.
    pub fn remove(&mut self, name: &str) -> Option<Property> {
        let index = self
            .properties
            .iter()
            .position(|property| property.name == *name)?;
        Some(self.properties.remove(index))
    }

    /// The qualifier of a name.
    pub fn qualifier(&self, name: &str) -> Option<&Qualifier> {
        find(&self.qualifiers, name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CimType;

    #[test]
    fn setting_twice_replaces_whatever_the_case() {
        let mut instance = Instance::new("C").with("Name", "a").with("NAME", "b");
        assert_eq!(instance.properties.len(), 1);
        assert_eq!(instance.get("name").and_then(Value::as_str), Some("b"));
        assert!(instance.remove("nAme").is_some());
        assert_eq!(instance.get("Name"), None);
    }

    #[test]
    fn a_null_in_an_embedded_property_stays_embedded() {
        let mut instance = Instance::new("C").with("Inner", Instance::new("D"));
        instance.set("Inner", Value::null(CimType::String));
        assert_eq!(
            instance.property("Inner").unwrap().embedded,
            Some(EmbeddedKind::Instance)
        );
    }
}
