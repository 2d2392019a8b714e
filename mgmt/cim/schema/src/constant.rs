//! Constants of the schema: values of qualifiers and defaults of properties.

use cim_model::{ArrayValue, CimType, Scalar, Shape, Value, ValueType};

use crate::tables::{self, Cell, LISTS, NONE};

/// A typed constant that lies in the tables; copying it copies a few bytes.
#[derive(Clone, Copy, Debug)]
pub struct Constant {
    ty: ValueType,
    cell: Cell,
}

impl Constant {
    pub(crate) const fn new(ty: ValueType, cell: Cell) -> Self {
        Self { ty, cell }
    }

    /// The type.
    #[must_use]
    pub const fn value_type(self) -> ValueType {
        self.ty
    }

    /// Whether there is no value.
    #[must_use]
    pub const fn is_null(self) -> bool {
        matches!(self.cell, Cell::Null)
    }

    /// The value of a boolean.
    #[must_use]
    pub const fn as_bool(self) -> Option<bool> {
        match self.cell {
            Cell::Boolean(value) => Some(value),
            _ => None,
        }
    }

    /// The value of a string or datetime.
    #[must_use]
    pub fn as_str(self) -> Option<&'static str> {
        match self.cell {
            Cell::Text(id) => Some(tables::text(id)),
            _ => None,
        }
    }

    /// The value of an integer of any type.
    #[must_use]
    pub fn as_integer(self) -> Option<i128> {
        match self.cell {
            Cell::Integer(id) => integer(self.ty.ty, id),
            _ => None,
        }
    }

    /// The elements of a string array without its NULLs; nothing for any other type.
    pub fn strings(self) -> impl Iterator<Item = &'static str> + Clone {
        let ids = match self.cell {
            Cell::List(list) if self.ty.ty == CimType::String => list.of(&LISTS),
            _ => &[],
        };
        ids.iter()
            .filter(|id| **id != NONE)
            .map(|id| tables::text(*id))
    }

    /// The constant as a value of the model; only arrays allocate.
    #[must_use]
    pub fn to_value(self) -> Value {
        let scalar = match self.cell {
            Cell::Null => None,
            Cell::Boolean(value) => Some(Scalar::Boolean(value)),
            Cell::Text(id) | Cell::Integer(id) => scalar(self.ty.ty, id),
            Cell::List(list) => {
                let items = list.of(&LISTS).iter().map(|id| scalar(self.ty.ty, *id));
                return Value::Array(ArrayValue {
                    ty: self.ty.ty,
                    items: items.collect(),
                });
            }
        };
        match (scalar, self.ty.shape) {
            (Some(scalar), Shape::Scalar) => Value::Scalar(scalar),
            _ => Value::Null(self.ty),
        }
    }
}

/// The integer of an id, if the type is an integer.
fn integer(ty: CimType, id: u16) -> Option<i128> {
    let (low, _) = ty.integer_range()?;
    let bits = tables::integer(id);
    Some(if low < 0 {
        i128::from(bits.cast_signed())
    } else {
        i128::from(bits)
    })
}

fn scalar(ty: CimType, id: u16) -> Option<Scalar> {
    if id == NONE {
        return None;
    }
    let narrow = || integer(ty, id);
    Some(match ty {
        CimType::Boolean => Scalar::Boolean(tables::integer(id) != 0),
        CimType::Uint8 => Scalar::Uint8(narrow()?.try_into().ok()?),
        CimType::Uint16 => Scalar::Uint16(narrow()?.try_into().ok()?),
        CimType::Uint32 => Scalar::Uint32(narrow()?.try_into().ok()?),
        CimType::Uint64 => Scalar::Uint64(narrow()?.try_into().ok()?),
        CimType::Sint8 => Scalar::Sint8(narrow()?.try_into().ok()?),
        CimType::Sint16 => Scalar::Sint16(narrow()?.try_into().ok()?),
        CimType::Sint32 => Scalar::Sint32(narrow()?.try_into().ok()?),
        CimType::Sint64 => Scalar::Sint64(narrow()?.try_into().ok()?),
        #[allow(
            clippy::cast_possible_truncation,
            reason = "the compiler let through only values within real32"
        )]
        CimType::Real32 => Scalar::Real32(f64::from_bits(tables::integer(id)) as f32),
        CimType::Real64 => Scalar::Real64(f64::from_bits(tables::integer(id))),
        CimType::Char16 => Scalar::Char16(tables::integer(id).try_into().ok()?),
        CimType::String => Scalar::from(tables::text(id)),
        CimType::DateTime => Scalar::DateTime(tables::text(id).parse().ok()?),
        CimType::Reference => return None,
    })
}
