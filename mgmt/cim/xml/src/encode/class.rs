//! CLASS, METHOD and the PARAMETER elements.

use super::instance::{PropertyElement, property};
use super::qualifier::qualifiers;
use super::{Written, array_size, attribute, raw};
use crate::sink::Sink;
use cim_model::{CimType, ClassDecl, MethodDecl, ParameterDecl};

/// CLASS.
pub(super) fn class<S: Sink>(out: &mut S, class: &ClassDecl) -> Written {
    attribute(out, "<CLASS NAME=\"", class.name.as_str())?;
    if let Some(superclass) = &class.superclass {
        attribute(out, " SUPERCLASS=\"", superclass.as_str())?;
    }
    raw(out, ">")?;
    qualifiers(out, &class.qualifiers)?;
    for item in &class.properties {
        let element = PropertyElement {
            name: item.name.as_str(),
            ty: item.ty,
            value: &item.default,
            class_origin: item.class_origin.as_ref(),
            propagated: item.propagated,
            // In a class the qualifiers say what is embedded, unless the default is an object itself.
            embedded: item.default.embedded_kind(),
            reference_class: item.reference_class.as_ref(),
            array_size: item.array_size,
            qualifiers: &item.qualifiers,
        };
        property(out, &element)?;
    }
    for item in &class.methods {
        method(out, item)?;
    }
    raw(out, "</CLASS>")
}

fn method<S: Sink>(out: &mut S, method: &MethodDecl) -> Written {
    attribute(out, "<METHOD NAME=\"", method.name.as_str())?;
    attribute(out, " TYPE=\"", method.return_type.name())?;
    if let Some(class) = &method.class_origin {
        attribute(out, " CLASSORIGIN=\"", class.as_str())?;
    }
    if method.propagated {
        raw(out, " PROPAGATED=\"true\"")?;
    }
    raw(out, ">")?;
    qualifiers(out, &method.qualifiers)?;
    for item in &method.parameters {
        parameter(out, item)?;
    }
    raw(out, "</METHOD>")
}

fn parameter<S: Sink>(out: &mut S, parameter: &ParameterDecl) -> Written {
    let is_reference = parameter.ty.ty == CimType::Reference;
    let (open, close) = match (is_reference, parameter.ty.is_array()) {
        (false, false) => ("<PARAMETER NAME=\"", "</PARAMETER>"),
        (false, true) => ("<PARAMETER.ARRAY NAME=\"", "</PARAMETER.ARRAY>"),
        (true, false) => ("<PARAMETER.REFERENCE NAME=\"", "</PARAMETER.REFERENCE>"),
        (true, true) => ("<PARAMETER.REFARRAY NAME=\"", "</PARAMETER.REFARRAY>"),
    };
    attribute(out, open, parameter.name.as_str())?;
    if !is_reference {
        attribute(out, " TYPE=\"", parameter.ty.ty.name())?;
    } else if let Some(class) = &parameter.reference_class {
        attribute(out, " REFERENCECLASS=\"", class.as_str())?;
    }
    if parameter.ty.is_array() {
        array_size(out, parameter.array_size)?;
    }
    raw(out, ">")?;
    qualifiers(out, &parameter.qualifiers)?;
    raw(out, close)
}
