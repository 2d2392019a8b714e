//! Turns the compiled schema into rows of 16-bit ids, ready to print.

use std::collections::BTreeMap;

use cim_mof::schema::{
    Class, ClassKind, Method, Parameter, Property, Qualifier, Schema, Type, Value, is_set,
};
use cim_mof::{ArraySize, Flavors, OverrideFlavor, Propagation, Scope, TypeName};

use crate::pool::{NONE, Span, id};
use crate::rows::{
    Cell, ClassRow, MethodRow, ParameterRow, PropertyRow, QualifierRow, QualifierTypeRow, Tables,
    TypeCells,
};

type Built<T> = Result<T, String>;

/// Bits of [`ClassRow::flags`] and [`PropertyRow::flags`]; `src/tables.rs` names the same ones.
mod flag {
    pub const ASSOCIATION: u8 = 1;
    pub const INDICATION: u8 = 2;
    pub const ABSTRACT: u8 = 4;
    pub const KEY: u8 = 1;
}

/// Builds the tables, classes in the order of their folded names.
pub fn build(schema: &Schema) -> Built<Tables> {
    let mut builder = Builder {
        schema,
        tables: Tables::default(),
        class_ids: BTreeMap::new(),
        property_ids: BTreeMap::new(),
        method_ids: BTreeMap::new(),
    };
    builder.qualifier_types()?;
    let mut sorted: Vec<&Class> = schema.classes().iter().collect();
    sorted.sort_by_key(|c| c.name.to_ascii_lowercase());
    for (index, class) in sorted.iter().enumerate() {
        builder
            .class_ids
            .insert(class.name.to_ascii_lowercase(), id(index)?);
    }
    builder.reserve_features(&sorted)?;
    for class in &sorted {
        builder.class(class)?;
    }
    builder.number_hierarchy(&sorted)?;
    Ok(builder.tables)
}

/// Names of features and classes are compared in this form.
type Feature = (String, String);

fn feature(class: &str, name: &str) -> Feature {
    (class.to_ascii_lowercase(), name.to_ascii_lowercase())
}

struct Builder<'a> {
    schema: &'a Schema,
    tables: Tables,
    class_ids: BTreeMap<String, u16>,
    property_ids: BTreeMap<Feature, u16>,
    method_ids: BTreeMap<Feature, u16>,
}

