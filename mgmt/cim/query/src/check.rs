//! Checking a query against the schema before it is accepted: names exist and types can be compared.

use crate::ast::{Arithmetic, Condition, Function, Operand, PropertyPath};
use crate::error::{Feature, QueryError, QueryErrorKind};
use crate::eval::is_system_property;
use crate::oracle::{ClassOracle, PropertyKind};
use crate::path::from_row;
use crate::symbols;
use alloc::vec::Vec;
use cim_model::{CimType, ClassName, Scalar, Shape, ValueType};

/// Checks conditions whose row is of one class.
pub(crate) struct Checker<'a> {
    class: &'a str,
    alias: &'a str,
    oracle: &'a dyn ClassOracle,
    /// Names bound by SATISFIES, with what their elements are.
    bound: Vec<(&'a str, Option<PropertyKind>)>,
}

/// What a value can be compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Number,
    Text,
    Truth,
    Time,
    Reference,
    Object,
    Array,
    /// Known only when the value is there.
    Open,
}

impl<'a> Checker<'a> {
    pub(crate) fn new(class: &'a str, alias: &'a str, oracle: &'a dyn ClassOracle) -> Self {
        Checker {
            class,
            alias,
            oracle,
            bound: Vec::new(),
        }
    }

    pub(crate) fn condition(&mut self, condition: &'a Condition) -> Result<(), QueryError> {
        match condition {
            Condition::And(parts) | Condition::Or(parts) => {
                parts.iter().try_for_each(|part| self.condition(part))
            }
            Condition::Not(inner) => self.condition(inner),
            Condition::Compare(left, _, right) => {
                let families = (self.operand(left)?, self.operand(right)?);
                if comparable(families.0, families.1, left, right) {
                    return Ok(());
                }
                let position = position_of(left)
                    .or_else(|| position_of(right))
                    .unwrap_or(1);
                Err(QueryError::new(
                    QueryErrorKind::Types("values of these two types cannot be compared"),
                    position,
                ))
            }
            Condition::IsNull(operand) => self.operand(operand).map(drop),
            Condition::IsA(path, class) => {
                let position = path.as_ref().map_or(1, |path| path.position);
                self.class_exists(class, position)?;
                path.as_ref()
                    .map_or(Ok(()), |path| self.path(path).map(drop))
            }
            Condition::Like(operand, _) => match self.operand(operand)? {
                Family::Text | Family::Open => Ok(()),
                _ => Err(self.types("LIKE compares strings", operand)),
            },
            Condition::Holds(operand) => match self.operand(operand)? {
                Family::Truth | Family::Open => Ok(()),
                _ => Err(self.types("a value that is not boolean needs a comparison", operand)),
            },
            Condition::Satisfies {
                name,
                array,
                condition,
                ..
            } => {
                let kind = self.path(array)?.map(|kind| PropertyKind {
                    ty: ValueType::scalar(kind.ty.ty),
                    ..kind
                });
                self.bound.push((name, kind));
                let result = self.condition(condition);
                self.bound.pop();
                result
            }
        }
    }

    fn types(&self, what: &'static str, operand: &Operand) -> QueryError {
        QueryError::new(
            QueryErrorKind::Types(what),
            position_of(operand).unwrap_or(1),
        )
    }

    fn class_exists(&self, class: &ClassName, position: usize) -> Result<(), QueryError> {
        if self.oracle.class_exists(class.as_str()) {
            return Ok(());
        }
        Err(QueryError::new(
            QueryErrorKind::UnknownClass(class.text().clone()),
            position,
        ))
    }

    fn operand(&mut self, operand: &'a Operand) -> Result<Family, QueryError> {
        Ok(match operand {
            Operand::Literal(None) => Family::Open,
            Operand::Literal(Some(scalar)) => family(scalar.cim_type()),
            Operand::Property(path) => self.path(path)?.map_or(Family::Open, |kind| kind.family()),
            Operand::Elements(_, path) => match self.path(path)? {
                Some(kind) if kind.ty.shape == Shape::Array => PropertyKind {
                    ty: ValueType::scalar(kind.ty.ty),
                    ..kind
                }
                .family(),
                Some(_) => return Err(self.types("ANY and EVERY need an array", operand)),
                None => Family::Open,
            },
            Operand::Symbol { property, value } => {
                let symbol = symbols::value(property, value, self.class, self.alias, self.oracle);
                family(symbol.as_ref().map(Scalar::cim_type).ok_or_else(|| {
                    self.types("the property has no such value in its value map", operand)
                })?)
            }
            Operand::Call(function, arguments, _) => self.call(*function, arguments, operand)?,
            Operand::Arithmetic(left, operator, right) => {
                let wanted = match operator {
                    Arithmetic::Concatenate => Family::Text,
                    _ => Family::Number,
                };
                for side in [left, right] {
                    let found = self.operand(side)?;
                    if found != wanted && found != Family::Open {
                        return Err(self.types("arithmetic needs numbers, and || strings", side));
                    }
                }
                wanted
            }
        })
    }

