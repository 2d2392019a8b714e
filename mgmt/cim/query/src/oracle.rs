//! What the evaluator must know about classes, and the row it evaluates.

use cim_model::{ClassName, DateTime, Instance, InstancePath, Scalar, ValueType};

/// Knowledge about the classes of one namespace; the repository implements it.
pub trait ClassOracle {
    /// Whether the class exists.
    fn class_exists(&self, class: &str) -> bool;
    /// Whether `class` is `ancestor` or one of its subclasses.
    fn is_a(&self, class: &str, ancestor: &str) -> bool;
    /// A property that the class has, its own or inherited; `None` if it has no such property.
    fn property(&self, class: &str, name: &str) -> Option<PropertyKind>;
    /// The value whose Values text this is, from the ValueMap of a property.
    fn mapped_value(&self, class: &str, property: &str, text: &str) -> Option<Scalar>;
}

/// The declaration of a property, as far as queries need it.
#[derive(Clone, Debug, PartialEq)]
pub struct PropertyKind {
    /// Its type.
    pub ty: ValueType,
    /// Whether values are embedded objects.
    pub embeds: bool,
    /// The class of the embedded instances, when the schema fixes it.
    pub embedded_class: Option<ClassName>,
}

/// One candidate of a query.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// The instance.
    pub instance: &'a Instance,
    /// Its path, where there is one (indications have none).
    pub path: Option<&'a InstancePath>,
    /// The time, for CurrentDateTime(); without it the function is NULL.
    pub now: Option<DateTime>,
}

impl<'a> Row<'a> {
    /// A row with the path that the instance carries.
    pub fn new(instance: &'a Instance) -> Self {
        Row {
            instance,
            path: instance.path.as_ref(),
            now: None,
        }
    }

    /// The same row at a time.
    #[must_use]
    pub const fn at(self, now: DateTime) -> Self {
        Row {
            now: Some(now),
            ..self
        }
    }
}