impl Builder<'_> {
    fn class_id(&self, name: &str) -> Built<u16> {
        self.class_ids
            .get(&name.to_ascii_lowercase())
            .copied()
            .ok_or_else(|| format!("no class {name}"))
    }

    /// Gives every local feature its id beforehand, because a class may come before its superclass.
    fn reserve_features(&mut self, classes: &[&Class]) -> Built<()> {
        for class in classes {
            for property in &class.properties {
                let next = id(self.property_ids.len())?;
                self.property_ids
                    .insert(feature(&class.name, &property.name), next);
            }
            for method in &class.methods {
                let next = id(self.method_ids.len())?;
                self.method_ids
                    .insert(feature(&class.name, &method.name), next);
            }
        }
        Ok(())
    }

    fn qualifier_types(&mut self) -> Built<()> {
        let mut types: Vec<_> = self.schema.qualifiers().iter().collect();
        types.sort_by_key(|q| q.name.to_ascii_lowercase());
        for ty in types {
            let row = QualifierTypeRow {
                name: self.tables.pools.string(&ty.name)?,
                ty: self.types(&Type::Builtin(ty.ty), ty.array)?,
                default: self.cell(&ty.default)?,
                // `cim_model::Scopes` numbers its bits in the order of `Scope::ALL`.
                scopes: Scope::ALL
                    .iter()
                    .enumerate()
                    .filter(|(_, scope)| ty.scopes.contains(**scope))
                    .fold(0, |bits, (bit, _)| bits | 1 << bit),
                flavors: flavor_bits(ty.flavors),
            };
            self.tables.qualifier_types.push(row);
        }
        Ok(())
    }

    fn qualifiers(&mut self, list: &[Qualifier]) -> Built<Span> {
        let start = id(self.tables.qualifiers.len())?;
        for qualifier in list {
            let name = self.tables.pools.string(&qualifier.name)?;
            let ty = self
                .tables
                .qualifier_types
                .iter()
                .position(|row| row.name == name)
                .ok_or_else(|| format!("no qualifier {}", qualifier.name))?;
            let row = QualifierRow {
                ty: id(ty)?,
                flavors: flavor_bits(qualifier.flavors),
                value: self.cell(&qualifier.value)?,
            };
            self.tables.qualifiers.push(row);
        }
        Ok(Span {
            start,
            len: id(list.len())?,
        })
    }

    fn cell(&mut self, value: &Value) -> Built<Cell> {
        Ok(match value {
            Value::Null => Cell::Null,
            Value::Boolean(b) => Cell::Boolean(*b),
            Value::Array(elements) => {
                let ids: Built<Vec<u16>> = elements.iter().map(|e| self.element(e)).collect();
                Cell::List(self.tables.pools.list(ids?)?)
            }
            Value::Text(_) => Cell::Text(self.element(value)?),
            _ => Cell::Integer(self.element(value)?),
        })
    }

    /// The id of a scalar in the pool of its type; booleans are integers within arrays.
    fn element(&mut self, value: &Value) -> Built<u16> {
        let pools = &mut self.tables.pools;
        match value {
            Value::Null => Ok(NONE),
            Value::Text(text) => pools.string(text),
            Value::Boolean(b) => pools.integer(u64::from(*b)),
            Value::Integer(i) => pools.integer(bits(*i)?),
            Value::Real(r) => pools.integer(r.to_bits()),
            Value::Char16(unit) => pools.integer(u64::from(*unit)),
            Value::Path(_) | Value::Alias(_) | Value::Instance(_) | Value::Array(_) => {
                Err("defaults that are references or instances have no table form".into())
            }
        }
    }

    fn types(&self, ty: &Type, array: Option<ArraySize>) -> Built<TypeCells> {
        let (ty, reference) = match ty {
            Type::Builtin(ty) => (variant(*ty), NONE),
            Type::Reference(class) => ("Reference", self.class_id(class)?),
        };
        let array = match array {
            None => NONE,
            Some(ArraySize::Variable) => 0,
            Some(ArraySize::Fixed(n)) => id(usize::try_from(n).map_err(|e| e.to_string())?)?,
        };
        Ok(TypeCells {
            ty,
            array,
            reference,
        })
    }

    fn class(&mut self, class: &Class) -> Built<()> {
        let name = &class.name;
        let mut flags = match class.kind {
            ClassKind::Class => 0,
            ClassKind::Association => flag::ASSOCIATION,
            ClassKind::Indication => flag::INDICATION,
        };
        if is_set(&class.qualifiers, "Abstract") {
            flags |= flag::ABSTRACT;
        }
        let properties = Span {
            start: id(self.tables.properties.len())?,
            len: id(class.properties.len())?,
        };
        for property in &class.properties {
            let row = self.property(class, property)?;
            self.tables.properties.push(row);
        }
        let methods = Span {
            start: id(self.tables.methods.len())?,
            len: id(class.methods.len())?,
        };
        for method in &class.methods {
            let row = self.method(class, method)?;
            self.tables.methods.push(row);
        }
        let all_properties = self.inherited(name, &self.property_ids, |c| {
            c.properties.iter().map(|p| p.name.as_str()).collect()
        })?;
        let all_methods = self.inherited(name, &self.method_ids, |c| {
            c.methods.iter().map(|m| m.name.as_str()).collect()
        })?;
        let row = ClassRow {
            name: self.tables.pools.string(name)?,
            id: self.class_id(name)?,
            superclass: match &class.superclass {
                Some(superclass) => self.class_id(superclass)?,
                None => NONE,
            },
            preorder: 0,
            last: 0,
            flags,
            qualifiers: self.qualifiers(&class.qualifiers)?,
            properties,
            methods,
            all_properties: self.tables.pools.list(all_properties)?,
            all_methods: self.tables.pools.list(all_methods)?,
        };
        self.tables.classes.push(row);
        Ok(())
    }

    /// The ids of all features of a class: those of the root first, overriding ones in the place of the
    /// overridden.
    fn inherited<'s>(
        &'s self,
        class: &str,
        ids: &BTreeMap<Feature, u16>,
        names: impl Fn(&'s Class) -> Vec<&'s str>,
    ) -> Built<Vec<u16>> {
        let mut lineage: Vec<_> = self.schema.lineage(class).collect();
        lineage.reverse();
        let mut found: Vec<(String, u16)> = Vec::new();
        for owner in lineage {
            for name in names(owner) {
                let key = feature(&owner.name, name);
                let id = *ids.get(&key).ok_or("a feature without id")?;
                match found.iter_mut().find(|(known, _)| *known == key.1) {
                    Some(entry) => entry.1 = id,
                    None => found.push((key.1, id)),
                }
            }
        }
        Ok(found.into_iter().map(|(_, id)| id).collect())
    }

    /// The feature that a local one overrides, and the class that has it first.
    fn ancestry(
        &self,
        class: &Class,
        name: &str,
        ids: &BTreeMap<Feature, u16>,
    ) -> Built<(u16, u16)> {
        let mut overrides = NONE;
        let mut origin = self.class_id(&class.name)?;
        for ancestor in self.schema.lineage(&class.name).skip(1) {
            if let Some(id) = ids.get(&feature(&ancestor.name, name)) {
                if overrides == NONE {
                    overrides = *id;
                }
                origin = self.class_id(&ancestor.name)?;
            }
        }
        Ok((overrides, origin))
    }

    fn property(&mut self, class: &Class, property: &Property) -> Built<PropertyRow> {
        let (overrides, origin) = self.ancestry(class, &property.name, &self.property_ids)?;
        let key = self
            .schema
            .property_qualifier(&class.name, &property.name, "Key")
            == Some(&Value::Boolean(true));
        // An override without a default of its own keeps the inherited one.
        let default = self
            .schema
            .lineage(&class.name)
            .filter_map(|c| {
                c.properties
                    .iter()
                    .find(|p| p.name.eq_ignore_ascii_case(&property.name))
            })
            .find_map(|p| p.default.clone())
            .unwrap_or(Value::Null);
        Ok(PropertyRow {
            name: self.tables.pools.string(&property.name)?,
            class: self.class_id(&class.name)?,
            origin,
            overrides,
            ty: self.types(&property.ty, property.array)?,
            default: self.cell(&default)?,
            flags: if key { flag::KEY } else { 0 },
            qualifiers: self.qualifiers(&property.qualifiers)?,
        })
    }

    fn method(&mut self, class: &Class, method: &Method) -> Built<MethodRow> {
        let (overrides, origin) = self.ancestry(class, &method.name, &self.method_ids)?;
        let parameters = Span {
            start: id(self.tables.parameters.len())?,
            len: id(method.parameters.len())?,
        };
        for parameter in &method.parameters {
            let row = self.parameter(parameter)?;
            self.tables.parameters.push(row);
        }
        Ok(MethodRow {
            name: self.tables.pools.string(&method.name)?,
            class: self.class_id(&class.name)?,
            origin,
            overrides,
            returns: variant(method.returns),
            qualifiers: self.qualifiers(&method.qualifiers)?,
            parameters,
        })
    }

    fn parameter(&mut self, parameter: &Parameter) -> Built<ParameterRow> {
        Ok(ParameterRow {
            name: self.tables.pools.string(&parameter.name)?,
            ty: self.types(&parameter.ty, parameter.array)?,
            qualifiers: self.qualifiers(&parameter.qualifiers)?,
        })
    }

    /// Numbers the classes so that the descendants of one are a run behind it.
    fn number_hierarchy(&mut self, sorted: &[&Class]) -> Built<()> {
        let mut children: BTreeMap<u16, Vec<u16>> = BTreeMap::new();
        for class in sorted {
            let parent = match &class.superclass {
                Some(superclass) => self.class_id(superclass)?,
                None => NONE,
            };
            children
                .entry(parent)
                .or_default()
                .push(self.class_id(&class.name)?);
        }
        self.number_below(NONE, &children)
    }

    fn number_below(&mut self, parent: u16, children: &BTreeMap<u16, Vec<u16>>) -> Built<()> {
        for class in children.get(&parent).into_iter().flatten() {
            let preorder = id(self.tables.preorder.len())?;
            self.tables.preorder.push(*class);
            self.number_below(*class, children)?;
            let last = id(self.tables.preorder.len() - 1)?;
            let row = self
                .tables
                .classes
                .get_mut(usize::from(*class))
                .ok_or("a class without row")?;
            row.preorder = preorder;
            row.last = last;
        }
        Ok(())
    }
}

