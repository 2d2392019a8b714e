//! The functions of DSP0202 that this server offers.

use crate::ast::{Arithmetic, Function};
use crate::compare::number;
use alloc::string::{String, ToString};
use cim_model::{CimType, Scalar, Text};
use core::ops::RangeInclusive;

impl Function {
    const NAMES: [(&'static str, Function); 10] = [
        ("ObjectPath", Function::ObjectPath),
        ("ClassName", Function::ClassName),
        ("NamespaceName", Function::NamespaceName),
        ("CurrentDateTime", Function::CurrentDateTime),
        ("DateTime", Function::DateTime),
        ("UpperCase", Function::UpperCase),
        ("NumericToString", Function::NumericToString),
        ("StringToUint", Function::StringToUint),
        ("StringToSint", Function::StringToSint),
        ("StringToReal", Function::StringToReal),
    ];

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::NAMES
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, function)| *function)
    }

    /// The name of a selected column that calls the function.
    pub(crate) fn name(self) -> &'static str {
        Self::NAMES
            .iter()
            .find(|(_, function)| *function == self)
            .map_or("", |(name, _)| name)
    }

    /// How many arguments it takes.
    pub(crate) const fn arguments(self) -> RangeInclusive<usize> {
        match self {
            Function::ObjectPath | Function::ClassName | Function::NamespaceName => 0..=1,
            Function::CurrentDateTime => 0..=0,
            _ => 1..=1,
        }
    }

    /// The type of its result.
    pub(crate) const fn result(self) -> CimType {
        match self {
            Function::CurrentDateTime | Function::DateTime => CimType::DateTime,
            Function::StringToUint => CimType::Uint64,
            Function::StringToSint => CimType::Sint64,
            Function::StringToReal => CimType::Real64,
            _ => CimType::String,
        }
    }
}

/// A function of one value; NULL when the value is not one that it takes.
pub(crate) fn convert(function: Function, argument: &Scalar) -> Option<Scalar> {
    match function {
        Function::UpperCase => {
            let upper: String = argument
                .as_str()?
                .chars()
                .flat_map(char::to_uppercase)
                .collect();
            Some(Scalar::String(Text::from(upper)))
        }
        Function::NumericToString => {
            number(argument)?;
            Some(Scalar::String(Text::from(argument.to_string())))
        }
        Function::DateTime
        | Function::StringToUint
        | Function::StringToSint
        | Function::StringToReal => Scalar::parse(function.result(), argument.as_str()?).ok(),
        _ => None,
    }
}

/// Arithmetic on two values: integers stay integers while they fit; everything else is NULL.
pub(crate) fn arithmetic(left: &Scalar, operator: Arithmetic, right: &Scalar) -> Option<Scalar> {
    if operator == Arithmetic::Concatenate {
        let mut text = left.as_str()?.to_string();
        text.push_str(right.as_str()?);
        return Some(Scalar::String(Text::from(text)));
    }
    if let (Some(left), Some(right)) = (left.as_integer(), right.as_integer()) {
        let value = match operator {
            Arithmetic::Add => left.checked_add(right)?,
            Arithmetic::Subtract => left.checked_sub(right)?,
            Arithmetic::Multiply => left.checked_mul(right)?,
            _ => left.checked_div(right)?,
        };
        return match (u64::try_from(value), i64::try_from(value)) {
            (Ok(value), _) => Some(Scalar::Uint64(value)),
            (_, Ok(value)) => Some(Scalar::Sint64(value)),
            _ => None,
        };
    }
    let (left, right) = (number(left)?, number(right)?);
    let value = match operator {
        Arithmetic::Add => left + right,
        Arithmetic::Subtract => left - right,
        Arithmetic::Multiply => left * right,
        _ => left / right,
    };
    value.is_finite().then_some(Scalar::Real64(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_does_not_wrap() {
        use Arithmetic::*;
        let calculate = |left: u64, operator, right: u64| {
            arithmetic(&Scalar::Uint64(left), operator, &Scalar::Uint64(right))
        };
        assert_eq!(calculate(7, Divide, 2), Some(Scalar::Uint64(3)));
        assert_eq!(calculate(1, Subtract, 2), Some(Scalar::Sint64(-1)));
        assert_eq!(calculate(u64::MAX, Multiply, u64::MAX), None);
        assert_eq!(calculate(1, Divide, 0), None);
        assert_eq!(
            arithmetic(&Scalar::Real64(1.0), Divide, &Scalar::Uint8(4)),
            Some(Scalar::Real64(0.25))
        );
        assert_eq!(
            arithmetic(&Scalar::Boolean(true), Add, &Scalar::Uint8(4)),
            None
        );
    }

    #[test]
    fn conversions_give_null_for_nonsense() {
        let text = |text: &'static str| Scalar::String(Text::from_static(text));
        assert_eq!(
            convert(Function::StringToUint, &text("12")),
            Some(Scalar::Uint64(12))
        );
        assert_eq!(convert(Function::StringToUint, &text("-12")), None);
        assert_eq!(
            convert(Function::UpperCase, &text("größe")),
            Some(text("GRÖSSE"))
        );
        assert_eq!(
            convert(Function::NumericToString, &Scalar::Sint8(-3)),
            Some(text("-3"))
        );
    }
}
