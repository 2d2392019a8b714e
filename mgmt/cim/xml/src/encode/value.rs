//! VALUE and its kin, and the literals inside.

use super::{Written, content, decimal, raw};
use crate::escape::Escaping;
use crate::sink::{Sink, SinkError};
use cim_model::{ArrayValue, CimType, Scalar, Value};
use core::fmt;

/// The value element for a value: VALUE, VALUE.ARRAY, VALUE.REFERENCE, VALUE.REFARRAY, or nothing for NULL.
pub(super) fn value<S: Sink>(out: &mut S, value: &Value) -> Written {
    match value {
        Value::Null(_) => Ok(()),
        Value::Scalar(Scalar::Reference(path)) => super::path::reference(out, path),
        Value::Scalar(scalar) => scalar_element(out, scalar),
        Value::Array(array) if array.ty == CimType::Reference => {
            array_element(out, array, "<VALUE.REFARRAY>", "</VALUE.REFARRAY>")
        }
        Value::Array(array) => array_element(out, array, "<VALUE.ARRAY>", "</VALUE.ARRAY>"),
    }
}

fn array_element<S: Sink>(out: &mut S, array: &ArrayValue, open: &str, close: &str) -> Written {
    raw(out, open)?;
    for item in &array.items {
        match item {
            None => raw(out, "<VALUE.NULL/>")?,
            Some(Scalar::Reference(path)) => super::path::reference(out, path)?,
            Some(scalar) => scalar_element(out, scalar)?,
        }
    }
    raw(out, close)
}

/// VALUE. A reference is written as its URI, for the places where the DTD has no VALUE.REFERENCE.
pub(super) fn scalar_element<S: Sink>(out: &mut S, scalar: &Scalar) -> Written {
    raw(out, "<VALUE>")?;
    literal(out, scalar)?;
    raw(out, "</VALUE>")
}

fn literal<S: Sink>(out: &mut S, scalar: &Scalar) -> Written {
    match scalar {
        Scalar::String(text) => content(out, text),
        Scalar::Boolean(true) => raw(out, "TRUE"),
        Scalar::Boolean(false) => raw(out, "FALSE"),
        Scalar::Uint8(number) => decimal(out, u64::from(*number)),
        Scalar::Uint16(number) => decimal(out, u64::from(*number)),
        Scalar::Uint32(number) => decimal(out, u64::from(*number)),
        Scalar::Uint64(number) => decimal(out, *number),
        Scalar::Sint8(number) => signed(out, i64::from(*number)),
        Scalar::Sint16(number) => signed(out, i64::from(*number)),
        Scalar::Sint32(number) => signed(out, i64::from(*number)),
        Scalar::Sint64(number) => signed(out, *number),
        Scalar::DateTime(datetime) => out.write(&datetime.to_chars()),
        Scalar::Instance(instance) => super::instance::instance(&mut Escaping(out), instance),
        Scalar::Class(class) => super::class::class(&mut Escaping(out), class),
        Scalar::Real32(_) | Scalar::Real64(_) | Scalar::Char16(_) | Scalar::Reference(_) => {
            let mut text = Formatted { out, error: None };
            match scalar.write_text(&mut text) {
                Ok(()) => Ok(()),
                Err(fmt::Error) => Err(text.error.unwrap_or(SinkError)),
            }
        }
    }
}

fn signed<S: Sink>(out: &mut S, number: i64) -> Written {
    if number < 0 {
        raw(out, "-")?;
    }
    decimal(out, number.unsigned_abs())
}

/// Lets the model write its text forms into a sink, escaped.
struct Formatted<'a, S> {
    out: &'a mut S,
    error: Option<SinkError>,
}

impl<S: Sink> fmt::Write for Formatted<'_, S> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        content(self.out, text).map_err(|error| {
            self.error = Some(error);
            fmt::Error
        })
    }
}
