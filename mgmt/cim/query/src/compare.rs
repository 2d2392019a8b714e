//! Comparison of single values across the CIM types.

use crate::ast::Comparison;
use crate::truth::Truth;
use cim_model::{CimType, DateTime, ObjectPath, Scalar};
use core::cmp::Ordering;

/// Compares two values; unknown when they have no common order, or none at all for `<` and its kin.
///
/// Strings meet typed values (a datetime, a path, a number that a client put in quotes) by being read as
/// that type.
pub(crate) fn compare(left: &Scalar, operator: Comparison, right: &Scalar) -> Truth {
    match ordering(left, right) {
        Some(order) => Truth::from(accepts(operator, order)),
        None => match (operator, equality(left, right)) {
            (Comparison::Equal, Some(equal)) => Truth::from(equal),
            (Comparison::NotEqual, Some(equal)) => Truth::from(!equal),
            _ => Truth::Unknown,
        },
    }
}

const fn accepts(operator: Comparison, order: Ordering) -> bool {
    match operator {
        Comparison::Equal => order.is_eq(),
        Comparison::NotEqual => order.is_ne(),
        Comparison::Less => order.is_lt(),
        Comparison::LessEqual => order.is_le(),
        Comparison::Greater => order.is_gt(),
        Comparison::GreaterEqual => order.is_ge(),
    }
}

/// The order of two values whose types have one.
fn ordering(left: &Scalar, right: &Scalar) -> Option<Ordering> {
    if let (Some(left), Some(right)) = (left.as_integer(), right.as_integer()) {
        return Some(left.cmp(&right));
    }
    if let (Some(left), Some(right)) = (number(left), number(right)) {
        return left.partial_cmp(&right);
    }
    match (left, right) {
        (Scalar::String(left), Scalar::String(right)) => Some(left.as_str().cmp(right.as_str())),
        (Scalar::Char16(left), Scalar::Char16(right)) => Some(left.cmp(right)),
        (Scalar::DateTime(left), Scalar::DateTime(right)) => instants(*left, *right),
        (Scalar::String(text), typed) if reads_strings(typed) => {
            ordering(&Scalar::parse(typed.cim_type(), text).ok()?, typed)
        }
        (typed, Scalar::String(text)) if reads_strings(typed) => {
            ordering(typed, &Scalar::parse(typed.cim_type(), text).ok()?)
        }
        _ => None,
    }
}

fn reads_strings(scalar: &Scalar) -> bool {
    let ty = scalar.cim_type();
    ty.is_numeric() || matches!(ty, CimType::DateTime | CimType::Char16)
}

/// A timestamp and an interval have no common order.
fn instants(left: DateTime, right: DateTime) -> Option<Ordering> {
    (left.is_interval() == right.is_interval()).then(|| left.cmp(&right))
}

/// Any number as a real.
pub(crate) fn number(scalar: &Scalar) -> Option<f64> {
    scalar
        .as_f64()
        .or_else(|| scalar.as_integer().map(|value| value as f64))
}

/// Equality of values that have no order.
fn equality(left: &Scalar, right: &Scalar) -> Option<bool> {
    match (left, right) {
        (Scalar::Boolean(left), Scalar::Boolean(right)) => Some(left == right),
        (Scalar::Boolean(value), Scalar::String(text))
        | (Scalar::String(text), Scalar::Boolean(value)) => Scalar::parse(CimType::Boolean, text)
            .ok()?
            .as_bool()
            .map(|other| other == *value),
        (Scalar::Reference(left), Scalar::Reference(right)) => Some(same_object(left, right)),
        (Scalar::Reference(path), Scalar::String(text))
        | (Scalar::String(text), Scalar::Reference(path)) => {
            let other: ObjectPath = text.parse().ok()?;
            Some(same_object(path, &other))
        }
        (Scalar::Instance(left), Scalar::Instance(right)) => {
            Some(left.class == right.class && left.properties == right.properties)
        }
        _ => None,
    }
}

/// The same object, whatever host the paths name; a path without namespace fits any namespace.
fn same_object(left: &ObjectPath, right: &ObjectPath) -> bool {
    let (Some(left), Some(right)) = (left.as_instance(), right.as_instance()) else {
        return left.class() == right.class();
    };
    let anywhere = left.namespace.is_none() || right.namespace.is_none();
    left.class == right.class
        && left.keys() == right.keys()
        && (anywhere || left.namespace == right.namespace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cim_model::{InstancePath, Text};

    fn text(text: &'static str) -> Scalar {
        Scalar::String(Text::from_static(text))
    }

    fn holds(left: Scalar, operator: Comparison, right: Scalar) -> Truth {
        compare(&left, operator, &right)
    }

    #[test]
    fn numbers_compare_across_types() {
        use Comparison::*;
        assert!(holds(Scalar::Uint8(2), Equal, Scalar::Uint64(2)).holds());
        assert!(holds(Scalar::Sint8(-1), Less, Scalar::Uint64(u64::MAX)).holds());
        assert!(holds(Scalar::Real32(1.5), Greater, Scalar::Uint8(1)).holds());
        assert!(holds(Scalar::Uint16(2), Equal, text("2")).holds());
        assert_eq!(
            holds(Scalar::Real64(f64::NAN), Equal, Scalar::Real64(1.0)),
            Truth::Unknown
        );
        assert_eq!(holds(Scalar::Uint16(2), Equal, text("two")), Truth::Unknown);
    }

    #[test]
    fn datetimes_compare_by_instant_also_with_strings() {
        use Comparison::*;
        let berlin = Scalar::parse(CimType::DateTime, "20240101010000.000000+060").unwrap();
        assert!(holds(berlin.clone(), Equal, text("20240101000000.000000+000")).holds());
        assert!(holds(text("20230101000000.000000+000"), Less, berlin.clone()).holds());
        assert_eq!(
            holds(berlin, Less, text("00000001000000.000000:000")),
            Truth::Unknown
        );
    }

    #[test]
    fn booleans_and_references_have_equality_but_no_order() {
        use Comparison::*;
        assert!(holds(Scalar::Boolean(true), NotEqual, Scalar::Boolean(false)).holds());
        assert!(holds(Scalar::Boolean(true), Equal, text("TRUE")).holds());
        assert_eq!(
            holds(Scalar::Boolean(true), Greater, Scalar::Boolean(false)),
            Truth::Unknown
        );
        let path = InstancePath::new("C")
            .with_namespace("n")
            .with_key("k", "v");
        let reference = Scalar::from(path.clone().with_host("h"));
        assert!(holds(reference.clone(), Equal, text("C.k=\"v\"")).holds());
        assert!(holds(reference, NotEqual, Scalar::from(path.with_key("k", "w"))).holds());
    }
}
