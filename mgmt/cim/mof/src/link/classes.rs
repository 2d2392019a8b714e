//! Classes: their superclasses, kinds and keys.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Linker, Names};
use crate::ast::{ClassItem, TypeItem};
use crate::error::{Fault, Rule};
use crate::limits;
use crate::schema::{Class, ClassKind, Qualifier, Value, fold, is_set, qualifier};
use crate::types::Scope;

/// Class declarations by folded name, before any of them is linked.
pub(super) type Items<'a> = BTreeMap<String, &'a ClassItem>;

impl Linker {
    pub(super) fn classes(&mut self, items: &[ClassItem]) {
        let mut names = Names::new("the declaration of a class");
        let mut known = Items::new();
        let mut unique = Vec::new();
        for item in items {
            if self.check(names.declare(&item.name)).is_some() {
                known.insert(fold(&item.name.text), item);
                unique.push(item);
            }
        }
        let mut ordered = Vec::new();
        for item in unique {
            if let Some(depth) = self.check(depth(item, &known)) {
                ordered.push((depth, item));
            }
        }
        // A stable sort keeps the order of the texts among classes of equal depth.
        ordered.sort_by_key(|(depth, _)| *depth);
        for (_, item) in &ordered {
            self.class(item, &known);
        }
    }

    fn class(&mut self, item: &ClassItem, known: &Items<'_>) {
        let parent = item
            .superclass
            .as_ref()
            .and_then(|s| self.schema.class(&s.text))
            .cloned();
        if item.superclass.is_some() && parent.is_none() {
            // The superclass itself was rejected; its error says all there is to say.
            return;
        }
        let kind = kind(item, parent.as_ref());
        let scope = match kind {
            ClassKind::Class => Scope::Class,
            ClassKind::Association => Scope::Association,
            ClassKind::Indication => Scope::Indication,
        };
        let qualifiers = self.qualifiers(&item.qualifiers, scope);
        if let Some(parent) = &parent {
            self.check_superclass(item, kind, parent, &qualifiers);
        }
        let mut names = Names::new("a property or method of a class");
        for name in item
            .properties
            .iter()
            .map(|p| &p.name)
            .chain(item.methods.iter().map(|m| &m.name))
        {
            self.check(names.declare(name));
        }
        let mut class = Class {
            name: item.name.text.clone(),
            superclass: parent.as_ref().map(|p| p.name.clone()),
            kind,
            qualifiers,
            properties: Vec::new(),
            methods: Vec::new(),
        };
        for property in &item.properties {
            if let Some(linked) = self.property(&class, property, known) {
                class.properties.push(linked);
            }
        }
        for method in &item.methods {
            if let Some(linked) = self.method(&class, method, known) {
                class.methods.push(linked);
            }
        }
        self.check_references(item, &class);
        self.schema.add_class(class);
    }

    fn check_superclass(
        &mut self,
        item: &ClassItem,
        kind: ClassKind,
        parent: &Class,
        local: &[Qualifier],
    ) {
        let at = item.superclass.as_ref().map_or(item.name.at, |s| s.at);
        if is_set(&parent.qualifiers, "Terminal") {
            self.report(Fault::new(
                at,
                Rule::Superclass,
                format!("`{}` as superclass, which is Terminal", parent.name),
                "a class that may have subclasses",
            ));
        }
        if kind != parent.kind {
            self.report(Fault::new(
                at,
                Rule::Superclass,
                format!("`{}` as superclass, which is of another kind", parent.name),
                "an association below an association, an indication below an indication",
            ));
        }
        let inherited: Vec<_> = self
            .schema
            .lineage(&parent.name)
            .map(|c| c.qualifiers.clone())
            .collect();
        self.check_overrides(item.name.at, local, &inherited);
    }

    /// Associations need two references or more, other classes must not have any.
    fn check_references(&mut self, item: &ClassItem, class: &Class) {
        let local = item
            .properties
            .iter()
            .find(|p| matches!(p.ty, TypeItem::Reference(_)));
        if class.kind != ClassKind::Association {
            if let Some(reference) = local {
                self.report(Fault::new(
                    reference.name.at,
                    Rule::Association,
                    format!("the reference `{}`", reference.name.text),
                    "references only in a class with the qualifier Association",
                ));
            }
            return;
        }
        let mut names: Vec<String> = class
            .superclass
            .iter()
            .flat_map(|s| self.schema.lineage(s))
            .chain(core::iter::once(class))
            .flat_map(|c| &c.properties)
            .filter(|p| matches!(p.ty, crate::schema::Type::Reference(_)))
            .map(|p| fold(&p.name))
            .collect();
        names.sort_unstable();
        names.dedup();
        if names.len() < 2 {
            self.report(Fault::new(
                item.name.at,
                Rule::Association,
                format!("an association with {} references", names.len()),
                "at least two",
            ));
        }
    }
}

/// The kind that a class states, or else its superclass's.
fn kind(item: &ClassItem, parent: Option<&Class>) -> ClassKind {
    let states = |name: &str| {
        item.qualifiers.iter().any(|q| {
            q.name.text.eq_ignore_ascii_case(name)
                && q.value
                    .as_ref()
                    .is_none_or(|v| v.literal == crate::ast::Literal::Boolean(true))
        })
    };
    if states("Association") {
        ClassKind::Association
    } else if states("Indication") {
        ClassKind::Indication
    } else {
        parent.map_or(ClassKind::Class, |p| p.kind)
    }
}

/// The number of superclasses; fails for unknown and cyclic ones.
fn depth(item: &ClassItem, known: &Items<'_>) -> Result<usize, Fault> {
    let mut depth: usize = 0;
    let mut class = item;
    while let Some(superclass) = &class.superclass {
        let Some(next) = known.get(&fold(&superclass.text)) else {
            // Only the class that names the missing one reports it.
            if depth == 0 {
                return Err(Fault::new(
                    superclass.at,
                    Rule::UnknownClass,
                    format!(
                        "the superclass `{}`, which is not declared",
                        superclass.text
                    ),
                    "a declared class",
                ));
            }
            return Ok(depth.saturating_add(1));
        };
        depth = depth.saturating_add(1);
        if core::ptr::eq(*next, item) {
            return Err(Fault::new(
                superclass.at,
                Rule::CyclicInheritance,
                format!("`{}`, which is an ancestor of itself", item.name.text),
                "a superclass that is not also a subclass",
            ));
        }
        if depth > limits::INHERITANCE {
            return Err(Fault::new(
                item.name.at,
                Rule::Limit,
                "a class with too many superclasses",
                format!("at most {}", limits::INHERITANCE),
            ));
        }
        class = next;
    }
    Ok(depth)
}

/// The class that an `EmbeddedInstance` qualifier names.
pub(super) fn embedded_class(qualifiers: &[Qualifier]) -> Option<&str> {
    match qualifier(qualifiers, "EmbeddedInstance") {
        Some(Value::Text(name)) => Some(name),
        _ => None,
    }
}
