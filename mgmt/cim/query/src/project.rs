//! [`Column`]: one entry of a SELECT list, and the row that a query returns.

use crate::ast::Operand;
use crate::eval::Evaluator;
use crate::path::Found;
use cim_model::{CimType, Instance, Property, PropertyName, Value};

/// One selected value.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// The name of the property in the result.
    pub name: PropertyName,
    /// Where the value comes from.
    pub value: Operand,
}

impl Column {
    /// The property of the result row.
    pub(crate) fn property<'a>(&'a self, evaluator: &mut Evaluator<'a>) -> Property {
        let value = match &self.value {
            Operand::Property(path) => match evaluator.find(path) {
                Found::Array(items) => {
                    let ty = items
                        .iter()
                        .flatten()
                        .next()
                        .map_or(CimType::String, |item| item.cim_type());
                    Some(Value::Array(cim_model::ArrayValue {
                        ty,
                        items: items.to_vec(),
                    }))
                }
                Found::Instance(instance) => Some(Value::from(instance.clone())),
                Found::Scalar(scalar) => Some(Value::Scalar(scalar.clone())),
                Found::Nothing => evaluator
                    .scalar(&self.value)
                    .map(|scalar| Value::Scalar(scalar.into_owned())),
            },
            other => evaluator
                .scalar(other)
                .map(|scalar| Value::Scalar(scalar.into_owned())),
        };
        Property::new(
            self.name.clone(),
            value.unwrap_or(Value::null(CimType::String)),
        )
    }
}

/// Adds a property to a result row unless the row has it.
pub(crate) fn add(row: &mut Instance, property: Property) {
    if row.property(property.name.as_str()).is_none() {
        row.properties.push(property);
    }
}
