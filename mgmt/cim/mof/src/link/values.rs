//! Fits literals to types.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::ast::{Initializer, Literal};
use crate::error::{Fault, Rule};
use crate::schema::Value;
use crate::types::{ArraySize, TypeName};

/// A literal as a value of a type.
///
/// # Errors
/// [`Rule::ValueType`] when it does not fit.
pub(super) fn typed(
    value: &Initializer,
    ty: TypeName,
    array: Option<ArraySize>,
) -> Result<Value, Fault> {
    let (Some(size), Literal::Array(elements)) = (array, &value.literal) else {
        if array.is_some() && value.literal != Literal::Null {
            return Err(mismatch(value, format!("an array of {ty} in braces")));
        }
        return scalar(value, ty);
    };
    if let ArraySize::Fixed(n) = size
        && usize::try_from(n).is_ok_and(|n| elements.len() != n)
    {
        return Err(mismatch(value, format!("an array of {n} elements")));
    }
    let elements: Result<Vec<_>, _> = elements.iter().map(|e| scalar(e, ty)).collect();
    Ok(Value::Array(elements?))
}

fn scalar(value: &Initializer, ty: TypeName) -> Result<Value, Fault> {
    let fit = match (&value.literal, ty) {
        (Literal::Null, _) => Some(Value::Null),
        (Literal::Boolean(b), TypeName::Boolean) => Some(Value::Boolean(*b)),
        (Literal::Text(text), TypeName::String) => Some(Value::Text(text.clone())),
        (Literal::Text(text), TypeName::DateTime) if is_datetime(text) => {
            Some(Value::Text(text.clone()))
        }
        (Literal::Char(unit), TypeName::Char16) => Some(Value::Char16(*unit)),
        (Literal::Real(r), TypeName::Real64) => Some(Value::Real(*r)),
        (Literal::Real(r), TypeName::Real32) if in_real32(*r) => Some(Value::Real(*r)),
        (Literal::Integer(i), TypeName::Real32 | TypeName::Real64) => real_from(*i),
        (Literal::Integer(i), _) => ty
            .integer_range()
            .filter(|(low, high)| low <= i && i <= high)
            .map(|_| Value::Integer(*i)),
        _ => None,
    };
    fit.ok_or_else(|| {
        let expected = match ty.integer_range() {
            Some((low, high)) => format!("a value of type {ty}: a number from {low} to {high}"),
            None if ty == TypeName::DateTime => {
                "a datetime: yyyymmddhhmmss.mmmmmmsutc or ddddddddhhmmss.mmmmmm:000".into()
            }
            None => format!("a value of type {ty}"),
        };
        mismatch(value, expected)
    })
}

/// Only integers that a real holds exactly: a larger one would silently become another number.
fn real_from(i: i128) -> Option<Value> {
    let i = i32::try_from(i).ok()?;
    Some(Value::Real(f64::from(i)))
}

fn in_real32(r: f64) -> bool {
    (f64::from(f32::MIN)..=f64::from(f32::MAX)).contains(&r)
}

pub(super) fn mismatch(value: &Initializer, expected: impl Into<String>) -> Fault {
    Fault::new(
        value.at,
        Rule::ValueType,
        describe(&value.literal),
        expected,
    )
}

pub(super) fn describe(literal: &Literal) -> String {
    match literal {
        Literal::Null => "null".into(),
        Literal::Boolean(b) => format!("`{b}`"),
        Literal::Integer(i) => format!("the number {i}"),
        Literal::Real(r) => format!("the number {r}"),
        Literal::Char(_) => "a character".into(),
        Literal::Text(text) => {
            let shown: String = text.chars().take(40).collect();
            format!("the string \"{}\"", shown.escape_debug())
        }
        Literal::Alias(name) => format!("the alias `${name}`"),
        Literal::Instance(instance) => format!("an instance of `{}`", instance.class.text),
        Literal::Array(elements) => format!("an array of {} elements", elements.len()),
    }
}

/// The two 25-character forms of DSP0004 5.2.4; asterisks stand for digits that are not significant.
pub(crate) fn is_datetime(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() != 25 {
        return false;
    }
    let digits = |from: usize, to: usize| {
        bytes
            .get(from..to)
            .is_some_and(|part| part.iter().all(|b| b.is_ascii_digit() || *b == b'*'))
    };
    let number = |from: usize, to: usize| text.get(from..to).and_then(|t| t.parse::<u32>().ok());
    let within = |from: usize, to: usize, low: u32, high: u32| {
        number(from, to).is_none_or(|n| (low..=high).contains(&n))
    };
    let common = digits(0, 14)
        && bytes.get(14) == Some(&b'.')
        && digits(15, 21)
        && within(8, 10, 0, 23)
        && within(10, 12, 0, 59)
        && within(12, 14, 0, 59);
    let zone = bytes
        .get(22..25)
        .is_some_and(|part| part.iter().all(u8::is_ascii_digit));
    match bytes.get(21) {
        Some(b':') => common && bytes.ends_with(b"000"),
        Some(b'+' | b'-') => common && zone && within(4, 6, 1, 12) && within(6, 8, 1, 31),
        _ => false,
    }
}
