//! The CIM headers of an HTTP request against its body (DSP0200 6.3, 7.3, 7.4).
//!
//! Called by the server twice: [`CimHeaders::check_head`] when the head has come, so that a hopeless request
//! is answered before its body is read, and [`CimHeaders::check_body`] when the body has been decoded. Both are
//! pure functions; the refusals are those that OpenPegasus gives, because clients know them.

use crate::error::{CimErrorHeader, Fault, XmlError};
use crate::message::{Call, Request, Version};
use crate::percent::{percent_decode, percent_encode};
use alloc::borrow::Cow;
use cim_model::{InstancePath, KeyValue, NamespaceName, ObjectPath, UriFormat, same_name};
use core::fmt;

/// The CIM headers of a request, as sent (M-POST prefixes removed, repeated ones joined with commas).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CimHeaders<'a> {
    /// Content-Type.
    pub content_type: Option<Cow<'a, str>>,
    /// CIMOperation.
    pub operation: Option<Cow<'a, str>>,
    /// CIMMethod.
    pub method: Option<Cow<'a, str>>,
    /// CIMObject.
    pub object: Option<Cow<'a, str>>,
    /// CIMBatch or CIMExportBatch.
    pub batch: Option<Cow<'a, str>>,
    /// CIMProtocolVersion.
    pub protocol_version: Option<Cow<'a, str>>,
    /// CIMExport.
    pub export: Option<Cow<'a, str>>,
    /// CIMExportMethod.
    pub export_method: Option<Cow<'a, str>>,
}

/// What a request carries, by its headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// An operation or method call: CIMOperation.
    Operation,
    /// An export: CIMExport.
    Export,
}

/// Why a request is answered by HTTP alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status code.
    pub status: u16,
    /// The CIMError header to add.
    pub cim_error: Option<CimErrorHeader>,
    /// The cause, for the log and for a body that people may read.
    pub reason: &'static str,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.reason, self.status)
    }
}

impl core::error::Error for Refusal {}

impl Refusal {
    const fn plain(reason: &'static str) -> Self {
        Refusal {
            status: 400,
            cim_error: None,
            reason,
        }
    }

    const fn cim(header: CimErrorHeader, reason: &'static str) -> Self {
        Refusal {
            status: header.http_status(),
            cim_error: Some(header),
            reason,
        }
    }

    const fn mismatch(reason: &'static str) -> Self {
        Self::cim(CimErrorHeader::HeaderMismatch, reason)
    }
}

impl<'a> CimHeaders<'a> {
    /// Collects the headers through a look-up by name.
    pub fn collect(mut get: impl FnMut(&str) -> Option<Cow<'a, str>>) -> Self {
        CimHeaders {
            content_type: get("Content-Type"),
            operation: get("CIMOperation"),
            method: get("CIMMethod"),
            object: get("CIMObject"),
            batch: get("CIMBatch").or_else(|| get("CIMExportBatch")),
            protocol_version: get("CIMProtocolVersion"),
            export: get("CIMExport"),
            export_method: get("CIMExportMethod"),
        }
    }

