//! Bringing a value to the type of the schema.
//!
//! Clients send uint16 parameters as strings, NULL without a type, and single values where an array belongs;
//! the operations accept what has one clear meaning and refuse the rest.

use crate::literal::{LiteralError, integer_in};
use crate::value::ArrayValue;
use crate::{CimType, ObjectPath, Scalar, Shape, Text, UriError, Value, ValueType};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

/// Why a value cannot take a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoerceError {
    /// The value is of another type, which does not convert.
    Type {
        /// What the value is.
        found: ValueType,
        /// What it should be.
        wanted: ValueType,
    },
    /// The text or number is not a value of the type.
    Literal(CimType, LiteralError),
    /// The text is not a path.
    Path(UriError),
}

impl fmt::Display for CoerceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CoerceError::Type { found, wanted } => {
                write!(f, "a value of type {found} is not a value of type {wanted}")
            }
            CoerceError::Literal(ty, error) => write!(f, "not a value of type {ty}: {error}"),
            CoerceError::Path(error) => write!(f, "not a reference: {error}"),
        }
    }
}

impl core::error::Error for CoerceError {}

impl Value {
    /// The value as one of type `wanted`. NULL takes any type; strings are parsed; integers change width when
    /// they fit and become reals; a path in a string becomes a reference. A single value does not become an
    /// array, nor the reverse.
    ///
    /// # Errors
    /// [`CoerceError`] when the value has no clear meaning in that type.
    pub fn coerce(self, wanted: ValueType) -> Result<Value, CoerceError> {
        match (self, wanted.shape) {
            (Value::Null(_), _) => Ok(Value::Null(wanted)),
            (Value::Scalar(scalar), Shape::Scalar) => scalar.coerce(wanted.ty).map(Value::Scalar),
            (Value::Array(array), Shape::Array) => {
                let items = array.items.into_iter();
                let items = items
                    .map(|item| item.map(|scalar| scalar.coerce(wanted.ty)).transpose())
                    .collect::<Result<Vec<_>, _>>()?;
                Ok(Value::Array(ArrayValue {
                    ty: wanted.ty,
                    items,
                }))
            }
            (other, _) => Err(CoerceError::Type {
                found: other.value_type(),
                wanted,
            }),
        }
    }
}

impl Scalar {
    /// The scalar as one of type `wanted`; see [`Value::coerce`].
    ///
    /// # Errors
    /// [`CoerceError`] when the scalar has no clear meaning in that type.
    pub fn coerce(self, wanted: CimType) -> Result<Scalar, CoerceError> {
        let found = self.cim_type();
        if found == wanted {
            return Ok(self);
        }
        let literal = |error| CoerceError::Literal(wanted, error);
        if let (Some(value), true) = (self.as_integer(), wanted.is_numeric()) {
            return match wanted {
                CimType::Real32 => Ok(Scalar::Real32(value as f32)),
                CimType::Real64 => Ok(Scalar::Real64(value as f64)),
                _ => integer_in(wanted, value).map_err(literal),
            };
        }
        match (self, wanted) {
            (Scalar::String(text), CimType::Reference) => {
                let path: ObjectPath = text.parse().map_err(CoerceError::Path)?;
                Ok(Scalar::Reference(Box::new(path)))
            }
            (Scalar::String(text), _) => Scalar::parse(wanted, &text).map_err(literal),
            (Scalar::Real32(value), CimType::Real64) => Ok(Scalar::Real64(f64::from(value))),
            (Scalar::Real64(value), CimType::Real32) => Ok(Scalar::Real32(value as f32)),
            (Scalar::Char16(unit), CimType::String) => {
                let mut text = [0; 4];
                let character =
                    char::from_u32(u32::from(unit)).unwrap_or(char::REPLACEMENT_CHARACTER);
                Ok(Scalar::String(Text::copy(character.encode_utf8(&mut text))))
            }
            (Scalar::DateTime(value), CimType::String) => {
                Ok(Scalar::String(Text::from(alloc::format!("{value}"))))
            }
            _ => Err(CoerceError::Type {
                found: found.into(),
                wanted: wanted.into(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(value: impl Into<Value>, ty: CimType) -> Result<Value, CoerceError> {
        value.into().coerce(ValueType::scalar(ty))
    }

    #[test]
    fn clear_meanings_convert() {
        assert_eq!(to("7", CimType::Uint16), Ok(Value::from(7u16)));
        assert_eq!(to(7u64, CimType::Uint8), Ok(Value::from(7u8)));
        assert_eq!(to(7i8, CimType::Real64), Ok(Value::from(7.0f64)));
        assert_eq!(to("true", CimType::Boolean), Ok(Value::from(true)));
        assert_eq!(
            to(Value::null(CimType::String), CimType::Uint8),
            Ok(Value::null(CimType::Uint8))
        );
        let reference = to("n:C.k=1", CimType::Reference).unwrap();
        assert_eq!(reference.as_instance_path().unwrap().class, "C");
        let array = Value::from(vec!["1", "2"]).coerce(ValueType::array(CimType::Uint8));
        assert_eq!(array, Ok(Value::from(vec![1u8, 2])));
    }

    #[test]
    fn unclear_meanings_are_refused() {
        assert!(matches!(
            to(300u16, CimType::Uint8),
            Err(CoerceError::Literal(CimType::Uint8, _))
        ));
        assert!(matches!(
            to("x", CimType::Uint8),
            Err(CoerceError::Literal(..))
        ));
        assert!(matches!(
            to(true, CimType::Uint8),
            Err(CoerceError::Type { .. })
        ));
        assert!(matches!(
            to(1u8, CimType::Boolean),
            Err(CoerceError::Type { .. })
        ));
        assert!(
            Value::from(1u8)
                .coerce(ValueType::array(CimType::Uint8))
                .is_err()
        );
        assert!(
            Value::from(vec![1u8])
                .coerce(ValueType::scalar(CimType::Uint8))
                .is_err()
        );
    }
}
