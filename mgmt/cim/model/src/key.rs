//! Key bindings: the values that identify an instance within its class.
//!
//! A client may write the same key as a string or as a number, with or without its type, so a path from the
//! wire is first brought to the schema's types ([`crate::InstancePath::normalize`]); after that, two keys
//! are the same exactly when they compare equal here.

use crate::literal::{
    LiteralError, integer_in, parse_boolean, parse_char16, parse_integer, parse_real,
};
use crate::{CimType, DateTime, InstancePath, ObjectPath, PropertyName, Scalar, Text, UriError};
use alloc::boxed::Box;
use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};

/// One key of an instance path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyBinding {
    /// The name of the key property; empty for the single unnamed key that DSP0201 allows.
    pub name: PropertyName,
    /// Its value.
    pub value: KeyValue,
}

/// The value of a key. Comparison ignores the declared type of a number: `uint16` 5 equals `uint32` 5 and an
/// untyped 5, but not the string "5".
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the variants are CIM types")]
pub enum KeyValue {
    Boolean(bool),
    Integer {
        value: i128,
        /// The integer type, when the source said it.
        ty: Option<CimType>,
    },
    Real {
        value: f64,
        /// real32 or real64, when the source said it.
        ty: Option<CimType>,
    },
    Char16(u16),
    String(Text),
    DateTime(DateTime),
    Reference(Box<ObjectPath>),
}

/// Why a path does not fit the keys of its class.
#[derive(Clone, Debug, PartialEq)]
pub enum KeyError {
    /// The value of this key is not a value of its type.
    Value(PropertyName, CimType, LiteralError),
    /// The value of this reference key is not a path.
    Path(PropertyName, UriError),
    /// The class has no such key.
    Unknown(PropertyName),
    /// The path lacks this key.
    Missing(PropertyName),
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyError::Value(name, ty, error) => {
                write!(f, "the value of key {name} is not a {ty}: {error}")
            }
            KeyError::Path(name, error) => {
                write!(f, "the value of key {name} is not an object path: {error}")
            }
            KeyError::Unknown(name) => write!(f, "the class has no key {name}"),
            KeyError::Missing(name) => write!(f, "the path lacks the key {name}"),
        }
    }
}

impl core::error::Error for KeyError {}

impl KeyValue {
    /// The type, if it is known; an untyped number has none.
    pub const fn cim_type(&self) -> Option<CimType> {
        Some(match self {
            KeyValue::Boolean(_) => CimType::Boolean,
            KeyValue::Integer { ty, .. } | KeyValue::Real { ty, .. } => return *ty,
            KeyValue::Char16(_) => CimType::Char16,
            KeyValue::String(_) => CimType::String,
            KeyValue::DateTime(_) => CimType::DateTime,
            KeyValue::Reference(_) => CimType::Reference,
        })
    }

