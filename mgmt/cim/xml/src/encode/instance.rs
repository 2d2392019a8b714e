//! INSTANCE and the property elements.

use super::qualifier::qualifiers;
use super::{Written, array_size, attribute, raw};
use crate::sink::Sink;
use cim_model::{CimType, ClassName, EmbeddedKind, Instance, Qualifier, Scalar, Value, ValueType};

/// INSTANCE.
pub(super) fn instance<S: Sink>(out: &mut S, instance: &Instance) -> Written {
    attribute(out, "<INSTANCE CLASSNAME=\"", instance.class.as_str())?;
    raw(out, ">")?;
    qualifiers(out, &instance.qualifiers)?;
    for item in &instance.properties {
        let element = PropertyElement {
            name: item.name.as_str(),
            ty: item.value.value_type(),
            value: &item.value,
            class_origin: item.class_origin.as_ref(),
            propagated: item.propagated,
            embedded: item.embedded.or_else(|| item.value.embedded_kind()),
            reference_class: item.reference_class.as_ref(),
            array_size: item.array_size,
            qualifiers: &item.qualifiers,
        };
        property(out, &element)?;
    }
    raw(out, "</INSTANCE>")
}

/// What instances and classes write for a property.
pub(super) struct PropertyElement<'a> {
    pub(super) name: &'a str,
    pub(super) ty: ValueType,
    pub(super) value: &'a Value,
    pub(super) class_origin: Option<&'a ClassName>,
    pub(super) propagated: bool,
    pub(super) embedded: Option<EmbeddedKind>,
    pub(super) reference_class: Option<&'a ClassName>,
    pub(super) array_size: Option<u32>,
    pub(super) qualifiers: &'a [Qualifier],
}

/// PROPERTY, PROPERTY.ARRAY or PROPERTY.REFERENCE.
pub(super) fn property<S: Sink>(out: &mut S, item: &PropertyElement<'_>) -> Written {
    let is_reference = item.ty == ValueType::scalar(CimType::Reference);
    let close = if is_reference {
        attribute(out, "<PROPERTY.REFERENCE NAME=\"", item.name)?;
        if let Some(class) = item.reference_class {
            attribute(out, " REFERENCECLASS=\"", class.as_str())?;
        }
        "</PROPERTY.REFERENCE>"
    } else {
        let (open, close) = match item.ty.is_array() {
            true => ("<PROPERTY.ARRAY NAME=\"", "</PROPERTY.ARRAY>"),
            false => ("<PROPERTY NAME=\"", "</PROPERTY>"),
        };
        attribute(out, open, item.name)?;
        raw(out, " TYPE=\"")?;
        raw(out, written_type(item.ty.ty))?;
        raw(out, "\"")?;
        if item.ty.is_array() {
            array_size(out, item.array_size)?;
        }
        close
    };
    if let Some(class) = item.class_origin {
        attribute(out, " CLASSORIGIN=\"", class.as_str())?;
    }
    if item.propagated {
        raw(out, " PROPAGATED=\"true\"")?;
    }
    if let (Some(kind), CimType::String) = (item.embedded, item.ty.ty) {
        embedded(out, kind)?;
    }
    raw(out, ">")?;
    qualifiers(out, item.qualifiers)?;
    match item.value {
        // The DTD has no property element for arrays of references; they go as their URIs.
        Value::Array(array) if array.ty == CimType::Reference => {
            raw(out, "<VALUE.ARRAY>")?;
            for item in &array.items {
                match item {
                    Some(scalar @ Scalar::Reference(_)) => {
                        super::value::scalar_element(out, scalar)?;
                    }
                    _ => raw(out, "<VALUE.NULL/>")?,
                }
            }
            raw(out, "</VALUE.ARRAY>")?;
        }
        other => super::value::value(out, other)?,
    }
    raw(out, close)
}

/// The EmbeddedObject attribute.
pub(super) fn embedded<S: Sink>(out: &mut S, kind: EmbeddedKind) -> Written {
    raw(out, " EmbeddedObject=\"")?;
    raw(out, kind.name())?;
    raw(out, "\"")
}

/// The TYPE of PROPERTY and PROPERTY.ARRAY, which cannot be reference.
const fn written_type(ty: CimType) -> &'static str {
    match ty {
        CimType::Reference => CimType::String.name(),
        other => other.name(),
    }
}
