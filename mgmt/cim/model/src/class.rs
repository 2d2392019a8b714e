//! Class declarations: properties, methods and parameters with their qualifiers.

use crate::qualifier::find;
use crate::{
    CimType, ClassName, ClassPath, EmbeddedKind, MethodName, ParameterName, PropertyName,
    Qualifier, Value, ValueType,
};
use alloc::vec::Vec;

/// A class as GetClass answers it and CreateClass takes it.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassDecl {
    /// The name.
    pub name: ClassName,
    /// The superclass; `None` for a top-level class.
    pub superclass: Option<ClassName>,
    /// The path, when the class comes from or goes to a place.
    pub path: Option<ClassPath>,
    /// The qualifiers of the class itself.
    pub qualifiers: Vec<Qualifier>,
    /// The properties, each name once.
    pub properties: Vec<PropertyDecl>,
    /// The methods, each name once.
    pub methods: Vec<MethodDecl>,
}

/// A property of a class.
#[derive(Clone, Debug, PartialEq)]
pub struct PropertyDecl {
    /// The name.
    pub name: PropertyName,
    /// The type.
    pub ty: ValueType,
    /// The default value; NULL when there is none.
    pub default: Value,
    /// The class that first declared it, when asked for.
    pub class_origin: Option<ClassName>,
    /// Whether it was inherited unchanged.
    pub propagated: bool,
    /// The class that a reference refers to.
    pub reference_class: Option<ClassName>,
    /// The size of a fixed-size array.
    pub array_size: Option<u32>,
    /// The qualifiers.
    pub qualifiers: Vec<Qualifier>,
}

/// A method of a class.
#[derive(Clone, Debug, PartialEq)]
pub struct MethodDecl {
    /// The name.
    pub name: MethodName,
    /// The type of the return value; never an array, never a reference.
    pub return_type: CimType,
    /// The class that first declared it, when asked for.
    pub class_origin: Option<ClassName>,
    /// Whether it was inherited unchanged.
    pub propagated: bool,
    /// The qualifiers.
    pub qualifiers: Vec<Qualifier>,
    /// The parameters in order.
    pub parameters: Vec<ParameterDecl>,
}

/// A parameter of a method.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterDecl {
    /// The name.
    pub name: ParameterName,
    /// The type.
    pub ty: ValueType,
    /// The class that a reference refers to.
    pub reference_class: Option<ClassName>,
    /// The size of a fixed-size array.
    pub array_size: Option<u32>,
    /// The qualifiers, In and Out among them.
    pub qualifiers: Vec<Qualifier>,
}

/// What the EmbeddedInstance and EmbeddedObject qualifiers say about a string element.
fn embedded_kind(qualifiers: &[Qualifier]) -> Option<EmbeddedKind> {
    let set = |name| find(qualifiers, name).is_some_and(|qualifier| !qualifier.value.is_null());
    if set("EmbeddedInstance") {
        return Some(EmbeddedKind::Instance);
    }
    let object = find(qualifiers, "EmbeddedObject").and_then(|found| found.value.as_bool());
    object.unwrap_or(false).then_some(EmbeddedKind::Object)
}

fn flag(qualifiers: &[Qualifier], name: &str) -> Option<bool> {
    find(qualifiers, name).and_then(|qualifier| qualifier.value.as_bool())
}

impl ClassDecl {
    /// A class without members.
    pub fn new(name: impl Into<ClassName>, superclass: Option<ClassName>) -> Self {
        ClassDecl {
            name: name.into(),
            superclass,
            path: None,
            qualifiers: Vec::new(),
            properties: Vec::new(),
            methods: Vec::new(),
        }
    }

    /// The property of a name.
    pub fn property(&self, name: &str) -> Option<&PropertyDecl> {
        self.properties
            .iter()
            .find(|property| property.name == *name)
    }

    /// The method of a name.
    pub fn method(&self, name: &str) -> Option<&MethodDecl> {
        self.methods.iter().find(|method| method.name == *name)
    }

    /// The qualifier of a name.
    pub fn qualifier(&self, name: &str) -> Option<&Qualifier> {
        find(&self.qualifiers, name)
    }

    /// Whether the class carries the Association qualifier.
    pub fn is_association(&self) -> bool {
        flag(&self.qualifiers, "Association").unwrap_or(false)
    }

