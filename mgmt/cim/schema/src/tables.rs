//! The rows of the schema and the ids that tie them together.
//!
//! `build/` prints the arrays; nothing here allocates or parses. Ids are 16 bits wide and index one
//! table each, [`NONE`] means none. Lookups return nothing for an id out of range instead of panicking,
//! which cannot happen with tables that the build made.

use cim_model::{CimType, Flavors};

/// The id that stands for "none".
pub(crate) const NONE: u16 = u16::MAX;

/// A run of entries of a table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub start: u16,
    pub len: u16,
}

impl Span {
    /// The entries of a table.
    pub(crate) fn of<T>(self, table: &'static [T]) -> &'static [T] {
        let start = usize::from(self.start);
        let end = start.saturating_add(usize::from(self.len));
        table.get(start..end).unwrap_or(&[])
    }
}

/// A constant: a value whose type is known from where it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cell {
    Null,
    Boolean(bool),
    Text(u16),
    /// Index of [`INTEGERS`]: integers, UTF-16 code units, bits of reals.
    Integer(u16),
    /// Ids of [`LISTS`]: of strings, or of integers (booleans among them).
    List(Span),
}

/// A type; `array` is the size, 0 for a variable array, [`NONE`] for a scalar.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TypeCells {
    pub ty: CimType,
    pub array: u16,
    pub reference: u16,
}

#[derive(Debug)]
pub(crate) struct QualifierTypeRow {
    pub name: u16,
    pub ty: TypeCells,
    pub default: Cell,
    pub scopes: u8,
    pub flavors: u8,
}

#[derive(Debug)]
pub(crate) struct QualifierRow {
    pub ty: u16,
    pub flavors: u8,
    pub value: Cell,
}

#[derive(Debug)]
pub(crate) struct ClassRow {
    pub name: u16,
    pub id: u16,
    pub superclass: u16,
    /// The place in [`PREORDER`], and the place of the last descendant.
    pub preorder: u16,
    pub last: u16,
    pub flags: u8,
    pub qualifiers: Span,
    pub properties: Span,
    pub methods: Span,
    /// Lists of feature ids, inherited ones first.
    pub all_properties: Span,
    pub all_methods: Span,
}

#[derive(Debug)]
pub(crate) struct PropertyRow {
    pub name: u16,
    pub class: u16,
    pub origin: u16,
    pub overrides: u16,
    pub ty: TypeCells,
    pub default: Cell,
    pub flags: u8,
    pub qualifiers: Span,
}

#[derive(Debug)]
pub(crate) struct MethodRow {
    pub name: u16,
    pub class: u16,
    pub origin: u16,
    pub overrides: u16,
    pub returns: CimType,
    pub qualifiers: Span,
    pub parameters: Span,
}

#[derive(Debug)]
pub(crate) struct ParameterRow {
    pub name: u16,
    pub ty: TypeCells,
    pub qualifiers: Span,
}

/// Bits of [`ClassRow::flags`] and [`PropertyRow::flags`].
pub(crate) mod flag {
    pub(crate) const ASSOCIATION: u8 = 1;
    pub(crate) const INDICATION: u8 = 2;
    pub(crate) const ABSTRACT: u8 = 4;
    pub(crate) const KEY: u8 = 1;
}

/// All strings, one after the other.
static TEXT: &str = include_str!(concat!(env!("OUT_DIR"), "/text.txt"));

include!(concat!(env!("OUT_DIR"), "/tables.rs"));

/// The string of an id.
pub(crate) fn text(id: u16) -> &'static str {
    let bound = |index: usize| {
        let at = TEXT_STARTS.get(index).copied().unwrap_or(0);
        usize::try_from(at).unwrap_or(0)
    };
    let index = usize::from(id);
    TEXT.get(bound(index)..bound(index.saturating_add(1)))
        .unwrap_or("")
}

/// The 64 bits of an integer id.
pub(crate) fn integer(id: u16) -> u64 {
    INTEGERS.get(usize::from(id)).copied().unwrap_or(0)
}

pub(crate) fn flavors(bits: u8) -> Flavors {
    Flavors {
        overridable: bits & 1 != 0,
        to_subclass: bits & 2 != 0,
        to_instance: false,
        translatable: bits & 4 != 0,
    }
}

/// Bytes that all tables take in read-only memory.
pub(crate) const fn size() -> usize {
    TEXT.len()
        + size_of_val(&TEXT_STARTS)
        + size_of_val(&INTEGERS)
        + size_of_val(&LISTS)
        + size_of_val(&PREORDER)
        + size_of_val(&QUALIFIER_TYPES)
        + size_of_val(&QUALIFIERS)
        + size_of_val(&PROPERTIES)
        + size_of_val(&METHODS)
        + size_of_val(&PARAMETERS)
        + size_of_val(&CLASSES)
}
