//! Following a property path from a row to a value.

use crate::ast::{PropertyPath, Segment};
use crate::oracle::ClassOracle;
use cim_model::{Instance, Scalar, Value};

/// Where a path leads.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Found<'a> {
    /// Nowhere: a property is missing or NULL on the way.
    Nothing,
    /// The row itself or an instance embedded in it.
    Instance(&'a Instance),
    /// A single value.
    Scalar(&'a Scalar),
    /// An array.
    Array(&'a [Option<Scalar>]),
}

impl<'a> Found<'a> {
    pub(crate) fn of_scalar(scalar: Option<&'a Scalar>) -> Self {
        match scalar {
            None => Found::Nothing,
            Some(Scalar::Instance(instance)) => Found::Instance(instance),
            Some(scalar) => Found::Scalar(scalar),
        }
    }

    fn of_value(value: Option<&'a Value>) -> Self {
        match value {
            None | Some(Value::Null(_)) => Found::Nothing,
            Some(Value::Scalar(scalar)) => Found::of_scalar(Some(scalar)),
            Some(Value::Array(array)) => Found::Array(&array.items),
        }
    }
}

/// The segments of a path without a leading name of the row itself (its alias or its FROM class).
pub(crate) fn from_row<'p>(path: &'p PropertyPath, row_names: &[&str]) -> &'p [Segment] {
    match path.segments.split_first() {
        Some((first, rest))
            if first.scope.is_none()
                && first.index.is_none()
                && row_names
                    .iter()
                    .any(|name| !name.is_empty() && first.name == **name) =>
        {
            rest
        }
        _ => &path.segments,
    }
}

/// Follows segments from an instance.
pub(crate) fn follow<'a>(
    start: Found<'a>,
    segments: &[Segment],
    oracle: &dyn ClassOracle,
) -> Found<'a> {
    let mut found = start;
    for segment in segments {
        let Found::Instance(instance) = found else {
            return Found::Nothing;
        };
        if segment
            .scope
            .as_ref()
            .is_some_and(|scope| !oracle.is_a(instance.class.as_str(), scope.as_str()))
        {
            return Found::Nothing;
        }
        found = Found::of_value(instance.get(segment.name.as_str()));
        if let Some(index) = segment.index {
            found = match found {
                Found::Array(items) => Found::of_scalar(items.get(index).and_then(Option::as_ref)),
                _ => Found::Nothing,
            };
        }
    }
    found
}
