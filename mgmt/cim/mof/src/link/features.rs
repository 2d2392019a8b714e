//! Properties, references, methods and parameters of one class, and what they override.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::classes::{Items, embedded_class};
use super::{Linker, Names, values};
use crate::ast::{
    Initializer, Literal, MethodItem, Name, ParameterItem, PropertyItem, QualifierUse, TypeItem,
};
use crate::error::{Fault, Rule};
use crate::schema::{
    Class, Method, Parameter, Property, Qualifier, Type, Value, fold, is_set, qualifier,
};
use crate::source::Position;
use crate::types::{ArraySize, Scope, TypeName};

impl Linker {
    pub(super) fn property(
        &mut self,
        class: &Class,
        item: &PropertyItem,
        known: &Items<'_>,
    ) -> Option<Property> {
        let resolved = resolve(&item.ty, known);
        let ty = self.check(resolved)?;
        let scope = match ty {
            Type::Builtin(_) => Scope::Property,
            Type::Reference(_) => Scope::Reference,
        };
        let qualifiers = self.qualifiers(&item.qualifiers, scope);
        if let (Type::Reference(_), Some(_)) = (&ty, item.array) {
            self.report(Fault::new(
                item.name.at,
                Rule::Association,
                format!("`{}`, an array of references", item.name.text),
                "a single reference; only parameters may be arrays of references",
            ));
        }
        let default = match &item.default {
            Some(value) => Some(self.check(default_value(value, &ty, item.array))?),
            None => None,
        };
        self.check_embedded(&item.name, &ty, &qualifiers, known);
        let property = Property {
            name: item.name.text.clone(),
            ty,
            array: item.array,
            default,
            qualifiers,
        };
        self.check_key(class, item, &property);
        self.check_property_override(class, item, &property, known);
        Some(property)
    }

    /// Keys are scalars, and none is added below a class that has keys (DSP0004 5.6.3.21).
    fn check_key(&mut self, class: &Class, item: &PropertyItem, property: &Property) {
        if !is_set(&property.qualifiers, "Key") {
            return;
        }
        let embedded = embedded_class(&property.qualifiers).is_some()
            || is_set(&property.qualifiers, "EmbeddedObject");
        if property.array.is_some() || embedded {
            self.report(Fault::new(
                item.name.at,
                Rule::Key,
                format!("the key `{}` of an impossible type", property.name),
                "a key that is neither an array nor an embedded object",
            ));
        }
        let Some(superclass) = &class.superclass else {
            return;
        };
        let keys: Vec<(&Class, &Property)> = self
            .schema
            .lineage(superclass)
            .flat_map(|owner| owner.properties.iter().map(move |p| (owner, p)))
            .filter(|(_, p)| is_set(&p.qualifiers, "Key"))
            .collect();
        let inherited = keys
            .iter()
            .any(|(_, p)| p.name.eq_ignore_ascii_case(&property.name));
        let foreign = keys.first().map(|(owner, _)| owner.name.clone());
        if let (false, Some(owner)) = (inherited, foreign) {
            self.report(Fault::new(
                item.name.at,
                Rule::Key,
                format!("the key `{}`", property.name),
                format!("no further key, because `{owner}` already defines the keys"),
            ));
        }
    }

    fn check_property_override(
        &mut self,
        class: &Class,
        item: &PropertyItem,
        property: &Property,
        known: &Items<'_>,
    ) {
        let levels: Vec<Property> = class
            .superclass
            .iter()
            .flat_map(|s| self.schema.lineage(s))
            .filter_map(|c| {
                c.properties
                    .iter()
                    .find(|p| p.name.eq_ignore_ascii_case(&property.name))
                    .cloned()
            })
            .collect();
        let inherited: Vec<_> = levels.iter().map(|p| p.qualifiers.clone()).collect();
        self.check_override(
            &item.name,
            &item.qualifiers,
            &property.qualifiers,
            &inherited,
        );
        if let Some(parent) = levels.first() {
            let same = match (&property.ty, &parent.ty) {
                (Type::Builtin(a), Type::Builtin(b)) => a == b,
                (Type::Reference(a), Type::Reference(b)) => is_a(a, b, known),
                _ => false,
            };
            if !same || property.array.is_some() != parent.array.is_some() {
                self.report(Fault::new(
                    item.name.at,
                    Rule::OverrideMismatch,
                    format!(
                        "`{}` as {}",
                        property.name,
                        shape(&property.ty, property.array)
                    ),
                    format!(
                        "the shape it overrides: {}",
                        shape(&parent.ty, parent.array)
                    ),
                ));
            }
        }
        self.check_meanings(item.name.at, &property.qualifiers, &inherited);
    }

