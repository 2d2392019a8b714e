//! Embedded objects that come as plain strings: old clients leave out the attribute that says what they are.

use crate::engine::Engine;
use crate::fault::invalid;
use cim_model::{CimError, Scalar, Value, ValueType};
use core::fmt::Display;

impl Engine {
    /// Brings the value of an element with embedded objects into the form of embedded objects. `element` names
    /// it in errors.
    ///
    /// # Errors
    /// INVALID_PARAMETER for a text that is no embedded object.
    pub(crate) fn read_embedded_value(
        &self,
        value: Value,
        ty: ValueType,
        element: impl Display,
    ) -> Result<Value, CimError> {
        let read = |scalar: Scalar| -> Result<Option<Scalar>, CimError> {
            let Some(text) = scalar.as_str() else {
                return Ok(Some(scalar));
            };
            if text.trim().is_empty() {
                // Some clients send an empty string for no embedded object.
                return Ok(None);
            }
            let object = self.read_embedded.and_then(|read| read(text));
            object
                .map(Some)
                .ok_or_else(|| invalid(format_args!("{element} must be an embedded object.")))
        };
        match value {
            Value::Scalar(scalar) => Ok(read(scalar)?.map_or(Value::Null(ty), Value::Scalar)),
            Value::Array(mut array) => {
                for item in &mut array.items {
                    if let Some(scalar) = item.take() {
                        *item = read(scalar)?;
                    }
                }
                Ok(Value::Array(array))
            }
            Value::Null(_) => Ok(value),
        }
    }
}
