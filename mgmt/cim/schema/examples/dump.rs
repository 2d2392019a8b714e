//! Prints every class as the tables resolve it, one JSON array a line, for comparison with other servers.
//!
//! `cargo run -p cim-schema --example dump`, read by `tests/pywbem_compile.py`. The first entries of a line
//! name an element, the last ones are facts about it.

use std::fmt::Write;

use cim_model::{ClassDecl, Qualifier, Scalar, Value, ValueType};
use cim_schema::{Detail, classes};

fn main() {
    for class in classes() {
        print(&class.to_model(Detail::FULL));
    }
}

fn print(class: &ClassDecl) {
    let name = class.name.as_str();
    let superclass = class.superclass.as_ref().map(AsRef::as_ref);
    line(&[text("class"), text(name), optional(superclass)]);
    qualifiers(&[text("class"), text(name)], &class.qualifiers);
    for property in &class.properties {
        let element = [text("property"), text(name), text(property.name.as_str())];
        let facts = [
            type_of(property.ty),
            number(property.array_size),
            optional(property.reference_class.as_ref().map(AsRef::as_ref)),
            optional(property.class_origin.as_ref().map(AsRef::as_ref)),
            property.propagated.to_string(),
            value(&property.default),
        ];
        line(&[element.as_slice(), &facts].concat());
        qualifiers(&element, &property.qualifiers);
    }
    for method in &class.methods {
        let element = [text("method"), text(name), text(method.name.as_str())];
        let facts = [
            text(method.return_type.name()),
            optional(method.class_origin.as_ref().map(AsRef::as_ref)),
            method.propagated.to_string(),
        ];
        line(&[element.as_slice(), &facts].concat());
        qualifiers(&element, &method.qualifiers);
        for parameter in &method.parameters {
            let element = [
                text("parameter"),
                text(name),
                text(method.name.as_str()),
                text(parameter.name.as_str()),
            ];
            let facts = [
                type_of(parameter.ty),
                number(parameter.array_size),
                optional(parameter.reference_class.as_ref().map(AsRef::as_ref)),
            ];
            line(&[element.as_slice(), &facts].concat());
            qualifiers(&element, &parameter.qualifiers);
        }
    }
}

fn qualifiers(element: &[String], list: &[Qualifier]) {
    for qualifier in list {
        let facts = [
            text("qualifier"),
            text(qualifier.name.as_str()),
            value(&qualifier.value),
            qualifier.propagated.to_string(),
            qualifier.flavors.overridable.to_string(),
            qualifier.flavors.to_subclass.to_string(),
            qualifier.flavors.translatable.to_string(),
        ];
        line(&[element, &facts].concat());
    }
}

fn line(parts: &[String]) {
    println!("[{}]", parts.join(", "));
}

fn type_of(ty: ValueType) -> String {
    text(&ty.to_string())
}

fn number(n: Option<u32>) -> String {
    n.map_or("null".into(), |n| n.to_string())
}

fn optional(name: Option<&str>) -> String {
    name.map_or("null".into(), text)
}

fn value(value: &Value) -> String {
    match value {
        Value::Null(_) => "null".into(),
        Value::Scalar(scalar) => json(scalar),
        Value::Array(array) => {
            let items = array.items.iter();
            let items: Vec<_> = items
                .map(|item| item.as_ref().map_or("null".into(), json))
                .collect();
            format!("[{}]", items.join(", "))
        }
    }
}

fn json(scalar: &Scalar) -> String {
    match scalar {
        Scalar::Boolean(b) => b.to_string(),
        other if other.cim_type().is_numeric() => other.to_string(),
        other => text(&other.to_string()),
    }
}

/// A JSON string.
fn text(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c < ' ' => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
