//! The CIM data types (DSP0004 5.2) and the shape of a value.

use core::fmt;

/// An intrinsic CIM data type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(
    missing_docs,
    reason = "the variants are the type names of DSP0004 table 2"
)]
pub enum CimType {
    Boolean,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Sint8,
    Sint16,
    Sint32,
    Sint64,
    Real32,
    Real64,
    Char16,
    String,
    DateTime,
    Reference,
}

impl CimType {
    /// Every type, in the order of the enumeration.
    pub const ALL: [CimType; 15] = [
        CimType::Boolean,
        CimType::Uint8,
        CimType::Uint16,
        CimType::Uint32,
        CimType::Uint64,
        CimType::Sint8,
        CimType::Sint16,
        CimType::Sint32,
        CimType::Sint64,
        CimType::Real32,
        CimType::Real64,
        CimType::Char16,
        CimType::String,
        CimType::DateTime,
        CimType::Reference,
    ];

    /// The name as CIM-XML and MOF spell it (`reference` for references).
    pub const fn name(self) -> &'static str {
        match self {
            CimType::Boolean => "boolean",
            CimType::Uint8 => "uint8",
            CimType::Uint16 => "uint16",
            CimType::Uint32 => "uint32",
            CimType::Uint64 => "uint64",
            CimType::Sint8 => "sint8",
            CimType::Sint16 => "sint16",
            CimType::Sint32 => "sint32",
            CimType::Sint64 => "sint64",
            CimType::Real32 => "real32",
            CimType::Real64 => "real64",
            CimType::Char16 => "char16",
            CimType::String => "string",
            CimType::DateTime => "datetime",
            CimType::Reference => "reference",
        }
    }

    /// The type of that name; `None` for an unknown one. Upper case is accepted, because MOF keywords are
    /// case-insensitive and old CIM-XML clients copy them.
    pub fn from_name(name: &str) -> Option<Self> {
        // The exact spelling first: on the wire it is always that, and a codec asks for every value.
        Some(match name {
            "string" => CimType::String,
            "uint16" => CimType::Uint16,
            "uint32" => CimType::Uint32,
            "uint64" => CimType::Uint64,
            "boolean" => CimType::Boolean,
            _ => {
                return Self::ALL
                    .into_iter()
                    .find(|ty| ty.name().eq_ignore_ascii_case(name));
            }
        })
    }

    /// Whether the type is one of the eight integer types.
    pub const fn is_integer(self) -> bool {
        self.integer_range().is_some()
    }

    /// Whether the type is an integer or a real.
    pub const fn is_numeric(self) -> bool {
        self.is_integer() || matches!(self, CimType::Real32 | CimType::Real64)
    }

    /// The smallest and the largest value of an integer type.
    pub const fn integer_range(self) -> Option<(i128, i128)> {
        Some(match self {
            CimType::Uint8 => (0, u8::MAX as i128),
            CimType::Uint16 => (0, u16::MAX as i128),
            CimType::Uint32 => (0, u32::MAX as i128),
            CimType::Uint64 => (0, u64::MAX as i128),
            CimType::Sint8 => (i8::MIN as i128, i8::MAX as i128),
            CimType::Sint16 => (i16::MIN as i128, i16::MAX as i128),
            CimType::Sint32 => (i32::MIN as i128, i32::MAX as i128),
            CimType::Sint64 => (i64::MIN as i128, i64::MAX as i128),
            _ => return None,
        })
    }
}

impl fmt::Display for CimType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Whether an element holds one value or an array of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shape {
    /// One value.
    Scalar,
    /// An array, of fixed or variable size.
    Array,
}

/// The full type of a value, parameter or property.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueType {
    /// The type of the value or of each element.
    pub ty: CimType,
    /// One value or an array.
    pub shape: Shape,
}

impl ValueType {
    /// A single value of a type.
    pub const fn scalar(ty: CimType) -> Self {
        ValueType {
            ty,
            shape: Shape::Scalar,
        }
    }

    /// An array of a type.
    pub const fn array(ty: CimType) -> Self {
        ValueType {
            ty,
            shape: Shape::Array,
        }
    }

    /// Whether this is an array type.
    pub const fn is_array(self) -> bool {
        matches!(self.shape, Shape::Array)
    }
}

impl From<CimType> for ValueType {
    fn from(ty: CimType) -> Self {
        ValueType::scalar(ty)
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suffix = if self.is_array() { "[]" } else { "" };
        write!(f, "{}{suffix}", self.ty)
    }
}

/// What a string property that carries an embedded object may hold (DSP0201 `EmbeddedObject` attribute).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EmbeddedKind {
    /// An instance of the class that the EmbeddedInstance qualifier names.
    Instance,
    /// Any instance or class (the EmbeddedObject qualifier).
    Object,
}

impl EmbeddedKind {
    /// The attribute value in CIM-XML.
    pub const fn name(self) -> &'static str {
        match self {
            EmbeddedKind::Instance => "instance",
            EmbeddedKind::Object => "object",
        }
    }

    /// The kind of that attribute value.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            _ if name.eq_ignore_ascii_case("instance") => Some(EmbeddedKind::Instance),
            _ if name.eq_ignore_ascii_case("object") => Some(EmbeddedKind::Object),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_found_by_its_name() {
        for ty in CimType::ALL {
            assert_eq!(CimType::from_name(ty.name()), Some(ty));
            assert_eq!(CimType::from_name(&ty.name().to_uppercase()), Some(ty));
        }
        assert_eq!(CimType::from_name("int"), None);
        assert_eq!(ValueType::array(CimType::Uint8).to_string(), "uint8[]");
    }
}