    pub(super) fn method(
        &mut self,
        class: &Class,
        item: &MethodItem,
        known: &Items<'_>,
    ) -> Option<Method> {
        let qualifiers = self.qualifiers(&item.qualifiers, Scope::Method);
        let mut names = Names::new("a parameter of a method");
        let mut parameters = Vec::new();
        for parameter in &item.parameters {
            self.check(names.declare(&parameter.name));
            parameters.push(self.parameter(parameter, known)?);
        }
        let method = Method {
            name: item.name.text.clone(),
            returns: item.returns,
            parameters,
            qualifiers,
        };
        self.check_method_override(class, item, &method, known);
        Some(method)
    }

    fn parameter(&mut self, item: &ParameterItem, known: &Items<'_>) -> Option<Parameter> {
        let resolved = resolve(&item.ty, known);
        let ty = self.check(resolved)?;
        let qualifiers = self.qualifiers(&item.qualifiers, Scope::Parameter);
        self.check_embedded(&item.name, &ty, &qualifiers, known);
        self.check_meanings(item.name.at, &qualifiers, &[]);
        Some(Parameter {
            name: item.name.text.clone(),
            ty,
            array: item.array,
            qualifiers,
        })
    }

    fn check_method_override(
        &mut self,
        class: &Class,
        item: &MethodItem,
        method: &Method,
        known: &Items<'_>,
    ) {
        let levels: Vec<Method> = class
            .superclass
            .iter()
            .flat_map(|s| self.schema.lineage(s))
            .filter_map(|c| {
                c.methods
                    .iter()
                    .find(|m| m.name.eq_ignore_ascii_case(&method.name))
                    .cloned()
            })
            .collect();
        let inherited: Vec<_> = levels.iter().map(|m| m.qualifiers.clone()).collect();
        self.check_override(&item.name, &item.qualifiers, &method.qualifiers, &inherited);
        if let Some(parent) = levels.first()
            && !same_signature(method, parent, known)
        {
            self.report(Fault::new(
                item.name.at,
                Rule::OverrideMismatch,
                format!("`{}` with another signature", method.name),
                "the return type and the parameters of the method it overrides",
            ));
        }
        self.check_meanings(item.name.at, &method.qualifiers, &inherited);
    }

    /// The rules that properties and methods share: `Override` where and only where it is due.
    fn check_override(
        &mut self,
        name: &Name,
        uses: &[QualifierUse],
        local: &[Qualifier],
        inherited: &[Vec<Qualifier>],
    ) {
        let at = uses
            .iter()
            .find(|q| q.name.text.eq_ignore_ascii_case("Override"))
            .map_or(name.at, |q| q.name.at);
        match qualifier(local, "Override") {
            Some(Value::Text(target)) => {
                // Before DSP0004 2.6 the class could stand in front.
                let target = target.rsplit('.').next().unwrap_or(target);
                if !target.eq_ignore_ascii_case(&name.text) {
                    self.report(Fault::new(
                        at,
                        Rule::OverrideMismatch,
                        format!("an override of `{target}` by `{}`", name.text),
                        "the same name on both",
                    ));
                } else if inherited.is_empty() {
                    self.report(Fault::new(
                        at,
                        Rule::OverrideMismatch,
                        format!("an override of `{target}`, which no superclass has"),
                        "a feature of a superclass",
                    ));
                }
            }
            _ if !inherited.is_empty() => self.report(Fault::new(
                name.at,
                Rule::MissingOverride,
                format!("`{}`, which a superclass also has", name.text),
                "the qualifier Override, or another name",
            )),
            _ => {}
        }
        self.check_overrides(name.at, local, inherited);
    }

