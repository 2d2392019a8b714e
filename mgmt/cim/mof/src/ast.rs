//! The syntax tree: what a MOF text says, before any name is looked up or any value typed.
//!
//! Made by the [parser](crate::parser), read by the [compiler](crate::Compiler). Every name keeps its
//! position, because most errors are about names.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use crate::source::Position;
use crate::types::{ArraySize, FlavorSpec, Scopes, TypeName};

/// A name as written, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The name in the spelling of the text.
    pub text: String,
    /// Its position.
    pub at: Position,
}

/// One item of a MOF text.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// `#pragma name ("parameter")`.
    Pragma(Pragma),
    /// A qualifier declaration.
    Qualifier(QualifierItem),
    /// A class, association or indication.
    Class(ClassItem),
    /// An instance.
    Instance(InstanceItem),
}

/// A compiler directive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pragma {
    /// Which directive.
    pub name: Name,
    /// The parameters, strings and words alike.
    pub parameters: Vec<Name>,
}

/// The type of a feature: built in, or a reference to a class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TypeItem {
    /// An intrinsic type.
    Builtin(TypeName),
    /// `Class REF`.
    Reference(Name),
}

/// A value as written; which type it must fit is known only to the compiler.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// An integer in any notation.
    Integer(i128),
    /// A number with a decimal point.
    Real(f64),
    /// A `char16` literal.
    Char(u16),
    /// A string, joined from its parts; also date-times and object paths.
    Text(String),
    /// `$alias`: a reference to, or a copy of, an instance.
    Alias(String),
    /// `instance of Class { ... }` as a value.
    Instance(Box<InstanceItem>),
    /// `{ ... }`; elements are never arrays.
    Array(Vec<Initializer>),
}

/// A literal and where it starts.
#[derive(Clone, Debug, PartialEq)]
pub struct Initializer {
    /// The value.
    pub literal: Literal,
    /// Its position.
    pub at: Position,
}

/// A qualifier on an element.
#[derive(Clone, Debug, PartialEq)]
pub struct QualifierUse {
    /// Which qualifier.
    pub name: Name,
    /// Its value; absent means `true`, an empty array, or the declared default.
    pub value: Option<Initializer>,
    /// Flavors given here.
    pub flavors: FlavorSpec,
}

/// A qualifier declaration.
#[derive(Clone, Debug, PartialEq)]
pub struct QualifierItem {
    /// The qualifier.
    pub name: Name,
    /// Its type; never a reference.
    pub ty: TypeName,
    /// Present when it is an array.
    pub array: Option<ArraySize>,
    /// The default value.
    pub default: Option<Initializer>,
    /// Where it may be used.
    pub scopes: Scopes,
    /// Its default flavors as written.
    pub flavors: FlavorSpec,
}

/// A class of any kind; its qualifiers tell associations and indications apart.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassItem {
    /// The class.
    pub name: Name,
    /// Its superclass.
    pub superclass: Option<Name>,
    /// Qualifiers of the class.
    pub qualifiers: Vec<QualifierUse>,
    /// Properties and references in order.
    pub properties: Vec<PropertyItem>,
    /// Methods in order.
    pub methods: Vec<MethodItem>,
}

/// A property or a reference.
#[derive(Clone, Debug, PartialEq)]
pub struct PropertyItem {
    /// The property.
    pub name: Name,
    /// Its type.
    pub ty: TypeItem,
    /// Present when it is an array.
    pub array: Option<ArraySize>,
    /// The default value.
    pub default: Option<Initializer>,
    /// Its qualifiers.
    pub qualifiers: Vec<QualifierUse>,
}

/// A method.
#[derive(Clone, Debug, PartialEq)]
pub struct MethodItem {
    /// The method.
    pub name: Name,
    /// What it returns.
    pub returns: TypeName,
    /// Its parameters in order.
    pub parameters: Vec<ParameterItem>,
    /// Its qualifiers.
    pub qualifiers: Vec<QualifierUse>,
}

/// A parameter of a method.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterItem {
    /// The parameter.
    pub name: Name,
    /// Its type.
    pub ty: TypeItem,
    /// Present when it is an array.
    pub array: Option<ArraySize>,
    /// Its qualifiers.
    pub qualifiers: Vec<QualifierUse>,
}

/// An instance.
#[derive(Clone, Debug, PartialEq)]
pub struct InstanceItem {
    /// Its class.
    pub class: Name,
    /// The alias by which others refer to it.
    pub alias: Option<Name>,
    /// Its qualifiers, which DSP0004 allows but gives no use.
    pub qualifiers: Vec<QualifierUse>,
    /// Property values in order.
    pub values: Vec<ValueItem>,
}

/// `Name = value;` within an instance.
#[derive(Clone, Debug, PartialEq)]
pub struct ValueItem {
    /// The property.
    pub name: Name,
    /// Its value.
    pub value: Initializer,
}
