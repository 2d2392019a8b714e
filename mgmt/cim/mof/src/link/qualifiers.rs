//! Qualifier types, and the qualifiers on elements.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Linker, Names, values};
use crate::ast::{QualifierItem, QualifierUse};
use crate::error::{Fault, Rule};
use crate::schema::{Qualifier, QualifierType, Value};
use crate::source::Position;
use crate::types::{Flavors, OverrideFlavor, Propagation, Scope, TypeName};

impl Linker {
    pub(super) fn qualifier_types(&mut self, items: &[QualifierItem]) {
        let mut names = Names::new("the declaration of a qualifier");
        for item in items {
            if self.check(names.declare(&item.name)).is_none() {
                continue;
            }
            let default = match &item.default {
                Some(value) => self
                    .check(values::typed(value, item.ty, item.array))
                    .unwrap_or(Value::Null),
                None => Value::Null,
            };
            self.schema.add_qualifier(QualifierType {
                name: item.name.text.clone(),
                ty: item.ty,
                array: item.array,
                default,
                scopes: item.scopes,
                flavors: Flavors::default().amended(item.flavors),
            });
        }
    }

    /// The qualifiers of one element, each checked for type, scope and uniqueness.
    pub(super) fn qualifiers(&mut self, uses: &[QualifierUse], scope: Scope) -> Vec<Qualifier> {
        let mut names = Names::new("a qualifier on an element");
        let mut list = Vec::with_capacity(uses.len());
        for item in uses {
            let qualifier = names
                .declare(&item.name)
                .and_then(|()| self.qualifier(item, scope));
            if let Some(qualifier) = self.check(qualifier) {
                list.push(qualifier);
            }
        }
        list
    }

    fn qualifier(&self, item: &QualifierUse, scope: Scope) -> Result<Qualifier, Fault> {
        let Some(ty) = self.schema.qualifier_type(&item.name.text) else {
            return Err(Fault::new(
                item.name.at,
                Rule::UnknownQualifier,
                format!("the qualifier `{}`, which is not declared", item.name.text),
                "a declared qualifier",
            ));
        };
        if !ty.scopes.contains(scope) {
            let allowed: Vec<_> = Scope::ALL
                .into_iter()
                .filter(|s| ty.scopes.contains(*s))
                .map(Scope::keyword)
                .collect();
            return Err(Fault::new(
                item.name.at,
                Rule::QualifierScope,
                format!("`{}` on a {}", ty.name, scope.keyword()),
                format!("it only on: {}", allowed.join(", ")),
            ));
        }
        let value = match &item.value {
            Some(value) => values::typed(value, ty.ty, ty.array)?,
            // DSP0004 5.1.2.2: a qualifier without value is true, an empty array, or its default.
            None if ty.array.is_some() => Value::Array(Vec::new()),
            None if ty.ty == TypeName::Boolean => Value::Boolean(true),
            None => ty.default.clone(),
        };
        Ok(Qualifier {
            name: ty.name.clone(),
            value,
            flavors: ty.flavors.amended(item.flavors),
        })
    }

    /// Sees that a subclass does not change an inherited qualifier declared `DisableOverride`.
    ///
    /// `inherited` are the qualifiers of the declarations overridden, nearest first.
    pub(super) fn check_overrides(
        &mut self,
        at: Position,
        local: &[Qualifier],
        inherited: &[Vec<Qualifier>],
    ) {
        for qualifier in local {
            let nearest = inherited.iter().find_map(|level| {
                level
                    .iter()
                    .find(|q| q.name.eq_ignore_ascii_case(&qualifier.name))
            });
            let Some(nearest) = nearest else { continue };
            let fixed = nearest.flavors.overriding == OverrideFlavor::Disable
                && nearest.flavors.propagation == Propagation::ToSubclass;
            if fixed && nearest.value != qualifier.value {
                self.report(Fault::new(
                    at,
                    Rule::QualifierOverride,
                    format!("another value for the qualifier `{}`", qualifier.name),
                    "the inherited one, because it is declared DisableOverride",
                ));
            }
        }
    }

    /// Sees that `ValueMap` and `Values`, `BitMap` and `BitValues` name as many values as meanings.
    ///
    /// `levels` are the qualifiers of an element from the nearest declaration up.
    pub(super) fn check_value_maps(&mut self, at: Position, levels: &[&[Qualifier]]) {
        for (map, names) in [("ValueMap", "Values"), ("BitMap", "BitValues")] {
            let local = levels
                .first()
                .is_some_and(|level| level.iter().any(|q| q.name == map || q.name == names));
            let (Some(values), Some(meanings)) = (strings(levels, map), strings(levels, names))
            else {
                continue;
            };
            if local && values.len() != meanings.len() {
                self.report(Fault::new(
                    at,
                    Rule::ValueMap,
                    format!(
                        "{} entries in {map} and {} in {names}",
                        values.len(),
                        meanings.len()
                    ),
                    "equally many in both",
                ));
            }
            if local && let Some(twice) = repeated(values) {
                self.report(Fault::new(
                    at,
                    Rule::ValueMap,
                    format!("\"{twice}\" more than once in {map}"),
                    "every value once",
                ));
            }
        }
    }
}

fn strings<'a>(levels: &[&'a [Qualifier]], name: &str) -> Option<&'a [Value]> {
    let value = levels
        .iter()
        .find_map(|level| crate::schema::qualifier(level, name))?;
    match value {
        Value::Array(elements) => Some(elements),
        _ => None,
    }
}

fn repeated(values: &[Value]) -> Option<String> {
    let mut sorted: Vec<&str> = values
        .iter()
        .filter_map(|v| match v {
            // ".." stands for all values not named; the published schema splits that range at times.
            Value::Text(text) if text != ".." => Some(text.as_str()),
            _ => None,
        })
        .collect();
    sorted.sort_unstable();
    sorted.windows(2).find_map(|pair| match pair {
        [a, b] if a == b => Some((*a).into()),
        _ => None,
    })
}