    fn check_meanings(&mut self, at: Position, local: &[Qualifier], inherited: &[Vec<Qualifier>]) {
        let levels: Vec<&[Qualifier]> = core::iter::once(local)
            .chain(inherited.iter().map(Vec::as_slice))
            .collect();
        self.check_value_maps(at, &levels);
    }

    fn check_embedded(
        &mut self,
        name: &Name,
        ty: &Type,
        qualifiers: &[Qualifier],
        known: &Items<'_>,
    ) {
        let class = embedded_class(qualifiers);
        let object = is_set(qualifiers, "EmbeddedObject");
        let fault = if (class.is_some() || object) && *ty != Type::Builtin(TypeName::String) {
            Some((
                format!("an embedded object in `{}`, which is no string", name.text),
                String::from("the type string"),
            ))
        } else if class.is_some() && object {
            Some((
                format!("EmbeddedObject and EmbeddedInstance on `{}`", name.text),
                "only one of them".into(),
            ))
        } else {
            class.filter(|c| !known.contains_key(&fold(c))).map(|c| {
                (
                    format!("an embedded `{c}`, which is not declared"),
                    "a declared class".into(),
                )
            })
        };
        if let Some((found, expected)) = fault {
            self.report(Fault::new(name.at, Rule::Embedded, found, expected));
        }
    }
}

fn resolve(ty: &TypeItem, known: &Items<'_>) -> Result<Type, Fault> {
    match ty {
        TypeItem::Builtin(ty) => Ok(Type::Builtin(*ty)),
        TypeItem::Reference(name) => match known.get(&fold(&name.text)) {
            Some(class) => Ok(Type::Reference(class.name.text.clone())),
            None => Err(Fault::new(
                name.at,
                Rule::UnknownClass,
                format!("a reference to `{}`, which is not declared", name.text),
                "a declared class",
            )),
        },
    }
}

fn default_value(value: &Initializer, ty: &Type, array: Option<ArraySize>) -> Result<Value, Fault> {
    match (ty, &value.literal) {
        (Type::Builtin(ty), _) => values::typed(value, *ty, array),
        (Type::Reference(_), Literal::Null) => Ok(Value::Null),
        (Type::Reference(_), Literal::Text(path)) => Ok(Value::Path(path.clone())),
        (Type::Reference(_), _) => Err(values::mismatch(value, "an object path or null")),
    }
}

/// Whether a class is another one or below it, by the declarations, which may not be linked yet.
fn is_a(class: &str, ancestor: &str, known: &Items<'_>) -> bool {
    let mut next = Some(class);
    let mut steps = 0;
    while let Some(name) = next {
        if name.eq_ignore_ascii_case(ancestor) {
            return true;
        }
        steps += 1;
        if steps > crate::limits::INHERITANCE {
            return false;
        }
        next = known
            .get(&fold(name))
            .and_then(|item| item.superclass.as_ref())
            .map(|s| s.text.as_str());
    }
    false
}

fn same_signature(a: &Method, b: &Method, known: &Items<'_>) -> bool {
    a.returns == b.returns
        && a.parameters.len() == b.parameters.len()
        && a.parameters.iter().zip(&b.parameters).all(|(p, q)| {
            let same = match (&p.ty, &q.ty) {
                // An output may narrow, an input may widen; both occur in the published schema.
                (Type::Reference(x), Type::Reference(y)) => is_a(x, y, known) || is_a(y, x, known),
                (x, y) => x == y,
            };
            same && p.name.eq_ignore_ascii_case(&q.name) && p.array.is_some() == q.array.is_some()
        })
}

fn shape(ty: &Type, array: Option<ArraySize>) -> String {
    let of = match ty {
        Type::Builtin(ty) => String::from(ty.keyword()),
        Type::Reference(class) => format!("{class} REF"),
    };
    match array {
        None => of,
        Some(_) => format!("an array of {of}"),
    }
}
