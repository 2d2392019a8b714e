//! QUALIFIER and QUALIFIER.DECLARATION.

use super::{Decoded, Decoder, Flag};
use crate::tag::Tag;
use alloc::vec::Vec;
use cim_model::{
    Flavors, Qualifier, QualifierDecl, QualifierName, Scopes, Shape, Value, ValueType,
};

impl Decoder<'_> {
    fn flavors(&self) -> Decoded<Flavors> {
        Ok(Flavors {
            overridable: self.boolean("OVERRIDABLE", Flag::DefaultTrue)?,
            to_subclass: self.boolean("TOSUBCLASS", Flag::DefaultTrue)?,
            to_instance: self.boolean("TOINSTANCE", Flag::DefaultFalse)?,
            translatable: self.boolean("TRANSLATABLE", Flag::DefaultFalse)?,
        })
    }

    /// Reads the leading QUALIFIER children and returns them with the first other child.
    pub(super) fn qualifiers(&mut self) -> Decoded<(Vec<Qualifier>, Option<Tag>)> {
        let mut all: Vec<Qualifier> = Vec::new();
        loop {
            match self.child()? {
                Some(Tag::Qualifier) => {
                    let qualifier = self.qualifier()?;
                    let repeated = all.iter().any(|other| other.name == qualifier.name);
                    self.new_member(repeated, all.len())?;
                    all.push(qualifier);
                }
                other => return Ok((all, other)),
            }
        }
    }

    fn qualifier(&mut self) -> Decoded<Qualifier> {
        let name = QualifierName::from(self.required("NAME")?);
        let ty = self.cim_type("TYPE")?;
        let propagated = self.boolean("PROPAGATED", Flag::DefaultFalse)?;
        let flavors = self.flavors()?;
        let first = self.child()?;
        let shape = match first {
            Some(Tag::ValueArray) => Shape::Array,
            _ => Shape::Scalar,
        };
        let value = self.declared_value(first, ty.into(), ValueType { ty, shape })?;
        Ok(Qualifier {
            name,
            value,
            propagated,
            flavors,
        })
    }

    /// QUALIFIER.DECLARATION.
    pub(super) fn qualifier_declaration(&mut self) -> Decoded<QualifierDecl> {
        let name = QualifierName::from(self.required("NAME")?);
        let ty = self.cim_type("TYPE")?;
        // ISARRAY is implied in the DTD; without it the value shows what it is.
        let is_array = match self.optional("ISARRAY") {
            Some(_) => Some(self.boolean("ISARRAY", Flag::DefaultFalse)?),
            None => None,
        };
        let array_size = self.array_size()?;
        let flavors = self.flavors()?;
        let mut first = self.child()?;
        let mut scopes = Scopes::empty();
        if first == Some(Tag::Scope) {
            for (scope, name) in Scopes::NAMED {
                scopes.set(scope, self.boolean(name, Flag::DefaultFalse)?);
            }
            self.end()?;
            first = self.child()?;
        }
        let is_array = is_array.unwrap_or(first == Some(Tag::ValueArray));
        let shape = if is_array {
            Shape::Array
        } else {
            Shape::Scalar
        };
        let declared = ValueType { ty, shape };
        let value: Value = self.declared_value(first, ty.into(), declared)?;
        Ok(QualifierDecl {
            name,
            ty: declared,
            array_size,
            value,
            scopes,
            flavors,
        })
    }
}
