//! Properties and references as a class has them.

use core::fmt;

use cim_model::{EmbeddedKind, ValueType};

use crate::class::{self, Class};
use crate::constant::Constant;
use crate::qualifier::{self, Qualifier};
use crate::tables::{self, PROPERTIES, PropertyRow, flag};

/// A property or reference, seen from the class it was asked for.
///
/// ```
/// let system = cim_schema::class("CIM_ComputerSystem").unwrap();
/// let state = system.property("EnabledState").unwrap();
/// assert!(state.propagated());
/// assert_eq!(state.class_origin().name(), "CIM_EnabledLogicalElement");
/// assert_eq!(state.default_value().as_integer(), Some(5));
/// ```
#[derive(Clone, Copy)]
pub struct Property {
    class: Class,
    row: &'static PropertyRow,
}

impl Property {
    pub(crate) const fn new(class: Class, row: &'static PropertyRow) -> Self {
        Self { class, row }
    }

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

    /// The class that a reference refers to; `None` for a property of any other type.
    #[must_use]
    pub fn reference_class(self) -> Option<Class> {
        class::by_id(self.row.ty.reference)
    }

    /// The default value, inherited when an override gives none; NULL when there is none at all.
    #[must_use]
    pub fn default_value(self) -> Constant {
        Constant::new(self.value_type(), self.row.default)
    }

    /// The class through which this property was looked up.
    #[must_use]
    pub const fn class(self) -> Class {
        self.class
    }

    /// The class with the nearest declaration, which may override an earlier one.
    #[must_use]
    pub fn declared_in(self) -> Class {
        self.class.ancestor(self.row.class)
    }

    /// The class that has the property first (the CLASSORIGIN of DSP0201).
    #[must_use]
    pub fn class_origin(self) -> Class {
        self.class.ancestor(self.row.origin)
    }

    /// Whether the class looked at inherits this property unchanged.
    #[must_use]
    pub const fn propagated(self) -> bool {
        self.row.class != self.class.id()
    }

    /// The declaration that this one overrides, seen from the same class.
    #[must_use]
    pub fn overrides(self) -> Option<Self> {
        let row = PROPERTIES.get(usize::from(self.row.overrides))?;
        Some(Self::new(self.class, row))
    }

    /// Whether this is a key.
    #[must_use]
    pub const fn is_key(self) -> bool {
        self.row.flags & flag::KEY != 0
    }

    /// What a string property embeds.
    #[must_use]
    pub fn embedded_kind(self) -> Option<EmbeddedKind> {
        embedded_kind(self.qualifiers())
    }

    /// The qualifiers in force, those of the nearest declaration first.
    pub fn qualifiers(self) -> impl Iterator<Item = Qualifier> + Clone {
        let levels = class::levels(
            self.row,
            &PROPERTIES,
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

impl fmt::Debug for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}.{}", self.class, self.name())
    }
}

/// What the qualifiers of a string say that it embeds.
pub(crate) fn embedded_kind(
    qualifiers: impl Iterator<Item = Qualifier> + Clone,
) -> Option<EmbeddedKind> {
    if qualifier::find(qualifiers.clone(), "EmbeddedInstance").is_some_and(|q| !q.value().is_null())
    {
        return Some(EmbeddedKind::Instance);
    }
    qualifier::find(qualifiers, "EmbeddedObject")
        .and_then(|q| q.value().as_bool())
        .filter(|set| *set)
        .map(|_| EmbeddedKind::Object)
}
