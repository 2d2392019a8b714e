//! Qualifier types, and qualifiers on elements with the rules of their inheritance.

use cim_model::{Flavors, Scopes, Shape, ValueType, same_name};

use crate::constant::Constant;
use crate::tables::{
    self, NONE, QUALIFIER_TYPES, QUALIFIERS, QualifierRow, QualifierTypeRow, Span, TypeCells,
};

/// A declared qualifier.
#[derive(Clone, Copy, Debug)]
pub struct QualifierType {
    row: &'static QualifierTypeRow,
}

impl QualifierType {
    /// Its name as declared.
    #[must_use]
    pub fn name(self) -> &'static str {
        tables::text(self.row.name)
    }

    /// The type of its values.
    #[must_use]
    pub fn value_type(self) -> ValueType {
        value_type(self.row.ty)
    }

    /// The size of a fixed-size array.
    #[must_use]
    pub fn array_size(self) -> Option<u32> {
        array_size(self.row.ty)
    }

    /// The default value.
    #[must_use]
    pub fn default_value(self) -> Constant {
        Constant::new(self.value_type(), self.row.default)
    }

    /// Where it may be put.
    #[must_use]
    pub fn scopes(self) -> Scopes {
        Scopes::from_bits_truncate(self.row.scopes)
    }

    /// Its flavors.
    #[must_use]
    pub fn flavors(self) -> Flavors {
        tables::flavors(self.row.flavors)
    }
}

/// Every declared qualifier, in alphabetical order.
pub fn qualifier_types() -> impl Iterator<Item = QualifierType> {
    QUALIFIER_TYPES.iter().map(|row| QualifierType { row })
}

/// The qualifier of a name, in any case.
///
/// ```
/// let key = cim_schema::qualifier_type("KEY").unwrap();
/// assert_eq!(key.name(), "Key");
/// assert!(!key.flavors().overridable);
/// ```
#[must_use]
pub fn qualifier_type(name: &str) -> Option<QualifierType> {
    qualifier_types().find(|ty| same_name(ty.name(), name))
}

/// A qualifier on an element.
#[derive(Clone, Copy, Debug)]
pub struct Qualifier {
    ty: QualifierType,
    row: &'static QualifierRow,
    propagated: bool,
}

impl Qualifier {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.ty.name()
    }

    /// Its declaration.
    #[must_use]
    pub const fn qualifier_type(self) -> QualifierType {
        self.ty
    }

    /// Its value.
    #[must_use]
    pub fn value(self) -> Constant {
        Constant::new(self.ty.value_type(), self.row.value)
    }

    /// The flavors in force on this element.
    #[must_use]
    pub fn flavors(self) -> Flavors {
        tables::flavors(self.row.flavors)
    }

    /// Whether it comes from a superclass instead of the element's own declaration.
    #[must_use]
    pub const fn propagated(self) -> bool {
        self.propagated
    }
}

/// The qualifiers that a declaration states itself.
pub(crate) fn local(span: Span) -> impl Iterator<Item = Qualifier> + Clone {
    span.of(&QUALIFIERS).iter().filter_map(|row| {
        let ty = QUALIFIER_TYPES.get(usize::from(row.ty))?;
        Some(Qualifier {
            ty: QualifierType { row: ty },
            row,
            propagated: false,
        })
    })
}

/// The qualifiers in force on an element.
///
/// `levels` are the declarations of the element from the nearest up; `own` of the first ones are those of
/// the class looked at (1), or none (0) when that class only inherits the element. A qualifier passes on
/// to a subclass when its flavor says so, and the nearest declaration that states it hides the others.
pub(crate) fn effective(
    levels: impl Iterator<Item = Span> + Clone,
    own: usize,
) -> impl Iterator<Item = Qualifier> + Clone {
    let all = levels.clone().enumerate();
    all.flat_map(move |(level, span)| {
        let nearer = levels.clone().take(level);
        let propagated = level >= own;
        local(span)
            .filter(move |q| !propagated || q.flavors().to_subclass)
            .filter(move |q| !nearer.clone().any(|span| states(span, q.row.ty)))
            .map(move |q| Qualifier { propagated, ..q })
    })
}

fn states(span: Span, ty: u16) -> bool {
    span.of(&QUALIFIERS).iter().any(|row| row.ty == ty)
}

/// The value of a qualifier among others, by name in any case.
pub(crate) fn find(mut list: impl Iterator<Item = Qualifier>, name: &str) -> Option<Qualifier> {
    list.find(|q| same_name(q.name(), name))
}

pub(crate) fn value_type(cells: TypeCells) -> ValueType {
    ValueType {
        ty: cells.ty,
        shape: if cells.array == NONE {
            Shape::Scalar
        } else {
            Shape::Array
        },
    }
}

pub(crate) fn array_size(cells: TypeCells) -> Option<u32> {
    match cells.array {
        0 | NONE => None,
        n => Some(u32::from(n)),
    }
}
