//! Responses: what an indication listener answers, and what tests read back from the server.

use super::{Decoded, Decoder};
use crate::error::{Fault, Validity};
use crate::message::{Item, OutParam, Outcome, Response};
use crate::tag::Tag;
use alloc::vec::Vec;
use cim_model::{CimError, CimStatus, CimType, MethodName, Text};

/// Reads a response message.
///
/// # Errors
/// [`crate::XmlError`] with the fault and its offset.
pub fn parse_response(message: &[u8]) -> Decoded<Response> {
    let mut decoder = Decoder::new(message)?;
    let envelope = decoder.envelope()?;
    let outer = decoder.required_child()?;
    let inner = match outer {
        Tag::SimpleRsp | Tag::SimpleExpRsp => decoder.after_correlators()?,
        Tag::MultiRsp | Tag::MultiExpRsp => return decoder.fail(Fault::MultipleRequests),
        _ => return decoder.fail(Validity::UnexpectedElement),
    };
    let method = MethodName::from(decoder.required("NAME")?);
    let outcome = match (outer, inner) {
        (Tag::SimpleRsp, Tag::IMethodResponse) => decoder.intrinsic_outcome()?,
        (Tag::SimpleRsp, Tag::MethodResponse) => decoder.extrinsic_outcome()?,
        (Tag::SimpleExpRsp, Tag::ExpMethodResponse) => decoder.export_outcome()?,
        _ => return decoder.fail(Validity::UnexpectedElement),
    };
    decoder.end()?;
    decoder.end_envelope()?;
    Ok(Response {
        message_id: envelope.message_id,
        method,
        outcome,
    })
}

type Outcomes = Result<Outcome, CimError>;

impl Decoder<'_> {
    fn intrinsic_outcome(&mut self) -> Decoded<Outcomes> {
        let mut items = Vec::new();
        let mut next = self.child()?;
        match next {
            Some(Tag::Error) => return self.error_outcome(),
            Some(Tag::IReturnValue) => {
                while let Some(tag) = self.child()? {
                    items.push(self.item(tag)?);
                }
                next = self.child()?;
            }
            _ => {}
        }
        let params = self.out_params(next)?;
        Ok(Ok(Outcome::Intrinsic { items, params }))
    }

    fn extrinsic_outcome(&mut self) -> Decoded<Outcomes> {
        let mut value = None;
        let mut next = self.child()?;
        match next {
            Some(Tag::Error) => return self.error_outcome(),
            Some(Tag::ReturnValue) => {
                value = Some(self.typed_content()?);
                next = self.child()?;
            }
            _ => {}
        }
        let params = self.out_params(next)?;
        Ok(Ok(Outcome::Extrinsic { value, params }))
    }

    fn export_outcome(&mut self) -> Decoded<Outcomes> {
        match self.child()? {
            None => Ok(Ok(Outcome::Export)),
            Some(Tag::Error) => self.error_outcome(),
            // An IRETURNVALUE is allowed by the DTD and means nothing here.
            Some(Tag::IReturnValue) => {
                self.skip()?;
                self.end()?;
                Ok(Ok(Outcome::Export))
            }
            Some(_) => self.fail(Validity::UnexpectedElement),
        }
    }

    fn out_params(&mut self, mut next: Option<Tag>) -> Decoded<Vec<OutParam>> {
        let mut params = Vec::new();
        while let Some(tag) = next {
            if tag != Tag::ParamValue {
                return self.fail(Validity::UnexpectedElement);
            }
            let (name, value) = self.param_value()?;
            let repeated = params.iter().any(|other: &OutParam| other.name == name);
            self.new_member(repeated, params.len())?;
            params.push(OutParam { name, value });
            next = self.child()?;
        }
        Ok(params)
    }

    /// ERROR, and the end of the response element around it.
    fn error_outcome(&mut self) -> Decoded<Outcomes> {
        let code = self.required("CODE")?;
        // An unknown number is still an error; FAILED is what DSP0200 has for everything else.
        let status = match code.trim().parse() {
            Ok(code) => CimStatus::from_code(code).unwrap_or(CimStatus::Failed),
            Err(_) => return self.fail(Validity::AttributeValue("CODE")),
        };
        let description = self
            .optional("DESCRIPTION")
            .map(Text::from)
            .unwrap_or_default();
        let mut error = CimError::new(status, description);
        while let Some(tag) = self.child()? {
            if tag != Tag::Instance {
                return self.fail(Validity::UnexpectedElement);
            }
            error.instances.push(self.instance()?);
        }
        self.end()?;
        Ok(Err(error))
    }

    fn item(&mut self, tag: Tag) -> Decoded<Item> {
        Ok(match tag {
            Tag::Class => Item::Class(self.class()?),
            Tag::ClassName => Item::ClassName(self.class_name()?),
            Tag::ValueNamedInstance => {
                self.expect(Tag::InstanceName)?;
                Item::NamedInstance(self.instance_with_path(Tag::InstanceName)?)
            }
            Tag::InstanceName => Item::InstanceName(self.instance_path(tag)?),
            Tag::Instance => Item::Instance(self.instance()?),
            Tag::ValueObjectWithPath | Tag::ValueObjectWithLocalPath => {
                match self.required_child()? {
                    path @ (Tag::InstancePath | Tag::LocalInstancePath) => {
                        Item::InstanceObject(self.instance_with_path(path)?)
                    }
                    path @ (Tag::ClassPath | Tag::LocalClassPath) => {
                        let path = self.class_path(path)?;
                        self.expect(Tag::Class)?;
                        let mut class = self.class()?;
                        class.path = Some(path);
                        self.end()?;
                        Item::ClassObject(class)
                    }
                    _ => return self.fail(Validity::UnexpectedElement),
                }
            }
            Tag::ValueObject => {
                let item = match self.required_child()? {
                    Tag::Instance => Item::Instance(self.instance()?),
                    Tag::Class => Item::Class(self.class()?),
                    _ => return self.fail(Validity::UnexpectedElement),
                };
                self.end()?;
                item
            }
            Tag::ObjectPath => Item::ObjectPath(self.object_path()?),
            Tag::ValueInstanceWithPath => {
                self.expect(Tag::InstancePath)?;
                Item::InstanceWithPath(self.instance_with_path(Tag::InstancePath)?)
            }
            Tag::InstancePath => Item::InstancePath(self.instance_path(tag)?),
            Tag::QualifierDeclaration => Item::QualifierDecl(self.qualifier_declaration()?),
            Tag::ValueReference => Item::Value(self.reference()?.into()),
            _ => Item::Value(self.value(tag, CimType::String.into())?),
        })
    }
}
