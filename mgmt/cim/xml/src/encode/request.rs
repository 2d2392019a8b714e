//! Requests: indication export, and what a client of the server sends in tests.

use super::response::{end_envelope, envelope, envelope_with, param_value};
use super::{Written, attribute, content, path, raw};
use crate::message::{Call, ParamValue, Request};
use crate::sink::Sink;
use cim_model::{Instance, NamespaceName, ObjectPath};

/// Writes the export of one indication (DSP0200 ExportIndication).
///
/// # Errors
/// Those of the sink.
pub fn write_indication<S: Sink>(out: &mut S, message_id: &str, indication: &Instance) -> Written {
    envelope(
        out,
        message_id,
        "<SIMPLEEXPREQ><EXPMETHODCALL NAME=\"ExportIndication\">",
    )?;
    raw(out, "<EXPPARAMVALUE NAME=\"NewIndication\">")?;
    super::instance::instance(out, indication)?;
    raw(out, "</EXPPARAMVALUE></EXPMETHODCALL></SIMPLEEXPREQ>")?;
    end_envelope(out)
}

/// Writes a request, with our CIM and DTD versions and the protocol version that it carries.
///
/// # Errors
/// Those of the sink.
pub fn write_request<S: Sink>(out: &mut S, request: &Request) -> Written {
    let version = request.protocol_version;
    match &request.call {
        Call::Intrinsic {
            method,
            namespace,
            params,
        } => {
            envelope_with(out, &request.message_id, version, "<SIMPLEREQ>")?;
            attribute(out, "<IMETHODCALL NAME=\"", method.as_str())?;
            raw(out, ">")?;
            path::local_namespace(out, namespace)?;
            for (name, value) in params {
                attribute(out, "<IPARAMVALUE NAME=\"", name.as_str())?;
                raw(out, ">")?;
                param_content(out, value)?;
                raw(out, "</IPARAMVALUE>")?;
            }
            raw(out, "</IMETHODCALL></SIMPLEREQ>")?;
        }
        Call::Extrinsic {
            method,
            target,
            params,
        } => {
            envelope_with(out, &request.message_id, version, "<SIMPLEREQ>")?;
            attribute(out, "<METHODCALL NAME=\"", method.as_str())?;
            raw(out, ">")?;
            let nowhere = NamespaceName::default();
            let namespace = target.namespace().unwrap_or(&nowhere);
            match target {
                ObjectPath::Instance(target) => {
                    path::local_instance_path(out, namespace, target)?;
                }
                ObjectPath::Class(target) => path::local_class_path(out, namespace, &target.class)?,
            }
            for (name, value) in params {
                param_value(out, name.as_str(), value)?;
            }
            raw(out, "</METHODCALL></SIMPLEREQ>")?;
        }
        Call::Export { method, params } => {
            envelope_with(out, &request.message_id, version, "<SIMPLEEXPREQ>")?;
            attribute(out, "<EXPMETHODCALL NAME=\"", method.as_str())?;
            raw(out, ">")?;
            for (name, value) in params {
                attribute(out, "<EXPPARAMVALUE NAME=\"", name.as_str())?;
                raw(out, ">")?;
                param_content(out, value)?;
                raw(out, "</EXPPARAMVALUE>")?;
            }
            raw(out, "</EXPMETHODCALL></SIMPLEEXPREQ>")?;
        }
    }
    end_envelope(out)
}

fn param_content<S: Sink>(out: &mut S, value: &ParamValue) -> Written {
    let text = |out: &mut S, text: &str| {
        raw(out, "<VALUE>")?;
        content(out, text)?;
        raw(out, "</VALUE>")
    };
    match value {
        ParamValue::Null => Ok(()),
        ParamValue::Value(value) => text(out, value),
        ParamValue::Array(items) => {
            raw(out, "<VALUE.ARRAY>")?;
            for item in items {
                match item {
                    Some(item) => text(out, item)?,
                    None => raw(out, "<VALUE.NULL/>")?,
                }
            }
            raw(out, "</VALUE.ARRAY>")
        }
        ParamValue::Reference(path) => path::reference(out, path),
        ParamValue::ClassName(class) => path::class_name(out, class),
        ParamValue::InstanceName(path) => path::instance_name(out, path),
        ParamValue::Class(class) => super::class::class(out, class),
        ParamValue::Instance(instance) => match &instance.path {
            Some(path) => {
                raw(out, "<VALUE.NAMEDINSTANCE>")?;
                path::instance_name(out, path)?;
                super::instance::instance(out, instance)?;
                raw(out, "</VALUE.NAMEDINSTANCE>")
            }
            None => super::instance::instance(out, instance),
        },
        ParamValue::QualifierDecl(decl) => super::qualifier::declaration(out, decl),
    }
}
