//! INSTANCE, its properties, and the elements that pair an instance with a path.

use super::value::Typing;
use super::{Decoded, Decoder, Flag};
use crate::error::Validity;
use crate::tag::Tag;
use alloc::vec::Vec;
use cim_model::{
    CimType, ClassName, EmbeddedKind, Instance, ObjectPath, Property, PropertyName, Qualifier,
    Shape, Value, ValueType,
};

/// The attributes that the three property elements share, before it is known whether an instance or a class
/// holds the property.
pub(super) struct RawProperty {
    pub(super) name: PropertyName,
    pub(super) ty: ValueType,
    pub(super) value: Value,
    pub(super) class_origin: Option<ClassName>,
    pub(super) propagated: bool,
    pub(super) embedded: Option<EmbeddedKind>,
    pub(super) reference_class: Option<ClassName>,
    pub(super) array_size: Option<u32>,
    pub(super) qualifiers: Vec<Qualifier>,
}

impl Decoder<'_> {
    /// The content of INSTANCE.
    pub(super) fn instance(&mut self) -> Decoded<Instance> {
        let mut instance = Instance::new(ClassName::from(self.required("CLASSNAME")?));
        let (qualifiers, mut next) = self.qualifiers()?;
        instance.qualifiers = qualifiers;
        while let Some(tag) = next {
            let raw = self.property(tag)?;
            let repeated = instance.property(raw.name.as_str()).is_some();
            self.new_member(repeated, instance.properties.len())?;
            instance.properties.push(Property {
                name: raw.name,
                value: raw.value,
                class_origin: raw.class_origin,
                propagated: raw.propagated,
                embedded: raw.embedded,
                reference_class: raw.reference_class,
                array_size: raw.array_size,
                qualifiers: raw.qualifiers,
            });
            next = self.child()?;
        }
        Ok(instance)
    }

    /// PROPERTY, PROPERTY.ARRAY or PROPERTY.REFERENCE.
    pub(super) fn property(&mut self, tag: Tag) -> Decoded<RawProperty> {
        let shape = match tag {
            Tag::Property | Tag::PropertyReference => Shape::Scalar,
            Tag::PropertyArray => Shape::Array,
            _ => return self.fail(Validity::UnexpectedElement),
        };
        let name = PropertyName::from(self.required("NAME")?);
        let is_reference = tag == Tag::PropertyReference;
        let ty = if is_reference {
            CimType::Reference
        } else {
            self.cim_type("TYPE")?
        };
        if ty == CimType::Reference && !is_reference {
            return self.fail(Validity::AttributeValue("TYPE"));
        }
        let embedded = if is_reference { None } else { self.embedded()? };
        if embedded.is_some() && ty != CimType::String {
            return self.fail(Validity::AttributeValue("EmbeddedObject"));
        }
        let class_origin = self.optional("CLASSORIGIN").map(ClassName::from);
        let propagated = self.boolean("PROPAGATED", Flag::DefaultFalse)?;
        let reference_class = match is_reference {
            true => self.optional("REFERENCECLASS").map(ClassName::from),
            false => None,
        };
        let array_size = if shape == Shape::Array {
            self.array_size()?
        } else {
            None
        };
        let (qualifiers, first) = self.qualifiers()?;
        let ty = ValueType { ty, shape };
        let value = self.declared_value(
            first,
            Typing {
                ty: ty.ty,
                embedded,
            },
            ty,
        )?;
        Ok(RawProperty {
            name,
            ty,
            value,
            class_origin,
            propagated,
            embedded,
            reference_class,
            array_size,
            qualifiers,
        })
    }

    /// The content of VALUE.NAMEDINSTANCE, VALUE.INSTANCEWITHPATH, or an instance in one of the VALUE.OBJECT
    /// elements, after its path element `tag` has been started.
    pub(super) fn instance_with_path(&mut self, tag: Tag) -> Decoded<Instance> {
        let path = self.instance_path(tag)?;
        self.expect(Tag::Instance)?;
        let instance = self.instance()?.with_path(path);
        self.end()?;
        Ok(instance)
    }

    /// The content of OBJECTPATH.
    pub(super) fn object_path(&mut self) -> Decoded<ObjectPath> {
        let tag = self.required_child()?;
        let path = self.any_path(tag)?;
        self.end()?;
        Ok(path)
    }
}
