//! Instances: their classes, values, keys and aliases.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Linker, Names, values};
use crate::ast::{Initializer, InstanceItem, Literal, Name, ValueItem};
use crate::error::{Fault, Rule};
use crate::schema::{Instance, Property, Type, Value, fold, is_set};

/// The aliases declared anywhere in the texts: use may come before declaration.
type Aliases = BTreeSet<String>;

impl Linker {
    pub(super) fn instances(&mut self, items: &[InstanceItem]) {
        let mut names = Names::new("an alias");
        let mut aliases = Aliases::new();
        for alias in items.iter().filter_map(|i| i.alias.as_ref()) {
            self.check(names.declare(alias));
            aliases.insert(fold(&alias.text));
        }
        for item in items {
            let linked = self.instance(item, &aliases);
            if let Some(instance) = self.check(linked) {
                self.schema.add_instance(instance);
            }
        }
    }

    fn instance(&self, item: &InstanceItem, aliases: &Aliases) -> Result<Instance, Fault> {
        let Some(class) = self.schema.class(&item.class.text) else {
            return Err(Fault::new(
                item.class.at,
                Rule::UnknownClass,
                format!(
                    "an instance of `{}`, which is not declared",
                    item.class.text
                ),
                "a declared class",
            ));
        };
        if is_set(&class.qualifiers, "Abstract") {
            return Err(Fault::new(
                item.class.at,
                Rule::Instance,
                format!("an instance of `{}`, which is Abstract", class.name),
                "a concrete subclass",
            ));
        }
        let mut names = Names::new("a property of an instance");
        let mut linked = Vec::with_capacity(item.values.len());
        for value in &item.values {
            names.declare(&value.name)?;
            linked.push(self.value(&class.name, value, aliases)?);
        }
        Ok(Instance {
            class: class.name.clone(),
            alias: item.alias.as_ref().map(|a| a.text.clone()),
            values: linked,
        })
    }

    fn value(
        &self,
        class: &str,
        item: &ValueItem,
        aliases: &Aliases,
    ) -> Result<(String, Value), Fault> {
        let Some((_, property)) = self.schema.property(class, &item.name.text) else {
            return Err(unknown_property(class, &item.name));
        };
        let value =
            if let (Some(_), Literal::Array(elements)) = (property.array, &item.value.literal) {
                // Elements go one by one, because aliases and instances fit no intrinsic type.
                let elements: Result<Vec<_>, _> = elements
                    .iter()
                    .map(|e| self.element(class, property, e, aliases))
                    .collect();
                Value::Array(elements?)
            } else if property.array.is_some() && item.value.literal != Literal::Null {
                return Err(values::mismatch(&item.value, "an array in braces"));
            } else {
                self.element(class, property, &item.value, aliases)?
            };
        let key = matches!(
            self.schema.property_qualifier(class, &property.name, "Key"),
            Some(Value::Boolean(true))
        );
        if key && value == Value::Null {
            return Err(Fault::new(
                item.value.at,
                Rule::Instance,
                format!("no value for the key `{}`", property.name),
                "a value, because it identifies the instance",
            ));
        }
        Ok((property.name.clone(), value))
    }

    fn element(
        &self,
        class: &str,
        property: &Property,
        value: &Initializer,
        aliases: &Aliases,
    ) -> Result<Value, Fault> {
        let qualifier = |name| self.schema.property_qualifier(class, &property.name, name);
        let carries_object = matches!(qualifier("EmbeddedObject"), Some(Value::Boolean(true)))
            || matches!(qualifier("EmbeddedInstance"), Some(Value::Text(_)));
        match (&value.literal, &property.ty) {
            (Literal::Alias(alias), ty) => {
                if !carries_object && matches!(ty, Type::Builtin(_)) {
                    return Err(Fault::new(
                        value.at,
                        Rule::Alias,
                        format!("the alias `${alias}`"),
                        "an alias only for a reference or an embedded object",
                    ));
                }
                if !aliases.contains(&fold(alias)) {
                    return Err(Fault::new(
                        value.at,
                        Rule::Alias,
                        format!("the alias `${alias}`, which is not declared"),
                        "the alias of an instance",
                    ));
                }
                Ok(Value::Alias(alias.clone()))
            }
            (Literal::Instance(instance), _) if carries_object => {
                let inner = self.instance(instance, aliases)?;
                if let Some(Value::Text(expected)) = qualifier("EmbeddedInstance")
                    && !self.schema.is_a(&inner.class, expected)
                {
                    return Err(Fault::new(
                        value.at,
                        Rule::Embedded,
                        format!("an instance of `{}`", inner.class),
                        format!("an instance of `{expected}` or of a subclass"),
                    ));
                }
                Ok(Value::Instance(inner.into()))
            }
            (Literal::Null, Type::Reference(_)) => Ok(Value::Null),
            (Literal::Text(path), Type::Reference(_)) => Ok(Value::Path(path.clone())),
            (_, Type::Reference(_)) => {
                Err(values::mismatch(value, "an object path, an alias or null"))
            }
            (_, Type::Builtin(ty)) => values::typed(value, *ty, None),
        }
    }
}

fn unknown_property(class: &str, name: &Name) -> Fault {
    Fault::new(
        name.at,
        Rule::Instance,
        format!(
            "the property `{}`, which `{class}` does not have",
            name.text
        ),
        "a property of the class",
    )
}