    /// The headers that a client sends with a request, CIMMethod and CIMObject percent-encoded.
    pub fn for_request(request: &Request) -> CimHeaders<'static> {
        let version = request.protocol_version;
        let mut headers = CimHeaders {
            content_type: Some(Cow::Borrowed("application/xml; charset=\"utf-8\"")),
            protocol_version: Some(Cow::Owned(alloc::format!("{version}"))),
            ..CimHeaders::default()
        };
        let method = percent_encode(request.call.method().as_str());
        let object = match &request.call {
            Call::Intrinsic { namespace, .. } => percent_encode(namespace.as_str()),
            Call::Extrinsic { target, .. } => percent_encode(&target.to_uri(UriFormat::CimObject)),
            Call::Export { .. } => {
                headers.export = Some(Cow::Borrowed("MethodRequest"));
                headers.export_method = Some(Cow::Owned(method));
                return headers;
            }
        };
        headers.operation = Some(Cow::Borrowed("MethodCall"));
        headers.method = Some(Cow::Owned(method));
        headers.object = Some(Cow::Owned(object));
        headers
    }

    /// The headers that are there, with their names.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("Content-Type", &self.content_type),
            ("CIMOperation", &self.operation),
            ("CIMMethod", &self.method),
            ("CIMObject", &self.object),
            ("CIMBatch", &self.batch),
            ("CIMProtocolVersion", &self.protocol_version),
            ("CIMExport", &self.export),
            ("CIMExportMethod", &self.export_method),
        ]
        .into_iter()
        .filter_map(|(name, value)| value.as_deref().map(|value| (name, value)))
    }

    /// Checks what can be checked before the body is there.
    ///
    /// # Errors
    /// The refusal to answer with.
    pub fn check_head(&self) -> Result<MessageKind, Refusal> {
        match &self.content_type {
            None => return Err(Refusal::plain("the Content-Type header is missing")),
            Some(content_type) if !is_xml(content_type) => {
                return Err(Refusal::plain(
                    "Content-Type must be application/xml or text/xml in utf-8",
                ));
            }
            Some(_) => {}
        }
        let kind = match (&self.operation, &self.export) {
            (Some(operation), None) if operation.eq_ignore_ascii_case("MethodCall") => {
                MessageKind::Operation
            }
            (None, Some(export)) if export.eq_ignore_ascii_case("MethodRequest") => {
                MessageKind::Export
            }
            (None, None) => {
                return Err(Refusal::plain(
                    "neither CIMOperation nor CIMExport: not a CIM message",
                ));
            }
            _ => {
                return Err(Refusal::cim(
                    CimErrorHeader::UnsupportedOperation,
                    "CIMOperation must be MethodCall, or CIMExport MethodRequest",
                ));
            }
        };
        if let Some(version) = &self.protocol_version {
            match Version::parse(version) {
                Some(Version { major: 1, .. }) => {}
                _ => {
                    return Err(Refusal::cim(
                        CimErrorHeader::UnsupportedProtocolVersion,
                        "CIMProtocolVersion must be 1.x",
                    ));
                }
            }
        }
        Ok(kind)
    }

    /// Checks the headers against the decoded body.
    ///
    /// # Errors
    /// The refusal to answer with.
    pub fn check_body(&self, request: &Request) -> Result<(), Refusal> {
        let declared = match &self.protocol_version {
            Some(version) => Version::parse(version),
            // A missing header means the first version (DSP0200 CIMProtocolVersion).
            None => Some(Version { major: 1, minor: 0 }),
        };
        if declared != Some(request.protocol_version) {
            return Err(Refusal::mismatch(
                "CIMProtocolVersion is not the PROTOCOLVERSION of the message",
            ));
        }
        if self.batch.is_some() {
            return Err(Refusal::cim(
                CimErrorHeader::MultipleRequestsUnsupported,
                "batches are not supported",
            ));
        }
        match &request.call {
            Call::Intrinsic {
                method, namespace, ..
            } => {
                self.is_operation()?;
                check_name(self.method.as_deref(), method.as_str(), "CIMMethod")?;
                self.check_object(|object| NamespaceName::copy(object) == *namespace)
            }
            Call::Extrinsic { method, target, .. } => {
                self.is_operation()?;
                check_name(self.method.as_deref(), method.as_str(), "CIMMethod")?;
                self.check_object(|object| {
                    object
                        .parse()
                        .is_ok_and(|path: ObjectPath| same_target(&path, target))
                })
            }
            Call::Export { method, .. } => {
                if self.export.is_none() {
                    return Err(Refusal::mismatch("an export needs the CIMExport header"));
                }
                check_name(
                    self.export_method.as_deref(),
                    method.as_str(),
                    "CIMExportMethod",
                )
            }
        }
    }

    /// The refusal for a body that could not be decoded. A batch without the CIMBatch header is a mismatch
    /// first, and only with it an unsupported request.
    pub fn refuse_body(&self, error: &XmlError) -> Refusal {
        if error.fault == Fault::MultipleRequests && self.batch.is_none() {
            return Refusal::mismatch("a batch of requests needs the CIMBatch header");
        }
        Refusal::cim(
            error.cim_error(),
            match error.fault {
                Fault::NotWellFormed(_) => "the message is not well-formed XML",
                Fault::NotValid(_) => "the message is not valid CIM-XML",
                Fault::Limit(_) => "the message exceeds a limit of the decoder",
                Fault::UnsupportedCimVersion => "CIMVERSION must be 2.x",
                Fault::UnsupportedDtdVersion => "DTDVERSION must be 2.x",
                Fault::UnsupportedProtocolVersion => "PROTOCOLVERSION must be 1.x",
                Fault::MultipleRequests => "batches are not supported",
            },
        )
    }

    fn is_operation(&self) -> Result<(), Refusal> {
        match self.operation {
            Some(_) => Ok(()),
            None => Err(Refusal::mismatch(
                "an operation needs the CIMOperation header",
            )),
        }
    }

    /// Compares CIMObject, which pywbem sends as it is and wbemcli percent-encoded.
    fn check_object(&self, matches: impl Fn(&str) -> bool) -> Result<(), Refusal> {
        let Some(sent) = self.object.as_deref() else {
            return Err(Refusal::mismatch("the CIMObject header is missing"));
        };
        // The raw text first: an unescaped key value may hold a percent sign.
        if matches(sent) {
            return Ok(());
        }
        match percent_decode(sent) {
            None => Err(Refusal::mismatch(
                "the CIMObject header has a broken escape",
            )),
            Some(decoded) if matches(&decoded) => Ok(()),
            Some(_) => Err(Refusal::mismatch(
                "CIMObject is not the object of the message",
            )),
        }
    }
}