/// The variant of `cim_model::CimType`.
fn variant(ty: TypeName) -> &'static str {
    match ty {
        TypeName::Boolean => "Boolean",
        TypeName::String => "String",
        TypeName::Char16 => "Char16",
        TypeName::DateTime => "DateTime",
        TypeName::Uint8 => "Uint8",
        TypeName::Uint16 => "Uint16",
        TypeName::Uint32 => "Uint32",
        TypeName::Uint64 => "Uint64",
        TypeName::Sint8 => "Sint8",
        TypeName::Sint16 => "Sint16",
        TypeName::Sint32 => "Sint32",
        TypeName::Sint64 => "Sint64",
        TypeName::Real32 => "Real32",
        TypeName::Real64 => "Real64",
    }
}

fn flavor_bits(flavors: Flavors) -> u8 {
    u8::from(flavors.overriding == OverrideFlavor::Enable)
        | u8::from(flavors.propagation == Propagation::ToSubclass) << 1
        | u8::from(flavors.translatable) << 2
}

/// An integer of any CIM type in 64 bits, negative ones in two's complement.
fn bits(value: i128) -> Built<u64> {
    if let Ok(unsigned) = u64::try_from(value) {
        return Ok(unsigned);
    }
    i64::try_from(value)
        .map(i64::cast_unsigned)
        .map_err(|e| e.to_string())
}
