//! The rows of the tables as the build sees them; `src/tables.rs` declares the same ones.

use crate::pool::{Pools, Span};

/// A constant as the tables hold it.
#[derive(Clone, Copy, Debug)]
pub enum Cell {
    Null,
    Boolean(bool),
    Text(u16),
    Integer(u16),
    List(Span),
}

/// A type with its array size: 0 for a variable array, `NONE` for a scalar.
#[derive(Clone, Copy, Debug)]
pub struct TypeCells {
    pub ty: &'static str,
    pub array: u16,
    pub reference: u16,
}

#[derive(Debug)]
pub struct QualifierTypeRow {
    pub name: u16,
    pub ty: TypeCells,
    pub default: Cell,
    pub scopes: u8,
    pub flavors: u8,
}

#[derive(Debug)]
pub struct QualifierRow {
    pub ty: u16,
    pub flavors: u8,
    pub value: Cell,
}

#[derive(Debug)]
pub struct ClassRow {
    pub name: u16,
    pub id: u16,
    pub superclass: u16,
    pub preorder: u16,
    pub last: u16,
    pub flags: u8,
    pub qualifiers: Span,
    pub properties: Span,
    pub methods: Span,
    pub all_properties: Span,
    pub all_methods: Span,
}

#[derive(Debug)]
pub struct PropertyRow {
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
pub struct MethodRow {
    pub name: u16,
    pub class: u16,
    pub origin: u16,
    pub overrides: u16,
    pub returns: &'static str,
    pub qualifiers: Span,
    pub parameters: Span,
}

#[derive(Debug)]
pub struct ParameterRow {
    pub name: u16,
    pub ty: TypeCells,
    pub qualifiers: Span,
}

/// All tables.
#[derive(Debug, Default)]
pub struct Tables {
    pub pools: Pools,
    pub qualifier_types: Vec<QualifierTypeRow>,
    pub qualifiers: Vec<QualifierRow>,
    pub classes: Vec<ClassRow>,
    pub properties: Vec<PropertyRow>,
    pub methods: Vec<MethodRow>,
    pub parameters: Vec<ParameterRow>,
    /// Class ids so that every class stands right before its subclasses, and they before the next root.
    pub preorder: Vec<u16>,
}
