//! Prints the tables as Rust source for `src/tables.rs`.

use std::fmt::Write;

use crate::pool::Span;
use crate::rows::{Cell, Tables, TypeCells};

/// The source text; one row a line, so that a change of the schema shows as a small difference.
pub fn emit(tables: &Tables) -> String {
    let mut out = String::new();
    table(
        &mut out,
        "TEXT_STARTS: [u32",
        tables.pools.text_starts().iter().map(ToString::to_string),
    );
    table(
        &mut out,
        "INTEGERS: [u64",
        tables.pools.integers().iter().map(ToString::to_string),
    );
    table(
        &mut out,
        "LISTS: [u16",
        tables.pools.lists().iter().map(ToString::to_string),
    );
    table(
        &mut out,
        "PREORDER: [u16",
        tables.preorder.iter().map(ToString::to_string),
    );
    table(
        &mut out,
        "QUALIFIER_TYPES: [QualifierTypeRow",
        tables.qualifier_types.iter().map(|row| {
            format!(
                "QualifierTypeRow {{ name: {}, ty: {}, default: {}, scopes: {}, flavors: {} }}",
                row.name,
                ty(row.ty),
                cell(row.default),
                row.scopes,
                row.flavors
            )
        }),
    );
    table(
        &mut out,
        "QUALIFIERS: [QualifierRow",
        tables.qualifiers.iter().map(|row| {
            format!(
                "QualifierRow {{ ty: {}, flavors: {}, value: {} }}",
                row.ty,
                row.flavors,
                cell(row.value)
            )
        }),
    );
    features(&mut out, tables);
    classes(&mut out, tables);
    out
}

fn features(out: &mut String, tables: &Tables) {
    table(
        out,
        "PROPERTIES: [PropertyRow",
        tables.properties.iter().map(|row| {
            format!(
                "PropertyRow {{ name: {}, class: {}, origin: {}, overrides: {}, ty: {}, \
                 default: {}, flags: {}, qualifiers: {} }}",
                row.name,
                row.class,
                row.origin,
                row.overrides,
                ty(row.ty),
                cell(row.default),
                row.flags,
                span(row.qualifiers)
            )
        }),
    );
    table(
        out,
        "METHODS: [MethodRow",
        tables.methods.iter().map(|row| {
            format!(
                "MethodRow {{ name: {}, class: {}, origin: {}, overrides: {}, \
                 returns: CimType::{}, qualifiers: {}, parameters: {} }}",
                row.name,
                row.class,
                row.origin,
                row.overrides,
                row.returns,
                span(row.qualifiers),
                span(row.parameters)
            )
        }),
    );
    table(
        out,
        "PARAMETERS: [ParameterRow",
        tables.parameters.iter().map(|row| {
            format!(
                "ParameterRow {{ name: {}, ty: {}, qualifiers: {} }}",
                row.name,
                ty(row.ty),
                span(row.qualifiers)
            )
        }),
    );
}

fn classes(out: &mut String, tables: &Tables) {
    table(
        out,
        "CLASSES: [ClassRow",
        tables.classes.iter().map(|row| {
            format!(
                "ClassRow {{ name: {}, id: {}, superclass: {}, preorder: {}, last: {}, flags: {}, \
                 qualifiers: {}, properties: {}, methods: {}, all_properties: {}, \
                 all_methods: {} }}",
                row.name,
                row.id,
                row.superclass,
                row.preorder,
                row.last,
                row.flags,
                span(row.qualifiers),
                span(row.properties),
                span(row.methods),
                span(row.all_properties),
                span(row.all_methods)
            )
        }),
    );
}

/// One static array; `head` is its name and element type, as in `NAME: [Element`.
fn table(out: &mut String, head: &str, rows: impl ExactSizeIterator<Item = String>) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "pub(crate) static {head}; {}] = [", rows.len());
    for row in rows {
        let _ = writeln!(out, "    {row},");
    }
    let _ = writeln!(out, "];");
}

fn span(span: Span) -> String {
    format!("Span {{ start: {}, len: {} }}", span.start, span.len)
}

fn ty(ty: TypeCells) -> String {
    format!(
        "TypeCells {{ ty: CimType::{}, array: {}, reference: {} }}",
        ty.ty, ty.array, ty.reference
    )
}

fn cell(cell: Cell) -> String {
    match cell {
        Cell::Null => "Cell::Null".into(),
        Cell::Boolean(b) => format!("Cell::Boolean({b})"),
        Cell::Text(id) => format!("Cell::Text({id})"),
        Cell::Integer(id) => format!("Cell::Integer({id})"),
        Cell::List(list) => format!("Cell::List({})", span(list)),
    }
}