    /// The string, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            KeyValue::String(text) => Some(text),
            _ => None,
        }
    }

    /// Any integer that is not negative.
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            KeyValue::Integer { value, .. } => (*value).try_into().ok(),
            _ => None,
        }
    }

    /// The referenced path, if it is a reference.
    pub fn as_reference(&self) -> Option<&ObjectPath> {
        match self {
            KeyValue::Reference(path) => Some(path),
            _ => None,
        }
    }

    /// The referenced instance path, if it is a reference to an instance.
    pub fn as_instance_path(&self) -> Option<&InstancePath> {
        self.as_reference().and_then(ObjectPath::as_instance)
    }

    /// The value as a property of type `ty` would hold it; strings are parsed, numbers are range-checked.
    ///
    /// # Errors
    /// [`KeyError::Value`] or [`KeyError::Path`], naming `name`.
    pub fn to_scalar(&self, name: &PropertyName, ty: CimType) -> Result<Scalar, KeyError> {
        let fault = |error| KeyError::Value(name.clone(), ty, error);
        Ok(match (ty, self) {
            (CimType::String, KeyValue::String(text)) => Scalar::String(text.clone()),
            (CimType::Reference, KeyValue::Reference(path)) => Scalar::Reference(path.clone()),
            (CimType::Reference, KeyValue::String(text)) => {
                let path = text
                    .parse()
                    .map_err(|error| KeyError::Path(name.clone(), error))?;
                Scalar::Reference(Box::new(path))
            }
            (CimType::DateTime, KeyValue::DateTime(value)) => Scalar::DateTime(*value),
            (CimType::Char16, KeyValue::Char16(unit)) => Scalar::Char16(*unit),
            (CimType::Boolean, KeyValue::Boolean(value)) => Scalar::Boolean(*value),
            (CimType::Real32, KeyValue::Real { value, .. }) => Scalar::Real32(*value as f32),
            (CimType::Real64, KeyValue::Real { value, .. }) => Scalar::Real64(*value),
            (CimType::Real32, KeyValue::Integer { value, .. }) => Scalar::Real32(*value as f32),
            (CimType::Real64, KeyValue::Integer { value, .. }) => Scalar::Real64(*value as f64),
            (_, KeyValue::Integer { value, .. }) if ty.is_integer() => {
                integer_in(ty, *value).map_err(fault)?
            }
            // Not through its text: that doubles with each nesting, and no string key is a path.
            (_, KeyValue::Reference(_)) => return Err(fault(LiteralError::Reference)),
            (CimType::String, other) => Scalar::String(Text::from(alloc::format!("{other}"))),
            (_, KeyValue::String(text)) => Scalar::parse(ty, text).map_err(fault)?,
            (_, other) => Scalar::parse(ty, &alloc::format!("{other}")).map_err(fault)?,
        })
    }

    /// Reads the text of a key of a declared type (KEYVALUE with TYPE, DSP0201 2.4).
    ///
    /// # Errors
    /// [`LiteralError`] when the text is not a value of the type.
    pub fn parse_typed(ty: CimType, text: &str) -> Result<KeyValue, LiteralError> {
        Ok(match ty {
            CimType::Boolean => KeyValue::Boolean(parse_boolean(text)?),
            CimType::Char16 => KeyValue::Char16(parse_char16(text)?),
            CimType::String => KeyValue::String(Text::copy(text)),
            CimType::Real32 | CimType::Real64 | CimType::DateTime | CimType::Reference => {
                KeyValue::try_from(Scalar::parse(ty, text)?).map_err(|_| LiteralError::Reference)?
            }
            _ => {
                integer_in(ty, parse_integer(text)?)?;
                KeyValue::Integer {
                    value: parse_integer(text)?,
                    ty: Some(ty),
                }
            }
        })
    }

    /// Reads the text of a key that is only known to be a number (KEYVALUE with VALUETYPE numeric).
    ///
    /// # Errors
    /// [`LiteralError`] when the text is neither an integer nor a real.
    pub fn parse_number(text: &str) -> Result<KeyValue, LiteralError> {
        match parse_integer(text) {
            Ok(value) => Ok(KeyValue::Integer { value, ty: None }),
            Err(error @ LiteralError::Range(_)) => Err(error),
            Err(error) => match parse_real(text) {
                Ok(value) => Ok(KeyValue::Real { value, ty: None }),
                Err(_) => Err(error),
            },
        }
    }

    /// A number that only serves the order between variants.
    const fn rank(&self) -> u8 {
        match self {
            KeyValue::Boolean(_) => 0,
            KeyValue::Integer { .. } => 1,
            KeyValue::Real { .. } => 2,
            KeyValue::Char16(_) => 3,
            KeyValue::String(_) => 4,
            KeyValue::DateTime(_) => 5,
            KeyValue::Reference(_) => 6,
        }
    }
}

/// The text form: what KEYVALUE holds; a reference as its WBEM URI.
impl fmt::Display for KeyValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyValue::Boolean(value) => Scalar::Boolean(*value).write_text(f),
            KeyValue::Integer { value, .. } => write!(f, "{value}"),
            KeyValue::Real {
                value,
                ty: Some(CimType::Real32),
            } => Scalar::Real32(*value as f32).write_text(f),
            KeyValue::Real { value, .. } => Scalar::Real64(*value).write_text(f),
            KeyValue::Char16(unit) => Scalar::Char16(*unit).write_text(f),
            KeyValue::String(text) => f.write_str(text),
            KeyValue::DateTime(value) => write!(f, "{value}"),
            KeyValue::Reference(path) => write!(f, "{path}"),
        }
    }
}

