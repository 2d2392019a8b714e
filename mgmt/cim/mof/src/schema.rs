//! The compiled schema: names resolved, values typed, every rule checked.
//!
//! Classes hold only what their own declaration states; [`Schema`] walks up the superclasses for the
//! rest. The spelling of every name is that of its declaration.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use crate::types::{ArraySize, Flavors, Scopes, TypeName};

/// A typed value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// No value.
    Null,
    /// `boolean`.
    Boolean(bool),
    /// Any integer type; within the range of its type.
    Integer(i128),
    /// `real32` or `real64`.
    Real(f64),
    /// `char16`.
    Char16(u16),
    /// `string`, and the 25 characters of a `datetime`.
    Text(String),
    /// An object path in its string form.
    Path(String),
    /// The instance declared under this alias: a reference to it, or an embedded copy.
    Alias(String),
    /// An embedded instance.
    Instance(Box<Instance>),
    /// An array; elements are never arrays.
    Array(Vec<Value>),
}

/// A qualifier type (DSP0004 5.1.2).
#[derive(Clone, Debug, PartialEq)]
pub struct QualifierType {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: TypeName,
    /// Present when it is an array.
    pub array: Option<ArraySize>,
    /// Its default value.
    pub default: Value,
    /// Where it may be used.
    pub scopes: Scopes,
    /// Its flavors.
    pub flavors: Flavors,
}

/// A qualifier on an element.
#[derive(Clone, Debug, PartialEq)]
pub struct Qualifier {
    /// Its name as declared.
    pub name: String,
    /// Its value.
    pub value: Value,
    /// The flavors in force here.
    pub flavors: Flavors,
}

/// The type of a property or parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// An intrinsic type.
    Builtin(TypeName),
    /// A reference to instances of a class and its subclasses.
    Reference(String),
}

/// A property or reference.
#[derive(Clone, Debug, PartialEq)]
pub struct Property {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: Type,
    /// Present when it is an array.
    pub array: Option<ArraySize>,
    /// The default value, if the declaration has one.
    pub default: Option<Value>,
    /// Local qualifiers.
    pub qualifiers: Vec<Qualifier>,
}

/// A parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: Type,
    /// Present when it is an array.
    pub array: Option<ArraySize>,
    /// Its qualifiers.
    pub qualifiers: Vec<Qualifier>,
}

/// A method.
#[derive(Clone, Debug, PartialEq)]
pub struct Method {
    /// Its name.
    pub name: String,
    /// What it returns.
    pub returns: TypeName,
    /// Its parameters in order.
    pub parameters: Vec<Parameter>,
    /// Local qualifiers.
    pub qualifiers: Vec<Qualifier>,
}

/// What a class is, its superclasses taken into account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClassKind {
    /// An ordinary class.
    Class,
    /// An association.
    Association,
    /// An indication.
    Indication,
}

/// A class as declared: only local features and qualifiers.
#[derive(Clone, Debug, PartialEq)]
pub struct Class {
    /// Its name.
    pub name: String,
    /// Its superclass.
    pub superclass: Option<String>,
    /// Its kind.
    pub kind: ClassKind,
    /// Local qualifiers.
    pub qualifiers: Vec<Qualifier>,
    /// Local properties and references.
    pub properties: Vec<Property>,
    /// Local methods.
    pub methods: Vec<Method>,
}

/// An instance.
#[derive(Clone, Debug, PartialEq)]
pub struct Instance {
    /// Its class.
    pub class: String,
    /// Its alias, without `$`.
    pub alias: Option<String>,
    /// Values by property, in the order of the text.
    pub values: Vec<(String, Value)>,
}

/// The value of a qualifier in a list of local ones, by name in any case.
#[must_use]
pub fn qualifier<'a>(list: &'a [Qualifier], name: &str) -> Option<&'a Value> {
    list.iter()
        .find(|q| q.name.eq_ignore_ascii_case(name))
        .map(|q| &q.value)
}

/// Whether a boolean qualifier is locally true.
#[must_use]
pub fn is_set(list: &[Qualifier], name: &str) -> bool {
    matches!(qualifier(list, name), Some(Value::Boolean(true)))
}

/// Everything that was compiled.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schema {
    qualifiers: Vec<QualifierType>,
    classes: Vec<Class>,
    instances: Vec<Instance>,
    by_name: BTreeMap<String, usize>,
}

impl Schema {
    /// Qualifier types in the order of their declaration.
    #[must_use]
    pub fn qualifiers(&self) -> &[QualifierType] {
        &self.qualifiers
    }

    /// Classes, each behind its superclass.
    #[must_use]
    pub fn classes(&self) -> &[Class] {
        &self.classes
    }

    /// Instances in the order of their declaration.
    #[must_use]
    pub fn instances(&self) -> &[Instance] {
        &self.instances
    }

    /// A qualifier type by name, in any case.
    #[must_use]
    pub fn qualifier_type(&self, name: &str) -> Option<&QualifierType> {
        self.qualifiers
            .iter()
            .find(|q| q.name.eq_ignore_ascii_case(name))
    }

    /// A class by name, in any case.
    #[must_use]
    pub fn class(&self, name: &str) -> Option<&Class> {
        self.classes.get(*self.by_name.get(&fold(name))?)
    }

    /// A class and its superclasses up to the root, the class first.
    pub fn lineage<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Class> + use<'a> {
        let mut next = self.class(name);
        core::iter::from_fn(move || {
            let class = next?;
            next = class.superclass.as_deref().and_then(|s| self.class(s));
            Some(class)
        })
    }

    /// Whether a class is another one or a subclass of it.
    #[must_use]
    pub fn is_a(&self, class: &str, ancestor: &str) -> bool {
        self.lineage(class)
            .any(|c| c.name.eq_ignore_ascii_case(ancestor))
    }

    /// The nearest declaration of a property, and the class that holds it.
    #[must_use]
    pub fn property(&self, class: &str, name: &str) -> Option<(&Class, &Property)> {
        self.lineage(class).find_map(|owner| {
            let found = owner
                .properties
                .iter()
                .find(|p| p.name.eq_ignore_ascii_case(name))?;
            Some((owner, found))
        })
    }

    /// The nearest declaration of a method, and the class that holds it.
    #[must_use]
    pub fn method(&self, class: &str, name: &str) -> Option<(&Class, &Method)> {
        self.lineage(class).find_map(|owner| {
            let found = owner
                .methods
                .iter()
                .find(|m| m.name.eq_ignore_ascii_case(name))?;
            Some((owner, found))
        })
    }

    /// The effective value of a qualifier of a property: the nearest declaration that states it.
    #[must_use]
    pub fn property_qualifier(&self, class: &str, property: &str, name: &str) -> Option<&Value> {
        self.lineage(class).find_map(|owner| {
            let found = owner
                .properties
                .iter()
                .find(|p| p.name.eq_ignore_ascii_case(property))?;
            qualifier(&found.qualifiers, name)
        })
    }

    pub(crate) fn add_qualifier(&mut self, ty: QualifierType) {
        self.qualifiers.push(ty);
    }

    pub(crate) fn add_class(&mut self, class: Class) {
        self.by_name.insert(fold(&class.name), self.classes.len());
        self.classes.push(class);
    }

    pub(crate) fn add_instance(&mut self, instance: Instance) {
        self.instances.push(instance);
    }
}

/// The form in which names are compared: CIM names ignore the case of ASCII letters.
pub(crate) fn fold(name: &str) -> String {
    let mut folded = name.to_owned();
    folded.make_ascii_lowercase();
    folded
}