    /// Whether the class carries the Indication qualifier.
    pub fn is_indication(&self) -> bool {
        flag(&self.qualifiers, "Indication").unwrap_or(false)
    }

    /// The key properties in the order of declaration.
    pub fn keys(&self) -> impl Iterator<Item = &PropertyDecl> {
        self.properties.iter().filter(|property| property.is_key())
    }
}

impl PropertyDecl {
    /// A property without default, origin and qualifiers.
    pub fn new(name: impl Into<PropertyName>, ty: impl Into<ValueType>) -> Self {
        let ty = ty.into();
        PropertyDecl {
            name: name.into(),
            ty,
            default: Value::Null(ty),
            class_origin: None,
            propagated: false,
            reference_class: None,
            array_size: None,
            qualifiers: Vec::new(),
        }
    }

    /// The qualifier of a name.
    pub fn qualifier(&self, name: &str) -> Option<&Qualifier> {
        find(&self.qualifiers, name)
    }

    /// Whether the property carries the Key qualifier.
    pub fn is_key(&self) -> bool {
        flag(&self.qualifiers, "Key").unwrap_or(false)
    }

    /// What a string property embeds, by its qualifiers.
    pub fn embedded_kind(&self) -> Option<EmbeddedKind> {
        embedded_kind(&self.qualifiers)
    }
}

impl MethodDecl {
    /// A method without parameters and qualifiers.
    pub fn new(name: impl Into<MethodName>, return_type: CimType) -> Self {
        MethodDecl {
            name: name.into(),
            return_type,
            class_origin: None,
            propagated: false,
            qualifiers: Vec::new(),
            parameters: Vec::new(),
        }
    }

    /// The parameter of a name.
    pub fn parameter(&self, name: &str) -> Option<&ParameterDecl> {
        self.parameters
            .iter()
            .find(|parameter| parameter.name == *name)
    }

    /// The qualifier of a name.
    pub fn qualifier(&self, name: &str) -> Option<&Qualifier> {
        find(&self.qualifiers, name)
    }

    /// Whether the method may be called on the class.
    pub fn is_static(&self) -> bool {
        flag(&self.qualifiers, "Static").unwrap_or(false)
    }
}

impl ParameterDecl {
    /// A parameter without qualifiers.
    pub fn new(name: impl Into<ParameterName>, ty: impl Into<ValueType>) -> Self {
        ParameterDecl {
            name: name.into(),
            ty: ty.into(),
            reference_class: None,
            array_size: None,
            qualifiers: Vec::new(),
        }
    }

    /// The qualifier of a name.
    pub fn qualifier(&self, name: &str) -> Option<&Qualifier> {
        find(&self.qualifiers, name)
    }

    /// Whether the caller gives the parameter: the In qualifier, true when missing (DSP0004 5.6.3.21).
    pub fn is_input(&self) -> bool {
        flag(&self.qualifiers, "In").unwrap_or(true)
    }

    /// Whether the method returns the parameter: the Out qualifier, false when missing.
    pub fn is_output(&self) -> bool {
        flag(&self.qualifiers, "Out").unwrap_or(false)
    }

    /// What a string parameter embeds, by its qualifiers.
    pub fn embedded_kind(&self) -> Option<EmbeddedKind> {
        embedded_kind(&self.qualifiers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn qualifiers_decide_what_members_are() {
        let mut property = PropertyDecl::new("Id", CimType::String);
        assert!(!property.is_key());
        property.qualifiers.push(Qualifier::new("KEY", true));
        property
            .qualifiers
            .push(Qualifier::new("EmbeddedInstance", "CIM_Error"));
        assert!(property.is_key());
        assert_eq!(property.embedded_kind(), Some(EmbeddedKind::Instance));

        let mut class = ClassDecl::new("C", None);
        class.properties.push(property);
        class.qualifiers.push(Qualifier::new("Association", false));
        assert!(!class.is_association());
        assert_eq!(class.keys().count(), 1);

        let mut parameter = ParameterDecl::new("P", ValueType::array(CimType::String));
        assert!(parameter.is_input() && !parameter.is_output());
        parameter.qualifiers.push(Qualifier::new("In", false));
        parameter.qualifiers.push(Qualifier::new("Out", true));
        parameter
            .qualifiers
            .push(Qualifier::new("EmbeddedObject", true));
        assert!(!parameter.is_input() && parameter.is_output());
        assert_eq!(parameter.embedded_kind(), Some(EmbeddedKind::Object));
    }
}
