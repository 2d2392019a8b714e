//! The evaluator: conditions over one row, with three-valued logic.

use crate::ast::{Comparison, Condition, Function, Operand, PropertyPath, Quantifier};
use crate::compare::compare;
use crate::function::{arithmetic, convert};
use crate::oracle::{ClassOracle, Row};
use crate::path::{Found, follow, from_row};
use crate::symbols;
use crate::truth::Truth;
use alloc::borrow::Cow;
use alloc::string::ToString;
use alloc::vec::Vec;
use cim_model::{Scalar, Text};

/// Evaluates conditions over one row.
pub(crate) struct Evaluator<'a> {
    row: &'a Row<'a>,
    from: &'a str,
    alias: &'a str,
    oracle: &'a dyn ClassOracle,
    /// The elements that SATISFIES conditions have bound, innermost last.
    bound: Vec<(&'a str, Found<'a>)>,
}

impl<'a> Evaluator<'a> {
    /// An evaluator for a row; `alias` is the name that the query gave the row.
    pub(crate) fn new(row: &'a Row<'a>, alias: &'a str, oracle: &'a dyn ClassOracle) -> Self {
        Evaluator {
            row,
            from: row.instance.class.as_str(),
            alias,
            oracle,
            bound: Vec::new(),
        }
    }

    /// Names the FROM class, which is the class of the row or a superclass of it.
    pub(crate) fn over_class(self, from: &'a str) -> Self {
        Evaluator { from, ..self }
    }

    pub(crate) fn condition(&mut self, condition: &'a Condition) -> Truth {
        match condition {
            Condition::And(parts) => {
                let mut all = Truth::True;
                for part in parts {
                    all = all.and(self.condition(part));
                    if all == Truth::False {
                        break;
                    }
                }
                all
            }
            Condition::Or(parts) => {
                let mut any = Truth::False;
                for part in parts {
                    any = any.or(self.condition(part));
                    if any == Truth::True {
                        break;
                    }
                }
                any
            }
            Condition::Not(inner) => !self.condition(inner),
            Condition::Compare(left, operator, right) => self.comparison(left, *operator, right),
            Condition::IsNull(operand) => Truth::from(self.is_null(operand)),
            Condition::IsA(path, class) => self.is_a(path.as_ref(), class.as_str()),
            Condition::Like(Operand::Elements(quantifier, path), pattern) => {
                self.over_elements(*quantifier, path, |item| {
                    Truth::from(item.as_str().map(|text| pattern.matches(text)))
                })
            }
            Condition::Like(operand, pattern) => {
                let value = self.scalar(operand);
                Truth::from(
                    value
                        .as_deref()
                        .and_then(Scalar::as_str)
                        .map(|text| pattern.matches(text)),
                )
            }
            Condition::Holds(Operand::Elements(quantifier, path)) => {
                self.over_elements(*quantifier, path, |item| Truth::from(item.as_bool()))
            }
            Condition::Holds(operand) => {
                Truth::from(self.scalar(operand).as_deref().and_then(Scalar::as_bool))
            }
            Condition::Satisfies {
                quantifier,
                name,
                array,
                condition,
            } => {
                let Found::Array(items) = self.find(array) else {
                    return Truth::Unknown;
                };
                fold(*quantifier, items, |item| {
                    self.bound.push((name, Found::of_scalar(item)));
                    let truth = self.condition(condition);
                    self.bound.pop();
                    truth
                })
            }
        }
    }

    fn comparison(&mut self, left: &'a Operand, operator: Comparison, right: &'a Operand) -> Truth {
        match (left, right) {
            (Operand::Elements(quantifier, path), other) => match self.scalar(other) {
                Some(other) => {
                    self.over_elements(*quantifier, path, |item| compare(item, operator, &other))
                }
                None => Truth::Unknown,
            },
            (other, Operand::Elements(quantifier, path)) => match self.scalar(other) {
                Some(other) => {
                    self.over_elements(*quantifier, path, |item| compare(&other, operator, item))
                }
                None => Truth::Unknown,
            },
            _ => match (self.scalar(left), self.scalar(right)) {
                (Some(left), Some(right)) => compare(&left, operator, &right),
                _ => self.whole_values(left, operator, right),
            },
        }
    }

    /// Arrays and embedded instances compare as wholes, for equality only: indications ask whether the
    /// OperationalStatus of an instance has changed.
    fn whole_values(&self, left: &'a Operand, operator: Comparison, right: &'a Operand) -> Truth {
        let (Operand::Property(left), Operand::Property(right)) = (left, right) else {
            return Truth::Unknown;
        };
        let equal = match (self.find(left), self.find(right)) {
            (Found::Array(left), Found::Array(right)) => left == right,
            (Found::Instance(left), Found::Instance(right)) => {
                left.class == right.class && left.properties == right.properties
            }
            _ => return Truth::Unknown,
        };
        match operator {
            Comparison::Equal => Truth::from(equal),
            Comparison::NotEqual => Truth::from(!equal),
            _ => Truth::Unknown,
        }
    }

    fn is_null(&mut self, operand: &'a Operand) -> bool {
        match operand {
            Operand::Property(path) if !is_system_property(path) => {
                matches!(self.find(path), Found::Nothing)
            }
            Operand::Elements(quantifier, path) => {
                let Found::Array(items) = self.find(path) else {
                    return true;
                };
                fold(*quantifier, items, |item| Truth::from(item.is_none())).holds()
            }
            _ => self.scalar(operand).is_none(),
        }
    }

