//! Values: VALUE, VALUE.ARRAY, VALUE.REFERENCE, VALUE.REFARRAY and their typing.

use super::{Decoded, Decoder};
use crate::error::{Validity, XmlError};
use crate::reader::Token;
use crate::tag::Tag;
use alloc::boxed::Box;
use alloc::vec::Vec;
use cim_model::{ArrayValue, CimType, EmbeddedKind, Scalar, Text, Value, ValueType};

/// What the element around a value says about its type.
#[derive(Clone, Copy)]
pub(super) struct Typing {
    pub(super) ty: CimType,
    pub(super) embedded: Option<EmbeddedKind>,
}

impl From<CimType> for Typing {
    fn from(ty: CimType) -> Self {
        Typing { ty, embedded: None }
    }
}

impl Decoder<'_> {
    /// A VALUE, VALUE.ARRAY, VALUE.REFERENCE or VALUE.REFARRAY whose start tag was just read.
    pub(super) fn value(&mut self, tag: Tag, typing: Typing) -> Decoded<Value> {
        match tag {
            Tag::Value => Ok(match self.scalar(typing)? {
                Some(scalar) => Value::Scalar(scalar),
                None => Value::null(typing.ty),
            }),
            Tag::ValueArray => self.value_array(typing),
            Tag::ValueReference => Ok(Value::from(self.reference()?)),
            Tag::ValueRefArray => self.reference_array(),
            Tag::ValueNull => {
                self.end()?;
                Ok(Value::null(typing.ty))
            }
            _ => self.fail(Validity::UnexpectedElement),
        }
    }

    /// The content of a VALUE; `None` for an embedded object written as the empty string.
    fn scalar(&mut self, typing: Typing) -> Decoded<Option<Scalar>> {
        let offset = self.reader.offset();
        if typing.embedded.is_some() {
            return self.embedded_object();
        }
        let text = self.text()?;
        if typing.ty == CimType::String {
            return Ok(Some(Scalar::String(Text::from(text))));
        }
        match Scalar::parse(typing.ty, &text) {
            Ok(scalar) => Ok(Some(scalar)),
            Err(_) => Err(XmlError {
                fault: Validity::Literal.into(),
                offset,
            }),
        }
    }

    fn value_array(&mut self, typing: Typing) -> Decoded<Value> {
        let mut items = Vec::new();
        while let Some(tag) = self.child()? {
            items.push(match tag {
                Tag::Value => self.scalar(typing)?,
                Tag::ValueNull => {
                    self.end()?;
                    None
                }
                _ => return self.fail(Validity::UnexpectedElement),
            });
        }
        Ok(Value::Array(ArrayValue {
            ty: typing.ty,
            items,
        }))
    }

    fn reference_array(&mut self) -> Decoded<Value> {
        let mut items = Vec::new();
        while let Some(tag) = self.child()? {
            items.push(match tag {
                Tag::ValueReference => Some(Scalar::Reference(Box::new(self.reference()?))),
                Tag::ValueNull => {
                    self.end()?;
                    None
                }
                _ => return self.fail(Validity::UnexpectedElement),
            });
        }
        Ok(Value::Array(ArrayValue {
            ty: CimType::Reference,
            items,
        }))
    }

    /// The content of VALUE.ARRAY in an operation parameter, where literals have no type.
    pub(super) fn text_array(&mut self) -> Decoded<Vec<Option<Text>>> {
        let mut items = Vec::new();
        while let Some(tag) = self.child()? {
            items.push(match tag {
                Tag::Value => Some(Text::from(self.text()?)),
                Tag::ValueNull => {
                    self.end()?;
                    None
                }
                _ => return self.fail(Validity::UnexpectedElement),
            });
        }
        Ok(items)
    }

    /// The optional value in a PROPERTY, QUALIFIER or similar element whose start tag was just read, of the
    /// type it declares, up to the end tag; `first` is its first child that is not a qualifier.
    pub(super) fn declared_value(
        &mut self,
        first: Option<Tag>,
        typing: Typing,
        declared: ValueType,
    ) -> Decoded<Value> {
        let Some(tag) = first else {
            return Ok(Value::Null(declared));
        };
        let fits = match tag {
            Tag::Value => !declared.is_array() && declared.ty != CimType::Reference,
            Tag::ValueArray => declared.is_array() && declared.ty != CimType::Reference,
            Tag::ValueReference => !declared.is_array() && declared.ty == CimType::Reference,
            Tag::ValueRefArray => declared.is_array() && declared.ty == CimType::Reference,
            _ => false,
        };
        if !fits {
            return self.fail(Validity::UnexpectedElement);
        }
        let value = self.value(tag, typing)?;
        self.end()?;
        Ok(value)
    }

    /// The content of a VALUE with an embedded object: escaped or CDATA text, or (leniently, as old servers
    /// and clients write it) the element itself.
    fn embedded_object(&mut self) -> Decoded<Option<Scalar>> {
        let offset = self.reader.offset();
        let mut text = alloc::borrow::Cow::Borrowed("");
        loop {
            match self.reader.next_token()? {
                Token::Text(more) if text.is_empty() => text = more,
                Token::Text(more) => text.to_mut().push_str(&more),
                Token::End(_) | Token::Eof => break,
                Token::Start(name) if crate::chars::is_blank(&text) => {
                    self.enter()?;
                    let scalar = match Tag::from_name(name) {
                        Some(Tag::Instance) => Scalar::from(self.instance()?),
                        Some(Tag::Class) => Scalar::from(self.class()?),
                        _ => return self.fail(Validity::EmbeddedObject),
                    };
                    self.leave();
                    self.end()?;
                    return Ok(Some(scalar));
                }
                Token::Start(_) => return self.fail(Validity::EmbeddedObject),
            }
        }
        if crate::chars::is_blank(&text) {
            return Ok(None);
        }
        self.enter()?;
        let scalar = super::embedded::parse_nested(&text, self.nesting)
            .map_err(|fault| XmlError { fault, offset })?;
        self.leave();
        Ok(Some(scalar))
    }
}
