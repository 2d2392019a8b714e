//! [`Layout`]: what instances of a class look like, without qualifiers; the hot path of every operation.

use alloc::vec::Vec;
use cim_model::{
    CimType, ClassDecl, ClassName, EmbeddedKind, PropertyDecl, PropertyName, Value, ValueType,
};

/// The shape of the instances of one class.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The class.
    pub class: ClassName,
    /// The class and its superclasses up to the root.
    pub lineage: Vec<ClassName>,
    /// Every property, inherited ones first.
    pub properties: Vec<PropertyLayout>,
    /// The keys and their types.
    pub keys: Vec<(PropertyName, CimType)>,
    /// What kind of class it is.
    pub kind: ClassKind,
    /// Whether the class can have no instances of its own.
    pub is_abstract: bool,
}

/// What kind of class it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClassKind {
    /// An ordinary class.
    Ordinary,
    /// An association.
    Association,
    /// An indication.
    Indication,
}

/// One property of a class.
#[derive(Clone, Debug)]
pub struct PropertyLayout {
    /// The name as declared.
    pub name: PropertyName,
    /// The type.
    pub ty: ValueType,
    /// The class that has the property first.
    pub origin: ClassName,
    /// Whether it identifies instances.
    pub is_key: bool,
    /// Whether clients may write it.
    pub is_writable: bool,
    /// What a string property embeds.
    pub embedded: Option<EmbeddedKind>,
    /// The class that EmbeddedInstance names.
    pub embedded_class: Option<ClassName>,
    /// The class a reference refers to.
    pub reference_class: Option<ClassName>,
    /// The size of a fixed-size array.
    pub array_size: Option<u32>,
    /// The default value, usually NULL.
    pub default: Value,
}

impl Layout {
    /// A property by name.
    pub fn property(&self, name: &str) -> Option<&PropertyLayout> {
        self.properties
            .iter()
            .find(|property| property.name == *name)
    }

    /// The position of a property, looked for from a guess on and then from the start.
    pub(crate) fn position_from(&self, guess: usize, name: &str) -> Option<usize> {
        let is_it = |property: &PropertyLayout| property.is_named(name);
        let (before, behind) = self.properties.split_at_checked(guess)?;
        match behind.iter().position(is_it) {
            Some(index) => Some(guess + index),
            None => before.iter().position(is_it),
        }
    }

    /// The references, which only associations have.
    pub fn references(&self) -> impl Iterator<Item = &PropertyLayout> {
        self.properties
            .iter()
            .filter(|property| property.ty.ty == CimType::Reference)
    }

    /// The layout of a class of the built-in schema.
    pub(crate) fn of_schema(class: cim_schema::Class) -> Self {
        let properties: Vec<_> = class.properties().map(PropertyLayout::of_schema).collect();
        let kind = if class.is_association() {
            ClassKind::Association
        } else if class.is_indication() {
            ClassKind::Indication
        } else {
            ClassKind::Ordinary
        };
        Layout {
            class: ClassName::from_static(class.name()),
            lineage: class
                .lineage()
                .map(|ancestor| ClassName::from_static(ancestor.name()))
                .collect(),
            keys: keys_of(&properties),
            properties,
            kind,
            is_abstract: class.is_abstract(),
        }
    }

    /// The layout of a class that a client made, from its full declaration.
    pub(crate) fn of_declaration(class: &ClassDecl, lineage: Vec<ClassName>) -> Self {
        let properties: Vec<_> = class
            .properties
            .iter()
            .map(|property| PropertyLayout::of_declaration(class, property))
            .collect();
        let kind = if class.is_association() {
            ClassKind::Association
        } else if class.is_indication() {
            ClassKind::Indication
        } else {
            ClassKind::Ordinary
        };
        let is_abstract = class
            .qualifier("Abstract")
            .and_then(|found| found.value.as_bool())
            .unwrap_or(false);
        Layout {
            class: class.name.clone(),
            lineage,
            keys: keys_of(&properties),
            properties,
            kind,
            is_abstract,
        }
    }
}

fn keys_of(properties: &[PropertyLayout]) -> Vec<(PropertyName, CimType)> {
    properties
        .iter()
        .filter(|property| property.is_key)
        .map(|property| (property.name.clone(), property.ty.ty))
        .collect()
}

impl PropertyLayout {
    /// Whether this is its name; exact spelling, which is the rule, is checked first.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        let known = self.name.as_str();
        known == name || cim_model::same_name(known, name)
    }

    fn of_schema(property: cim_schema::Property) -> Self {
        let class_named = |name: &str| {
            let qualifier = property.qualifier(name)?;
            qualifier.value().as_str().map(ClassName::from_static)
        };
        PropertyLayout {
            name: PropertyName::from_static(property.name()),
            ty: property.value_type(),
            origin: ClassName::from_static(property.class_origin().name()),
            is_key: property.is_key(),
            is_writable: property
                .qualifier("Write")
                .and_then(|qualifier| qualifier.value().as_bool())
                .unwrap_or(false),
            embedded: property.embedded_kind(),
            embedded_class: class_named("EmbeddedInstance"),
            reference_class: property
                .reference_class()
                .map(|class| ClassName::from_static(class.name())),
            array_size: property.array_size(),
            default: property.default_value().to_value(),
        }
    }

    fn of_declaration(class: &ClassDecl, property: &PropertyDecl) -> Self {
        let text = |name: &str| {
            let qualifier = property.qualifier(name)?;
            qualifier.value.as_str().map(ClassName::copy)
        };
        PropertyLayout {
            name: property.name.clone(),
            ty: property.ty,
            origin: property
                .class_origin
                .clone()
                .unwrap_or_else(|| class.name.clone()),
            is_key: property.is_key(),
            // A class without provider is kept as data, and data may be written.
            is_writable: true,
            embedded: property.embedded_kind(),
            embedded_class: text("EmbeddedInstance"),
            reference_class: property.reference_class.clone(),
            array_size: property.array_size,
            default: property.default.clone(),
        }
    }
}
