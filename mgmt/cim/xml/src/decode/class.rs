//! CLASS, METHOD and the PARAMETER elements.

use super::{Decoded, Decoder, Flag};
use crate::error::Validity;
use crate::tag::Tag;
use alloc::vec::Vec;
use cim_model::{
    CimType, ClassDecl, ClassName, MethodDecl, MethodName, ParameterDecl, ParameterName,
    PropertyDecl, Shape, ValueType,
};

impl Decoder<'_> {
    /// The content of CLASS.
    pub(super) fn class(&mut self) -> Decoded<ClassDecl> {
        let name = ClassName::from(self.required("NAME")?);
        let superclass = self.optional("SUPERCLASS").filter(|name| !name.is_empty());
        let mut class = ClassDecl::new(name, superclass.map(ClassName::from));
        let (qualifiers, mut next) = self.qualifiers()?;
        class.qualifiers = qualifiers;
        while let Some(tag) = next {
            if tag == Tag::Method {
                let method = self.method()?;
                let repeated = class.method(method.name.as_str()).is_some();
                self.new_member(repeated, class.methods.len())?;
                class.methods.push(method);
            } else {
                if !class.methods.is_empty() {
                    return self.fail(Validity::UnexpectedElement);
                }
                let raw = self.property(tag)?;
                let repeated = class.property(raw.name.as_str()).is_some();
                self.new_member(repeated, class.properties.len())?;
                class.properties.push(PropertyDecl {
                    name: raw.name,
                    ty: raw.ty,
                    default: raw.value,
                    class_origin: raw.class_origin,
                    propagated: raw.propagated,
                    reference_class: raw.reference_class,
                    array_size: raw.array_size,
                    qualifiers: raw.qualifiers,
                });
            }
            next = self.child()?;
        }
        Ok(class)
    }

    fn method(&mut self) -> Decoded<MethodDecl> {
        let name = MethodName::from(self.required("NAME")?);
        // TYPE is implied in the DTD for methods that return nothing; CIM has none, every method returns one.
        let return_type = match self.optional("TYPE") {
            Some(_) => self.cim_type("TYPE")?,
            None => CimType::Uint32,
        };
        let class_origin = self.optional("CLASSORIGIN").map(ClassName::from);
        let propagated = self.boolean("PROPAGATED", Flag::DefaultFalse)?;
        let (qualifiers, mut next) = self.qualifiers()?;
        let mut parameters: Vec<ParameterDecl> = Vec::new();
        while let Some(tag) = next {
            let parameter = self.parameter(tag)?;
            let repeated = parameters.iter().any(|other| other.name == parameter.name);
            self.new_member(repeated, parameters.len())?;
            parameters.push(parameter);
            next = self.child()?;
        }
        Ok(MethodDecl {
            name,
            return_type,
            class_origin,
            propagated,
            qualifiers,
            parameters,
        })
    }

    fn parameter(&mut self, tag: Tag) -> Decoded<ParameterDecl> {
        let (shape, is_reference) = match tag {
            Tag::Parameter => (Shape::Scalar, false),
            Tag::ParameterArray => (Shape::Array, false),
            Tag::ParameterReference => (Shape::Scalar, true),
            Tag::ParameterRefArray => (Shape::Array, true),
            _ => return self.fail(Validity::UnexpectedElement),
        };
        let name = ParameterName::from(self.required("NAME")?);
        let ty = if is_reference {
            CimType::Reference
        } else {
            self.cim_type("TYPE")?
        };
        let reference_class = match is_reference {
            true => self.optional("REFERENCECLASS").map(ClassName::from),
            false => None,
        };
        let array_size = if shape == Shape::Array {
            self.array_size()?
        } else {
            None
        };
        let (qualifiers, other) = self.qualifiers()?;
        if other.is_some() {
            return self.fail(Validity::UnexpectedElement);
        }
        let ty = ValueType { ty, shape };
        Ok(ParameterDecl {
            name,
            ty,
            reference_class,
            array_size,
            qualifiers,
        })
    }
}
