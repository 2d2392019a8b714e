//! Qualifiers: values on schema elements, and the declarations of qualifier types (DSP0004 5.1.2, 5.5).

use crate::{QualifierName, Value, ValueType};
use bitflags::bitflags;

/// How a qualifier behaves towards subclasses (QUALIFIER attributes of DSP0201). The default is the one that
/// CIM-XML assumes when the attributes are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flavors {
    /// A subclass may give another value (flavor EnableOverride).
    pub overridable: bool,
    /// Subclasses inherit the value (flavor ToSubclass).
    pub to_subclass: bool,
    /// Instances carry the value; always false in current schemas.
    pub to_instance: bool,
    /// The value may be given in several languages.
    pub translatable: bool,
}

impl Flavors {
    /// Overridable and inherited: the default of CIM-XML.
    pub const DEFAULT: Flavors = Flavors {
        overridable: true,
        to_subclass: true,
        to_instance: false,
        translatable: false,
    };
}

impl Default for Flavors {
    fn default() -> Self {
        Self::DEFAULT
    }
}

bitflags! {
    /// The kinds of schema elements that a qualifier may be put on.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Scopes: u8 {
        /// Classes.
        const CLASS = 1;
        /// Association classes.
        const ASSOCIATION = 1 << 1;
        /// Reference properties.
        const REFERENCE = 1 << 2;
        /// Properties.
        const PROPERTY = 1 << 3;
        /// Methods.
        const METHOD = 1 << 4;
        /// Parameters.
        const PARAMETER = 1 << 5;
        /// Indication classes.
        const INDICATION = 1 << 6;
        /// Every kind (`any` in MOF; CIM-XML has no word for it and lists the seven).
        const ANY = 0x7f;
    }
}

impl Scopes {
    /// The seven scopes with the names of the SCOPE attributes, in the order of the DTD.
    pub const NAMED: [(Scopes, &'static str); 7] = [
        (Scopes::CLASS, "CLASS"),
        (Scopes::ASSOCIATION, "ASSOCIATION"),
        (Scopes::REFERENCE, "REFERENCE"),
        (Scopes::PROPERTY, "PROPERTY"),
        (Scopes::METHOD, "METHOD"),
        (Scopes::PARAMETER, "PARAMETER"),
        (Scopes::INDICATION, "INDICATION"),
    ];
}

/// A qualifier on a schema element.
#[derive(Clone, Debug, PartialEq)]
pub struct Qualifier {
    /// The name.
    pub name: QualifierName,
    /// The value, with its type.
    pub value: Value,
    /// Whether it was inherited rather than written on this element.
    pub propagated: bool,
    /// The flavors.
    pub flavors: Flavors,
}

impl Qualifier {
    /// A local qualifier with the default flavors.
    pub fn new(name: impl Into<QualifierName>, value: impl Into<Value>) -> Self {
        Qualifier {
            name: name.into(),
            value: value.into(),
            propagated: false,
            flavors: Flavors::DEFAULT,
        }
    }
}

/// The qualifier of a name in a list.
pub(crate) fn find<'a>(qualifiers: &'a [Qualifier], name: &str) -> Option<&'a Qualifier> {
    qualifiers.iter().find(|qualifier| qualifier.name == *name)
}

/// The declaration of a qualifier type (QUALIFIER.DECLARATION).
#[derive(Clone, Debug, PartialEq)]
pub struct QualifierDecl {
    /// The name.
    pub name: QualifierName,
    /// The type of its values.
    pub ty: ValueType,
    /// The size of a fixed-size array.
    pub array_size: Option<u32>,
    /// The default value; NULL when there is none.
    pub value: Value,
    /// Where it may be put.
    pub scopes: Scopes,
    /// The flavors.
    pub flavors: Flavors,
}

impl QualifierDecl {
    /// A declaration with default flavors and without default value.
    pub fn new(name: impl Into<QualifierName>, ty: impl Into<ValueType>, scopes: Scopes) -> Self {
        let ty = ty.into();
        QualifierDecl {
            name: name.into(),
            ty,
            array_size: None,
            value: Value::Null(ty),
            scopes,
            flavors: Flavors::DEFAULT,
        }
    }
}