fn check_name(sent: Option<&str>, wanted: &str, header: &'static str) -> Result<(), Refusal> {
    let is_export = header == "CIMExportMethod";
    let Some(sent) = sent else {
        return Err(Refusal::mismatch(if is_export {
            "the CIMExportMethod header is missing"
        } else {
            "the CIMMethod header is missing"
        }));
    };
    if percent_decode(sent).is_some_and(|name| same_name(&name, wanted)) {
        return Ok(());
    }
    Err(Refusal::mismatch(if is_export {
        "CIMExportMethod is not the NAME of the message"
    } else {
        "CIMMethod is not the NAME of the message"
    }))
}

/// application/xml or text/xml, with no charset or with utf-8, quoted or not.
fn is_xml(content_type: &str) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default();
    let is_xml = ["application/xml", "text/xml"]
        .iter()
        .any(|xml| media.eq_ignore_ascii_case(xml));
    is_xml
        && parts.all(|parameter| match parameter.split_once('=') {
            Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
                let value = value.trim().trim_matches('"');
                value.eq_ignore_ascii_case("utf-8") || value.eq_ignore_ascii_case("us-ascii")
            }
            _ => true,
        })
}

/// Whether a path from a header names the target of the body. The header has no types and no structure for
/// references, so keys compare by their text there.
fn same_target(header: &ObjectPath, body: &ObjectPath) -> bool {
    if header.namespace() != body.namespace() || header.class() != body.class() {
        return false;
    }
    match (header, body) {
        (ObjectPath::Class(_), ObjectPath::Class(_)) => true,
        (ObjectPath::Instance(header), ObjectPath::Instance(body)) => same_keys(header, body),
        // A singleton has no keys to write in the header.
        (ObjectPath::Class(_), ObjectPath::Instance(body)) => body.keys().is_empty(),
        (ObjectPath::Instance(_), ObjectPath::Class(_)) => false,
    }
}

fn same_keys(header: &InstancePath, body: &InstancePath) -> bool {
    header.keys().len() == body.keys().len()
        && header
            .keys()
            .iter()
            .zip(body.keys())
            .all(|(header, body)| header.name == body.name && same_key(&header.value, &body.value))
}

fn same_key(header: &KeyValue, body: &KeyValue) -> bool {
    match (header, body) {
        _ if header == body => true,
        (KeyValue::String(text), KeyValue::Reference(path)) => {
            // The nested path may or may not repeat the namespace; its class and keys decide.
            text.parse().is_ok_and(|text: ObjectPath| {
                let mut path = path.as_ref().clone();
                path.set_namespace(text.namespace().cloned());
                same_target(&text, &path)
            })
        }
        (_, KeyValue::Reference(_)) => false,
        _ => alloc::format!("{header}").eq_ignore_ascii_case(&alloc::format!("{body}")),
    }
}

#[cfg(test)]
mod tests;
