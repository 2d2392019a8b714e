//! The envelope: CIM and MESSAGE, and PARAMVALUE, which requests and responses share.

use super::value::Typing;
use super::{Decoded, Decoder};
use crate::error::{Fault, Validity};
use crate::message::Version;
use crate::tag::Tag;
use cim_model::{CimType, EmbeddedKind, ObjectPath, ParameterName, Text, Value};

/// The attributes of CIM and MESSAGE.
pub(super) struct Envelope {
    pub(super) message_id: Text,
    pub(super) cim: Version,
    pub(super) dtd: Version,
    pub(super) protocol: Version,
}

impl Decoder<'_> {
    /// Reads the start of CIM and MESSAGE and checks the versions.
    pub(super) fn envelope(&mut self) -> Decoded<Envelope> {
        self.expect(Tag::Cim)?;
        let cim = self.version("CIMVERSION", 2, Fault::UnsupportedCimVersion)?;
        let dtd = self.version("DTDVERSION", 2, Fault::UnsupportedDtdVersion)?;
        self.expect(Tag::Message)?;
        let message_id = Text::from(self.required("ID")?);
        let protocol = self.version("PROTOCOLVERSION", 1, Fault::UnsupportedProtocolVersion)?;
        Ok(Envelope {
            message_id,
            cim,
            dtd,
            protocol,
        })
    }

    fn version(&self, name: &'static str, major: u16, unsupported: Fault) -> Decoded<Version> {
        match Version::parse(&self.required(name)?) {
            Some(version) if version.major == major => Ok(version),
            _ => self.fail(unsupported),
        }
    }

    /// Closes MESSAGE and CIM.
    pub(super) fn end_envelope(&mut self) -> Decoded<()> {
        self.end()?;
        self.end()?;
        self.finish()
    }

    /// Skips CORRELATOR elements and returns the first other child.
    pub(super) fn after_correlators(&mut self) -> Decoded<Tag> {
        loop {
            match self.required_child()? {
                Tag::Correlator => self.skip()?,
                other => return Ok(other),
            }
        }
    }

    /// PARAMVALUE: a named value with an optional type.
    pub(super) fn param_value(&mut self) -> Decoded<(ParameterName, Value)> {
        let name = ParameterName::from(self.required("NAME")?);
        let value = self.typed_content()?;
        Ok((name, value))
    }

    /// The content of PARAMVALUE or RETURNVALUE: its type is PARAMTYPE (some clients write TYPE), or else
    /// what the value looks like.
    pub(super) fn typed_content(&mut self) -> Decoded<Value> {
        let declared = self.optional("PARAMTYPE").or_else(|| self.optional("TYPE"));
        let mut embedded = self.embedded()?;
        let ty = match declared.as_deref() {
            None => CimType::String,
            // DSP0201 2.3 allows these two words instead of string and EmbeddedObject.
            Some(word) => match (CimType::from_name(word), EmbeddedKind::from_name(word)) {
                (Some(ty), _) => ty,
                (None, Some(kind)) => {
                    embedded = Some(kind);
                    CimType::String
                }
                _ => return self.fail(Validity::AttributeValue("PARAMTYPE")),
            },
        };
        if ty != CimType::String {
            embedded = None;
        }
        let Some(tag) = self.child()? else {
            return Ok(Value::null(ty));
        };
        let value = match tag {
            Tag::Value | Tag::ValueArray if ty == CimType::Reference => {
                return self.fail(Validity::UnexpectedElement);
            }
            Tag::ClassName | Tag::InstanceName => Value::from(self.any_path(tag)?),
            Tag::Class => Value::from(self.class()?),
            Tag::Instance => Value::from(self.instance()?),
            Tag::ValueNamedInstance => {
                self.expect(Tag::InstanceName)?;
                Value::from(self.instance_with_path(Tag::InstanceName)?)
            }
            Tag::InstancePath | Tag::LocalInstancePath => {
                Value::from(ObjectPath::from(self.instance_path(tag)?))
            }
            _ => self.value(tag, Typing { ty, embedded })?,
        };
        self.end()?;
        Ok(value)
    }
}