    fn call(
        &mut self,
        function: Function,
        arguments: &'a [Operand],
        call: &'a Operand,
    ) -> Result<Family, QueryError> {
        for argument in arguments {
            let found = self.operand(argument)?;
            let fits = match function {
                Function::ObjectPath | Function::ClassName | Function::NamespaceName => {
                    matches!(found, Family::Object | Family::Reference | Family::Open)
                }
                Function::NumericToString => matches!(found, Family::Number | Family::Open),
                _ => matches!(found, Family::Text | Family::Open),
            };
            if !fits {
                return Err(self.types("the function does not take a value of this type", call));
            }
        }
        Ok(family(function.result()))
    }

    /// Checks a path and tells what is at its end; `None` when only the instance can tell.
    pub(crate) fn path(&self, path: &PropertyPath) -> Result<Option<PropertyKind>, QueryError> {
        if is_system_property(path) {
            return Ok(Some(PropertyKind {
                ty: ValueType::scalar(CimType::String),
                embeds: false,
                embedded_class: None,
            }));
        }
        let mut kind = Some(PropertyKind {
            ty: ValueType::scalar(CimType::String),
            embeds: true,
            embedded_class: Some(ClassName::copy(self.class)),
        });
        let mut segments = from_row(path, &[self.alias, self.class]);
        if let Some((first, rest)) = segments.split_first()
            && let Some((_, bound)) = self
                .bound
                .iter()
                .rev()
                .find(|(name, _)| first.name == **name)
        {
            kind = bound.clone();
            segments = rest;
        }
        for segment in segments {
            let error = |kind| QueryError::new(kind, path.position);
            let holder = match &kind {
                None => None,
                Some(kind) if kind.embeds && kind.ty.shape == Shape::Scalar => {
                    kind.embedded_class.clone()
                }
                Some(kind) if kind.ty.ty == CimType::Reference => {
                    return Err(error(QueryErrorKind::Unsupported(
                        Feature::ReferenceTraversal,
                    )));
                }
                Some(_) => {
                    return Err(error(QueryErrorKind::UnknownProperty(
                        segment.name.text().clone(),
                    )));
                }
            };
            if let Some(scope) = &segment.scope {
                self.class_exists(scope, path.position)?;
            }
            kind = match segment.scope.as_ref().or(holder.as_ref()) {
                None => None,
                Some(class) => Some(
                    self.oracle
                        .property(class.as_str(), segment.name.as_str())
                        .ok_or_else(|| {
                            error(QueryErrorKind::UnknownProperty(segment.name.text().clone()))
                        })?,
                ),
            };
            if segment.index.is_some()
                && let Some(kind) = &mut kind
            {
                if kind.ty.shape != Shape::Array {
                    return Err(error(QueryErrorKind::Types("only an array has elements")));
                }
                kind.ty = ValueType::scalar(kind.ty.ty);
            }
        }
        Ok(kind)
    }
}

impl PropertyKind {
    fn family(&self) -> Family {
        match self.ty.shape {
            Shape::Array => Family::Array,
            Shape::Scalar if self.embeds => Family::Object,
            Shape::Scalar => family(self.ty.ty),
        }
    }
}

const fn family(ty: CimType) -> Family {
    match ty {
        CimType::Boolean => Family::Truth,
        CimType::String | CimType::Char16 => Family::Text,
        CimType::DateTime => Family::Time,
        CimType::Reference => Family::Reference,
        _ => Family::Number,
    }
}

/// A string literal meets any type that can be read from it; everything else needs the same family.
fn comparable(a: Family, b: Family, left: &Operand, right: &Operand) -> bool {
    if a == Family::Open || b == Family::Open || a == b {
        return true;
    }
    match (a, b) {
        (Family::Text, Family::Time | Family::Reference)
        | (Family::Time | Family::Reference, Family::Text) => true,
        (Family::Text, Family::Number) => literal_number(left),
        (Family::Number, Family::Text) => literal_number(right),
        (Family::Text, Family::Truth) => literal_of(left, CimType::Boolean),
        (Family::Truth, Family::Text) => literal_of(right, CimType::Boolean),
        _ => false,
    }
}

fn literal_number(operand: &Operand) -> bool {
    literal_of(operand, CimType::Sint64)
        || literal_of(operand, CimType::Uint64)
        || literal_of(operand, CimType::Real64)
}

fn literal_of(operand: &Operand, ty: CimType) -> bool {
    match operand {
        Operand::Literal(Some(Scalar::String(text))) => Scalar::parse(ty, text).is_ok(),
        _ => false,
    }
}

fn position_of(operand: &Operand) -> Option<usize> {
    match operand {
        Operand::Property(path)
        | Operand::Elements(_, path)
        | Operand::Symbol { property: path, .. } => Some(path.position),
        Operand::Call(_, _, position) => Some(*position),
        Operand::Arithmetic(left, _, right) => position_of(left).or_else(|| position_of(right)),
        Operand::Literal(_) => None,
    }
}
