//! Requests: SIMPLEREQ and SIMPLEEXPREQ.

use super::{Decoded, Decoder, owned};
use crate::error::{Fault, Validity};
use crate::message::{Call, ParamValue, Request};
use crate::tag::Tag;
use alloc::vec::Vec;
use cim_model::{MethodName, ObjectPath, ParameterName, Text};

/// Reads a request message.
///
/// # Errors
/// [`crate::XmlError`] with the fault, its offset and the CIMError header to answer with.
pub fn parse_request(message: &[u8]) -> Decoded<Request> {
    let mut decoder = Decoder::new(message)?;
    let envelope = decoder.envelope()?;
    let call = match decoder.required_child()? {
        Tag::SimpleReq => {
            let call = match decoder.after_correlators()? {
                Tag::IMethodCall => decoder.intrinsic_call()?,
                Tag::MethodCall => decoder.extrinsic_call()?,
                _ => return decoder.fail(Validity::UnexpectedElement),
            };
            decoder.end()?;
            call
        }
        Tag::SimpleExpReq => {
            let call = match decoder.after_correlators()? {
                Tag::ExpMethodCall => decoder.export_call()?,
                _ => return decoder.fail(Validity::UnexpectedElement),
            };
            decoder.end()?;
            call
        }
        Tag::MultiReq | Tag::MultiExpReq => return decoder.fail(Fault::MultipleRequests),
        _ => return decoder.fail(Validity::UnexpectedElement),
    };
    decoder.end_envelope()?;
    Ok(Request {
        message_id: envelope.message_id,
        cim_version: envelope.cim,
        dtd_version: envelope.dtd,
        protocol_version: envelope.protocol,
        call,
    })
}

impl Decoder<'_> {
    fn method_name(&self) -> Decoded<MethodName> {
        let name = self.required("NAME")?;
        if name.is_empty() {
            return self.fail(Validity::AttributeValue("NAME"));
        }
        Ok(MethodName::from(owned(name)))
    }

    fn intrinsic_call(&mut self) -> Decoded<Call> {
        let method = self.method_name()?;
        self.expect(Tag::LocalNamespacePath)?;
        let namespace = self.local_namespace()?;
        let params = self.params(Tag::IParamValue)?;
        Ok(Call::Intrinsic {
            method,
            namespace,
            params,
        })
    }

    fn extrinsic_call(&mut self) -> Decoded<Call> {
        let method = self.method_name()?;
        let target = match self.required_child()? {
            tag @ Tag::LocalInstancePath => ObjectPath::Instance(self.instance_path(tag)?),
            tag @ Tag::LocalClassPath => ObjectPath::Class(self.class_path(tag)?),
            _ => return self.fail(Validity::UnexpectedElement),
        };
        let mut params: Vec<(ParameterName, _)> = Vec::new();
        while let Some(tag) = self.child()? {
            if tag != Tag::ParamValue {
                return self.fail(Validity::UnexpectedElement);
            }
            let (name, value) = self.param_value()?;
            let repeated = params.iter().any(|(other, _)| *other == name);
            self.new_member(repeated, params.len())?;
            params.push((name, value));
        }
        Ok(Call::Extrinsic {
            method,
            target,
            params,
        })
    }

    fn export_call(&mut self) -> Decoded<Call> {
        let method = self.method_name()?;
        let params = self.params(Tag::ExpParamValue)?;
        Ok(Call::Export { method, params })
    }

    /// The IPARAMVALUE or EXPPARAMVALUE children. A repeated name is kept out of the request here, because a
    /// typed operation could not tell which of the two was meant.
    fn params(&mut self, element: Tag) -> Decoded<Vec<(ParameterName, ParamValue)>> {
        let mut params: Vec<(ParameterName, ParamValue)> = Vec::new();
        while let Some(tag) = self.child()? {
            if tag != element {
                return self.fail(Validity::UnexpectedElement);
            }
            let name = ParameterName::from(self.required("NAME")?);
            let repeated = params.iter().any(|(other, _)| *other == name);
            self.new_member(repeated, params.len())?;
            let value = match self.child()? {
                None => ParamValue::Null,
                Some(tag) => {
                    let value = self.param_content(tag)?;
                    self.end()?;
                    value
                }
            };
            params.push((name, value));
        }
        Ok(params)
    }

    fn param_content(&mut self, tag: Tag) -> Decoded<ParamValue> {
        Ok(match tag {
            Tag::Value => ParamValue::Value(Text::from(self.text()?)),
            Tag::ValueArray => ParamValue::Array(self.text_array()?),
            Tag::ValueReference => ParamValue::Reference(self.reference()?),
            Tag::ClassName => ParamValue::ClassName(self.class_name()?),
            Tag::InstanceName | Tag::LocalInstancePath | Tag::InstancePath => {
                ParamValue::InstanceName(self.instance_path(tag)?)
            }
            Tag::Class => ParamValue::Class(self.class()?),
            Tag::Instance => ParamValue::Instance(self.instance()?),
            Tag::ValueNamedInstance => {
                self.expect(Tag::InstanceName)?;
                ParamValue::Instance(self.instance_with_path(Tag::InstanceName)?)
            }
            Tag::QualifierDeclaration => ParamValue::QualifierDecl(self.qualifier_declaration()?),
            _ => return self.fail(Validity::UnexpectedElement),
        })
    }
}
