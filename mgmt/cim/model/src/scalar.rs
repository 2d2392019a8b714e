//! [`Scalar`]: one non-NULL CIM value.

use crate::literal::write_real;
use crate::{
    CimType, ClassDecl, ClassPath, DateTime, EmbeddedKind, Instance, InstancePath, Interval,
    ObjectPath, Text, Timestamp,
};
use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

/// One non-NULL value of an intrinsic type, or an embedded object (whose CIM type is string).
#[derive(Clone, Debug, PartialEq)]
#[allow(
    missing_docs,
    reason = "the variants are the types of CimType; the last two are explained"
)]
pub enum Scalar {
    Boolean(bool),
    Uint8(u8),
    Uint16(u16),
    Uint32(u32),
    Uint64(u64),
    Sint8(i8),
    Sint16(i16),
    Sint32(i32),
    Sint64(i64),
    Real32(f32),
    Real64(f64),
    /// One UCS-2 code unit.
    Char16(u16),
    String(Text),
    DateTime(DateTime),
    Reference(Box<ObjectPath>),
    /// An embedded instance.
    Instance(Box<Instance>),
    /// An embedded class.
    Class(Box<ClassDecl>),
}

impl Scalar {
    /// The CIM type; string for embedded objects.
    pub const fn cim_type(&self) -> CimType {
        match self {
            Scalar::Boolean(_) => CimType::Boolean,
            Scalar::Uint8(_) => CimType::Uint8,
            Scalar::Uint16(_) => CimType::Uint16,
            Scalar::Uint32(_) => CimType::Uint32,
            Scalar::Uint64(_) => CimType::Uint64,
            Scalar::Sint8(_) => CimType::Sint8,
            Scalar::Sint16(_) => CimType::Sint16,
            Scalar::Sint32(_) => CimType::Sint32,
            Scalar::Sint64(_) => CimType::Sint64,
            Scalar::Real32(_) => CimType::Real32,
            Scalar::Real64(_) => CimType::Real64,
            Scalar::Char16(_) => CimType::Char16,
            Scalar::String(_) | Scalar::Instance(_) | Scalar::Class(_) => CimType::String,
            Scalar::DateTime(_) => CimType::DateTime,
            Scalar::Reference(_) => CimType::Reference,
        }
    }

    /// What kind of embedded object this is, if any.
    pub const fn embedded_kind(&self) -> Option<EmbeddedKind> {
        match self {
            Scalar::Instance(_) => Some(EmbeddedKind::Instance),
            Scalar::Class(_) => Some(EmbeddedKind::Object),
            _ => None,
        }
    }

    /// The boolean, if it is one.
    pub const fn as_bool(&self) -> Option<bool> {
        match self {
            Scalar::Boolean(value) => Some(*value),
            _ => None,
        }
    }

    /// Any integer, without loss.
    pub const fn as_integer(&self) -> Option<i128> {
        Some(match self {
            Scalar::Uint8(value) => *value as i128,
            Scalar::Uint16(value) => *value as i128,
            Scalar::Uint32(value) => *value as i128,
            Scalar::Uint64(value) => *value as i128,
            Scalar::Sint8(value) => *value as i128,
            Scalar::Sint16(value) => *value as i128,
            Scalar::Sint32(value) => *value as i128,
            Scalar::Sint64(value) => *value as i128,
            _ => return None,
        })
    }

    /// Any integer that is not negative.
    pub fn as_u64(&self) -> Option<u64> {
        self.as_integer().and_then(|value| value.try_into().ok())
    }

    /// Any integer that fits.
    pub fn as_i64(&self) -> Option<i64> {
        self.as_integer().and_then(|value| value.try_into().ok())
    }

    /// A real of either width.
    pub const fn as_f64(&self) -> Option<f64> {
        match self {
            Scalar::Real32(value) => Some(*value as f64),
            Scalar::Real64(value) => Some(*value),
            _ => None,
        }
    }

