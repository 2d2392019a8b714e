//! Methods as a class has them, and their parameters.

use core::fmt;

use cim_model::{CimType, EmbeddedKind, ValueType, same_name};

use crate::class::{self, Class};
use crate::property::embedded_kind;
use crate::qualifier::{self, Qualifier};
use crate::tables::{self, METHODS, MethodRow, PARAMETERS, ParameterRow};

/// A method, seen from the class it was asked for.
///
/// ```
/// let service = cim_schema::class("CIM_VirtualSystemManagementService").unwrap();
/// let define = service.method("definesystem").unwrap();
/// let inputs: Vec<_> = define.parameters().filter(|p| p.is_input()).map(|p| p.name()).collect();
/// assert_eq!(inputs, ["SystemSettings", "ResourceSettings", "ReferenceConfiguration"]);
/// ```
#[derive(Clone, Copy)]
pub struct Method {
    class: Class,
    row: &'static MethodRow,
}

impl Method {
    pub(crate) const fn new(class: Class, row: &'static MethodRow) -> Self {
        Self { class, row }
    }

    /// The name as declared.
    #[must_use]
    pub fn name(self) -> &'static str {
        tables::text(self.row.name)
    }

    /// The type of the return value.
    #[must_use]
    pub const fn return_type(self) -> CimType {
        self.row.returns
    }

    /// The class through which this method was looked up.
    #[must_use]
    pub const fn class(self) -> Class {
        self.class
    }

    /// The class with the nearest declaration, which may override an earlier one.
    #[must_use]
    pub fn declared_in(self) -> Class {
        self.class.ancestor(self.row.class)
    }

    /// The class that has the method first (the CLASSORIGIN of DSP0201).
    #[must_use]
    pub fn class_origin(self) -> Class {
        self.class.ancestor(self.row.origin)
    }

    /// Whether the class looked at inherits this method unchanged.
    #[must_use]
    pub const fn propagated(self) -> bool {
        self.row.class != self.class.id()
    }

    /// The declaration that this one overrides, seen from the same class.
    #[must_use]
    pub fn overrides(self) -> Option<Self> {
        let row = METHODS.get(usize::from(self.row.overrides))?;
        Some(Self::new(self.class, row))
    }

    /// Whether the method may be called on the class instead of an instance.
    #[must_use]
    pub fn is_static(self) -> bool {
        self.qualifier("Static")
            .and_then(|q| q.value().as_bool())
            .unwrap_or(false)
    }

    /// The parameters in order.
    pub fn parameters(self) -> impl ExactSizeIterator<Item = Parameter> {
        let rows = self.row.parameters.of(&PARAMETERS);
        rows.iter().map(|row| Parameter { row })
    }

    /// A parameter by name in any case.
    #[must_use]
    pub fn parameter(self, name: &str) -> Option<Parameter> {
        self.parameters().find(|p| same_name(p.name(), name))
    }

    /// The qualifiers in force, those of the nearest declaration first.
    pub fn qualifiers(self) -> impl Iterator<Item = Qualifier> + Clone {
        let levels = class::levels(
            self.row,
            &METHODS,
            |row| row.overrides,
            |row| row.qualifiers,
        );
        qualifier::effective(levels, usize::from(!self.propagated()))
    }

    /// The qualifiers that the nearest declaration states.
    pub fn local_qualifiers(self) -> impl Iterator<Item = Qualifier> + Clone {
        qualifier::local(self.row.qualifiers)
    }

    /// A qualifier in force, by name in any case.
    #[must_use]
    pub fn qualifier(self, name: &str) -> Option<Qualifier> {
        qualifier::find(self.qualifiers(), name)
    }
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}.{}()", self.class, self.name())
    }
}

/// A parameter of a method.
#[derive(Clone, Copy)]
pub struct Parameter {
    row: &'static ParameterRow,
}

impl Parameter {
    /// The name as declared.
    #[must_use]
    pub fn name(self) -> &'static str {
        tables::text(self.row.name)
    }

    /// The type.
    #[must_use]
    pub fn value_type(self) -> ValueType {
        qualifier::value_type(self.row.ty)
    }

    /// The size of a fixed-size array.
    #[must_use]
    pub fn array_size(self) -> Option<u32> {
        qualifier::array_size(self.row.ty)
    }

    /// The class that a reference refers to; `None` for a parameter of any other type.
    #[must_use]
    pub fn reference_class(self) -> Option<Class> {
        class::by_id(self.row.ty.reference)
    }

    /// Whether the caller gives it: the qualifier In, true when missing.
    #[must_use]
    pub fn is_input(self) -> bool {
        self.flag("In").unwrap_or(true)
    }

    /// Whether the method returns it: the qualifier Out, false when missing.
    #[must_use]
    pub fn is_output(self) -> bool {
        self.flag("Out").unwrap_or(false)
    }

    /// Whether it must have a value: the qualifier Required.
    #[must_use]
    pub fn is_required(self) -> bool {
        self.flag("Required").unwrap_or(false)
    }

    /// What a string parameter embeds.
    #[must_use]
    pub fn embedded_kind(self) -> Option<EmbeddedKind> {
        embedded_kind(self.qualifiers())
    }

    /// The qualifiers.
    pub fn qualifiers(self) -> impl Iterator<Item = Qualifier> + Clone {
        qualifier::local(self.row.qualifiers)
    }

    /// A qualifier by name in any case.
    #[must_use]
    pub fn qualifier(self, name: &str) -> Option<Qualifier> {
        qualifier::find(self.qualifiers(), name)
    }

    fn flag(self, name: &str) -> Option<bool> {
        self.qualifier(name).and_then(|q| q.value().as_bool())
    }
}

impl fmt::Debug for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
