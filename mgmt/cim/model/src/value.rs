//! [`Value`]: a scalar, an array or a typed NULL.

use crate::{
    CimType, ClassDecl, DateTime, EmbeddedKind, Instance, InstancePath, ObjectPath, Scalar, Shape,
    Text, ValueType,
};
use alloc::vec::Vec;

/// A CIM value with its type.
///
/// NULL keeps the type it is NULL of; a NULL array is different from an empty one, and single elements of
/// an array may be NULL (`None`).
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// No value, of a known type.
    Null(ValueType),
    /// One value.
    Scalar(Scalar),
    /// An array.
    Array(ArrayValue),
}

/// An array value: its element type and its elements, `None` for a NULL element.
#[derive(Clone, Debug, PartialEq)]
pub struct ArrayValue {
    /// The type of every element.
    pub ty: CimType,
    /// The elements in order.
    pub items: Vec<Option<Scalar>>,
}

impl Value {
    /// NULL of a scalar type (`Value::null(CimType::String)`) or of any [`ValueType`].
    pub fn null(ty: impl Into<ValueType>) -> Self {
        Value::Null(ty.into())
    }

    /// An empty, non-NULL array.
    pub const fn empty_array(ty: CimType) -> Self {
        Value::Array(ArrayValue {
            ty,
            items: Vec::new(),
        })
    }

    /// An array of a type from non-NULL elements; the caller gives elements of that type.
    pub fn array<T: Into<Scalar>>(ty: CimType, items: impl IntoIterator<Item = T>) -> Self {
        let items = items.into_iter().map(|item| Some(item.into())).collect();
        Value::Array(ArrayValue { ty, items })
    }

    /// A value, or NULL of the type when there is none.
    pub fn or_null<T: Into<Value>>(value: Option<T>, ty: impl Into<ValueType>) -> Self {
        value.map_or_else(|| Value::null(ty), Into::into)
    }

    /// The type.
    pub const fn value_type(&self) -> ValueType {
        match self {
            Value::Null(ty) => *ty,
            Value::Scalar(scalar) => ValueType::scalar(scalar.cim_type()),
            Value::Array(array) => ValueType::array(array.ty),
        }
    }

    /// The type of the value or of its elements.
    pub const fn cim_type(&self) -> CimType {
        self.value_type().ty
    }

    /// Scalar or array.
    pub const fn shape(&self) -> Shape {
        self.value_type().shape
    }

    /// Whether it is NULL (an array with NULL elements is not).
    pub const fn is_null(&self) -> bool {
        matches!(self, Value::Null(_))
    }

    /// What kind of embedded object it holds, if any.
    pub fn embedded_kind(&self) -> Option<EmbeddedKind> {
        match self {
            Value::Null(_) => None,
            Value::Scalar(scalar) => scalar.embedded_kind(),
            Value::Array(array) => array
                .items
                .iter()
                .flatten()
                .filter_map(Scalar::embedded_kind)
                .max(),
        }
    }

    /// The scalar, if it is one and not NULL.
    pub const fn as_scalar(&self) -> Option<&Scalar> {
        match self {
            Value::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// The elements, if it is an array and not NULL.
    pub fn as_array(&self) -> Option<&[Option<Scalar>]> {
        match self {
            Value::Array(array) => Some(&array.items),
            _ => None,
        }
    }

    /// The boolean, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        self.as_scalar().and_then(Scalar::as_bool)
    }

    /// Any integer that is not negative.
    pub fn as_u64(&self) -> Option<u64> {
        self.as_scalar().and_then(Scalar::as_u64)
    }

    /// Any integer that fits.
    pub fn as_i64(&self) -> Option<i64> {
        self.as_scalar().and_then(Scalar::as_i64)
    }

    /// A real of either width.
    pub fn as_f64(&self) -> Option<f64> {
        self.as_scalar().and_then(Scalar::as_f64)
    }

    /// The string, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        self.as_scalar().and_then(Scalar::as_str)
    }

    /// The datetime, if it is one.
    pub fn as_datetime(&self) -> Option<DateTime> {
        self.as_scalar().and_then(Scalar::as_datetime)
    }

    /// The referenced path, if it is a reference.
    pub fn as_reference(&self) -> Option<&ObjectPath> {
        self.as_scalar().and_then(Scalar::as_reference)
    }

    /// The referenced instance path, if it is a reference to an instance.
    pub fn as_instance_path(&self) -> Option<&InstancePath> {
        self.as_scalar().and_then(Scalar::as_instance_path)
    }

    /// The embedded instance, if it is one.
    pub fn as_instance(&self) -> Option<&Instance> {
        self.as_scalar().and_then(Scalar::as_instance)
    }

    /// The embedded class, if it is one.
    pub fn as_class(&self) -> Option<&ClassDecl> {
        self.as_scalar().and_then(Scalar::as_class)
    }
}

impl<T: Into<Scalar>> From<T> for Value {
    fn from(value: T) -> Self {
        Value::Scalar(value.into())
    }
}

macro_rules! from_vectors {
    ($($native:ty => $ty:ident),* $(,)?) => {$(
        impl From<Vec<$native>> for Value {
            fn from(items: Vec<$native>) -> Self {
                Value::array(CimType::$ty, items)
            }
        }
    )*};
}

from_vectors! {
    bool => Boolean, u8 => Uint8, u16 => Uint16, u32 => Uint32, u64 => Uint64,
    i8 => Sint8, i16 => Sint16, i32 => Sint32, i64 => Sint64, f32 => Real32, f64 => Real64,
    &'static str => String, alloc::string::String => String, Text => String, DateTime => DateTime,
    InstancePath => Reference, ObjectPath => Reference, Instance => String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_know_their_type() {
        assert_eq!(
            Value::from(5u16).value_type(),
            ValueType::scalar(CimType::Uint16)
        );
        assert_eq!(
            Value::from(vec!["a", "b"]).value_type(),
            ValueType::array(CimType::String)
        );
        assert_eq!(Value::null(CimType::DateTime).cim_type(), CimType::DateTime);
        assert_eq!(
            Value::or_null(None::<u8>, CimType::Uint8),
            Value::null(CimType::Uint8)
        );
        assert_ne!(
            Value::empty_array(CimType::String),
            Value::null(ValueType::array(CimType::String))
        );
        let embedded = Value::from(Instance::new("CIM_Error"));
        assert_eq!(embedded.cim_type(), CimType::String);
        assert_eq!(embedded.embedded_kind(), Some(EmbeddedKind::Instance));
    }

    #[test]
    fn accessors_refuse_other_types() {
        assert_eq!(Value::from(-1i8).as_u64(), None);
        assert_eq!(Value::from(-1i8).as_i64(), Some(-1));
        assert_eq!(Value::from("5").as_u64(), None);
        assert_eq!(Value::from(u64::MAX).as_i64(), None);
        assert_eq!(Value::null(CimType::String).as_str(), None);
    }
}