    /// The string, if it is one (not an embedded object).
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Scalar::String(text) => Some(text),
            _ => None,
        }
    }

    /// The datetime, if it is one.
    pub const fn as_datetime(&self) -> Option<DateTime> {
        match self {
            Scalar::DateTime(value) => Some(*value),
            _ => None,
        }
    }

    /// The referenced path, if it is a reference.
    pub fn as_reference(&self) -> Option<&ObjectPath> {
        match self {
            Scalar::Reference(path) => Some(path),
            _ => None,
        }
    }

    /// The referenced instance path, if it is a reference to an instance.
    pub fn as_instance_path(&self) -> Option<&InstancePath> {
        self.as_reference().and_then(ObjectPath::as_instance)
    }

    /// The embedded instance, if it is one.
    pub fn as_instance(&self) -> Option<&Instance> {
        match self {
            Scalar::Instance(instance) => Some(instance),
            _ => None,
        }
    }

    /// The embedded class, if it is one.
    pub fn as_class(&self) -> Option<&ClassDecl> {
        match self {
            Scalar::Class(class) => Some(class),
            _ => None,
        }
    }

    /// Writes the text form that [`Scalar::parse`] reads; references as a WBEM URI. Embedded objects have
    /// no text form here (the codec writes them as XML): for them nothing is written.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_text(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        match self {
            Scalar::Boolean(value) => out.write_str(if *value { "TRUE" } else { "FALSE" }),
            Scalar::Uint8(value) => write!(out, "{value}"),
            Scalar::Uint16(value) => write!(out, "{value}"),
            Scalar::Uint32(value) => write!(out, "{value}"),
            Scalar::Uint64(value) => write!(out, "{value}"),
            Scalar::Sint8(value) => write!(out, "{value}"),
            Scalar::Sint16(value) => write!(out, "{value}"),
            Scalar::Sint32(value) => write!(out, "{value}"),
            Scalar::Sint64(value) => write!(out, "{value}"),
            Scalar::Real32(value) => write_real(
                out,
                value.classify(),
                value.is_sign_negative(),
                format_args!("{value:?}"),
            ),
            Scalar::Real64(value) => write_real(
                out,
                value.classify(),
                value.is_sign_negative(),
                format_args!("{value:?}"),
            ),
            Scalar::Char16(unit) => out.write_char(
                char::from_u32(u32::from(*unit)).unwrap_or(char::REPLACEMENT_CHARACTER),
            ),
            Scalar::String(text) => out.write_str(text),
            Scalar::DateTime(value) => write!(out, "{value}"),
            Scalar::Reference(path) => write!(out, "{path}"),
            Scalar::Instance(_) | Scalar::Class(_) => Ok(()),
        }
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_text(f)
    }
}

macro_rules! from_native {
    ($($native:ty => $variant:ident),* $(,)?) => {$(
        impl From<$native> for Scalar {
            fn from(value: $native) -> Self {
                Scalar::$variant(value.into())
            }
        }
    )*};
}

from_native! {
    bool => Boolean, u8 => Uint8, u16 => Uint16, u32 => Uint32, u64 => Uint64,
    i8 => Sint8, i16 => Sint16, i32 => Sint32, i64 => Sint64, f32 => Real32, f64 => Real64,
    &'static str => String, String => String, Text => String, &Text => String, DateTime => DateTime,
    Timestamp => DateTime, Interval => DateTime,
}

impl From<ObjectPath> for Scalar {
    fn from(path: ObjectPath) -> Self {
        Scalar::Reference(Box::new(path))
    }
}

impl From<InstancePath> for Scalar {
    fn from(path: InstancePath) -> Self {
        Scalar::Reference(Box::new(ObjectPath::Instance(path)))
    }
}

impl From<ClassPath> for Scalar {
    fn from(path: ClassPath) -> Self {
        Scalar::Reference(Box::new(ObjectPath::Class(path)))
    }
}

impl From<Instance> for Scalar {
    fn from(instance: Instance) -> Self {
        Scalar::Instance(Box::new(instance))
    }
}

impl From<ClassDecl> for Scalar {
    fn from(class: ClassDecl) -> Self {
        Scalar::Class(Box::new(class))
    }
}