impl PartialEq for KeyValue {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for KeyValue {}

impl PartialOrd for KeyValue {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for KeyValue {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (KeyValue::Boolean(a), KeyValue::Boolean(b)) => a.cmp(b),
            (KeyValue::Integer { value: a, .. }, KeyValue::Integer { value: b, .. }) => a.cmp(b),
            (KeyValue::Real { value: a, .. }, KeyValue::Real { value: b, .. }) => a.total_cmp(b),
            (KeyValue::Char16(a), KeyValue::Char16(b)) => a.cmp(b),
            (KeyValue::String(a), KeyValue::String(b)) => a.cmp(b),
            (KeyValue::DateTime(a), KeyValue::DateTime(b)) => a.cmp(b),
            (KeyValue::Reference(a), KeyValue::Reference(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl Hash for KeyValue {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.rank().hash(state);
        match self {
            KeyValue::Boolean(value) => value.hash(state),
            KeyValue::Integer { value, .. } => value.hash(state),
            KeyValue::Real { value, .. } => value.to_bits().hash(state),
            KeyValue::Char16(unit) => unit.hash(state),
            KeyValue::String(text) => text.hash(state),
            KeyValue::DateTime(value) => value.hash(state),
            KeyValue::Reference(path) => path.hash(state),
        }
    }
}

macro_rules! from_integers {
    ($($native:ty => $ty:ident),*) => {$(
        impl From<$native> for KeyValue {
            fn from(value: $native) -> Self {
                KeyValue::Integer { value: i128::from(value), ty: Some(CimType::$ty) }
            }
        }
    )*};
}

from_integers! {
    u8 => Uint8, u16 => Uint16, u32 => Uint32, u64 => Uint64,
    i8 => Sint8, i16 => Sint16, i32 => Sint32, i64 => Sint64
}

macro_rules! from_native {
    ($($native:ty => $variant:ident),*) => {$(
        impl From<$native> for KeyValue {
            fn from(value: $native) -> Self {
                KeyValue::$variant(value.into())
            }
        }
    )*};
}

from_native! {
    bool => Boolean, &'static str => String, alloc::string::String => String, Text => String,
    &Text => String, DateTime => DateTime
}

impl From<ObjectPath> for KeyValue {
    fn from(path: ObjectPath) -> Self {
        KeyValue::Reference(Box::new(path))
    }
}

impl From<InstancePath> for KeyValue {
    fn from(path: InstancePath) -> Self {
        KeyValue::from(ObjectPath::Instance(path))
    }
}

/// A property value as a key; embedded objects cannot be keys and come back.
impl TryFrom<Scalar> for KeyValue {
    type Error = Scalar;

    fn try_from(scalar: Scalar) -> Result<Self, Scalar> {
        let ty = scalar.cim_type();
        if let Some(value) = scalar.as_integer() {
            return Ok(KeyValue::Integer {
                value,
                ty: Some(ty),
            });
        }
        Ok(match scalar {
            Scalar::Boolean(value) => KeyValue::Boolean(value),
            Scalar::Real32(value) => KeyValue::Real {
                value: f64::from(value),
                ty: Some(ty),
            },
            Scalar::Real64(value) => KeyValue::Real {
                value,
                ty: Some(ty),
            },
            Scalar::Char16(unit) => KeyValue::Char16(unit),
            Scalar::String(text) => KeyValue::String(text),
            Scalar::DateTime(value) => KeyValue::DateTime(value),
            Scalar::Reference(path) => KeyValue::Reference(path),
            other => return Err(other),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_real32_key_is_rounded_to_real32() {
        let read = KeyValue::parse_typed(CimType::Real32, "0.1").unwrap();
        assert_eq!(read, KeyValue::try_from(Scalar::Real32(0.1)).unwrap());
        assert_eq!(read.to_string(), "0.1");
    }

    #[test]
    fn a_reference_is_not_a_string_key() {
        let name = PropertyName::from("k");
        let reference = KeyValue::from(InstancePath::new("C"));
        let error = reference.to_scalar(&name, CimType::String);
        assert_eq!(
            error,
            Err(KeyError::Value(
                name,
                CimType::String,
                LiteralError::Reference
            ))
        );
    }

    #[test]
    fn numbers_without_a_type_are_integers_or_reals() {
        assert_eq!(
            KeyValue::parse_number("0x10").unwrap(),
            KeyValue::from(16u8)
        );
        assert!(matches!(
            KeyValue::parse_number("1.5"),
            Ok(KeyValue::Real { ty: None, .. })
        ));
        assert_eq!(KeyValue::parse_number("x"), Err(LiteralError::Integer));
        assert_ne!(KeyValue::from("5"), KeyValue::from(5u8));
    }
}