    fn is_a(&self, path: Option<&'a PropertyPath>, class: &str) -> Truth {
        let found = path.map_or(Found::Instance(self.row.instance), |path| self.find(path));
        match found {
            Found::Instance(instance) => {
                Truth::from(self.oracle.is_a(instance.class.as_str(), class))
            }
            Found::Scalar(Scalar::Reference(target)) => {
                Truth::from(self.oracle.is_a(target.class().as_str(), class))
            }
            _ => Truth::Unknown,
        }
    }

    fn over_elements(
        &self,
        quantifier: Quantifier,
        path: &'a PropertyPath,
        mut test: impl FnMut(&Scalar) -> Truth,
    ) -> Truth {
        let Found::Array(items) = self.find(path) else {
            return Truth::Unknown;
        };
        fold(quantifier, items, |item| {
            item.map_or(Truth::Unknown, &mut test)
        })
    }

    /// Follows a path from the row or from a bound element.
    pub(crate) fn find(&self, path: &'a PropertyPath) -> Found<'a> {
        if let Some((first, rest)) = path.segments.split_first()
            && let Some((_, found)) = self
                .bound
                .iter()
                .rev()
                .find(|(name, _)| first.name == **name)
        {
            return follow(*found, rest, self.oracle);
        }
        let segments = from_row(path, &[self.alias, self.from]);
        follow(Found::Instance(self.row.instance), segments, self.oracle)
    }

    /// The single value of an operand; `None` for NULL and for what is not a single value.
    pub(crate) fn scalar(&mut self, operand: &'a Operand) -> Option<Cow<'a, Scalar>> {
        match operand {
            Operand::Literal(literal) => literal.as_ref().map(Cow::Borrowed),
            Operand::Property(path) if is_system_property(path) => {
                self.system_property(path).map(Cow::Owned)
            }
            Operand::Property(path) => match self.find(path) {
                Found::Scalar(scalar) => Some(Cow::Borrowed(scalar)),
                _ => None,
            },
            Operand::Elements(..) => None,
            Operand::Symbol { property, value } => {
                symbols::value(property, value, self.from, self.alias, self.oracle).map(Cow::Owned)
            }
            Operand::Call(function, arguments, _) => {
                self.call(*function, arguments).map(Cow::Owned)
            }
            Operand::Arithmetic(left, operator, right) => {
                let left = self.scalar(left)?;
                let right = self.scalar(right)?;
                arithmetic(&left, *operator, &right).map(Cow::Owned)
            }
        }
    }

    fn call(&mut self, function: Function, arguments: &'a [Operand]) -> Option<Scalar> {
        let subject = match arguments.first() {
            None => Found::Instance(self.row.instance),
            Some(Operand::Property(path)) => self.find(path),
            Some(_) => Found::Nothing,
        };
        match function {
            Function::CurrentDateTime => self.row.now.map(Scalar::DateTime),
            Function::ObjectPath | Function::ClassName | Function::NamespaceName => {
                self.identify(function, subject)
            }
            _ => convert(function, self.scalar(arguments.first()?)?.as_ref()),
        }
    }

    /// The path of a found instance or of the target of a reference, and its parts.
    fn identify(&self, function: Function, subject: Found<'a>) -> Option<Scalar> {
        let text = |text: &str| Some(Scalar::String(Text::copy(text)));
        match subject {
            Found::Instance(instance) => {
                let is_row = core::ptr::eq(instance, self.row.instance);
                let path = if is_row {
                    self.row.path
                } else {
                    instance.path.as_ref()
                };
                match function {
                    Function::ClassName => text(instance.class.as_str()),
                    Function::NamespaceName => text(path?.namespace.as_ref()?.as_str()),
                    _ => text(&path?.to_string()),
                }
            }
            Found::Scalar(Scalar::Reference(target)) => match function {
                Function::ClassName => text(target.class().as_str()),
                Function::NamespaceName => text(target.namespace()?.as_str()),
                _ => text(&target.to_string()),
            },
            _ => None,
        }
    }

    fn system_property(&self, path: &PropertyPath) -> Option<Scalar> {
        let function = match path.last_name()?.as_str() {
            name if name.eq_ignore_ascii_case("__CLASS") => Function::ClassName,
            name if name.eq_ignore_ascii_case("__NAMESPACE") => Function::NamespaceName,
            _ => Function::ObjectPath,
        };
        self.identify(function, Found::Instance(self.row.instance))
    }
}

/// The WMI system properties of the row that WQL clients ask for.
pub(crate) fn is_system_property(path: &PropertyPath) -> bool {
    let [only] = path.segments.as_slice() else {
        return false;
    };
    only.scope.is_none()
        && only.index.is_none()
        && ["__CLASS", "__NAMESPACE", "__PATH"]
            .iter()
            .any(|name| only.name == **name)
}

fn fold<'v>(
    quantifier: Quantifier,
    items: &'v [Option<Scalar>],
    mut test: impl FnMut(Option<&'v Scalar>) -> Truth,
) -> Truth {
    let start = match quantifier {
        Quantifier::Any => Truth::False,
        Quantifier::Every => Truth::True,
    };
    items.iter().fold(start, |sum, item| {
        let truth = test(item.as_ref());
        match quantifier {
            Quantifier::Any => sum.or(truth),
            Quantifier::Every => sum.and(truth),
        }
    })
}
