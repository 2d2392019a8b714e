//! Responses: an intrinsic response object by object, the others at once.

use super::instance::{embedded, instance};
use super::{Origin, Written, attribute, decimal, raw};
use crate::message::{Item, OutParam, Version};
use crate::sink::{Sink, SinkError};
use cim_model::{
    CimError, ClassDecl, ClassName, ClassPath, Instance, InstancePath, ObjectPath, QualifierDecl,
    Value,
};

/// One object for IRETURNVALUE, borrowed; the variants are those of [`Item`].
///
/// Where an element needs a path and the object has none, the path is the class with no keys; hand over
/// objects with their paths.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "the variants are documented at Item")]
pub enum ItemRef<'a> {
    Class(&'a ClassDecl),
    ClassName(&'a ClassName),
    NamedInstance(&'a Instance),
    InstanceName(&'a InstancePath),
    Instance(&'a Instance),
    InstanceObject(&'a Instance),
    ClassObject(&'a ClassDecl),
    ObjectPath(&'a ObjectPath),
    InstanceWithPath(&'a Instance),
    InstancePath(&'a InstancePath),
    QualifierDecl(&'a QualifierDecl),
    Value(&'a Value),
}

impl Item {
    /// The item by reference.
    pub const fn as_ref(&self) -> ItemRef<'_> {
        match self {
            Item::Class(class) => ItemRef::Class(class),
            Item::ClassName(name) => ItemRef::ClassName(name),
            Item::NamedInstance(instance) => ItemRef::NamedInstance(instance),
            Item::InstanceName(path) => ItemRef::InstanceName(path),
            Item::Instance(instance) => ItemRef::Instance(instance),
            Item::InstanceObject(instance) => ItemRef::InstanceObject(instance),
            Item::ClassObject(class) => ItemRef::ClassObject(class),
            Item::ObjectPath(path) => ItemRef::ObjectPath(path),
            Item::InstanceWithPath(instance) => ItemRef::InstanceWithPath(instance),
            Item::InstancePath(path) => ItemRef::InstancePath(path),
            Item::QualifierDecl(decl) => ItemRef::QualifierDecl(decl),
            Item::Value(value) => ItemRef::Value(value),
        }
    }
}

/// Whether an operation returns objects at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returns {
    /// No IRETURNVALUE: ModifyInstance, DeleteInstance, SetQualifier, CloseEnumeration, ...
    Nothing,
    /// An IRETURNVALUE with any number of objects, also none.
    Objects,
}

/// Writes the response to an operation piece by piece; it holds no data, so the sink may be drained between
/// calls and a response of any size needs constant memory.
///
/// ```
/// use cim_xml::{ItemRef, Origin, ResponseWriter, Returns};
/// let mut body = Vec::new();
/// let origin = Origin::new("192.0.2.1:5989", "root/cimv2");
/// let writer = ResponseWriter::begin(&mut body, "1001", "EnumerateClassNames", Returns::Objects, origin)?;
/// writer.item(&mut body, ItemRef::ClassName(&"CIM_System".into()))?;
/// writer.finish(&mut body, &[])?;
/// # Ok::<(), cim_xml::SinkError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ResponseWriter {
    returns: Returns,
    origin: Origin,
}

impl ResponseWriter {
    /// Writes everything before the first object.
    ///
    /// # Errors
    /// Those of the sink, as in all functions here.
    pub fn begin<S: Sink>(
        out: &mut S,
        message_id: &str,
        method: &str,
        returns: Returns,
        origin: Origin,
    ) -> Result<Self, SinkError> {
        envelope(out, message_id, "<SIMPLERSP>")?;
        attribute(out, "<IMETHODRESPONSE NAME=\"", method)?;
        raw(out, ">")?;
        if returns == Returns::Objects {
            raw(out, "<IRETURNVALUE>")?;
        }
        Ok(ResponseWriter { returns, origin })
    }

    /// Writes an object. All objects of a response must be of one kind.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn item<S: Sink>(&self, out: &mut S, item: ItemRef<'_>) -> Written {
        debug_assert_eq!(
            self.returns,
            Returns::Objects,
            "an operation that returns nothing"
        );
        write_item(out, item, &self.origin)
    }

    /// Writes the output parameters (EndOfSequence and the like) and everything after them.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn finish<S: Sink>(self, out: &mut S, params: &[OutParam]) -> Written {
        if self.returns == Returns::Objects {
            raw(out, "</IRETURNVALUE>")?;
        }
        for param in params {
            param_value(out, param.name.as_str(), &param.value)?;
        }
        // With an explicit end tag also when empty: wbemcli cannot read the short form.
        raw(out, "</IMETHODRESPONSE></SIMPLERSP>")?;
        end_envelope(out)
    }
}

/// The XML declaration, CIM and MESSAGE.
pub(super) fn envelope<S: Sink>(out: &mut S, message_id: &str, open: &str) -> Written {
    envelope_with(out, message_id, Version::PROTOCOL, open)
}

/// As [`envelope`] with a given protocol version.
pub(super) fn envelope_with<S: Sink>(
    out: &mut S,
    message_id: &str,
    protocol: Version,
    open: &str,
) -> Written {
    raw(
        out,
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<CIM CIMVERSION=\"",
    )?;
    version(out, Version::CIM)?;
    raw(out, "\" DTDVERSION=\"")?;
    version(out, Version::DTD)?;
    attribute(out, "\"><MESSAGE ID=\"", message_id)?;
    raw(out, " PROTOCOLVERSION=\"")?;
    version(out, protocol)?;
    raw(out, "\">")?;
    raw(out, open)
}

fn version<S: Sink>(out: &mut S, version: Version) -> Written {
    decimal(out, u64::from(version.major))?;
    raw(out, ".")?;
    decimal(out, u64::from(version.minor))
}

pub(super) fn end_envelope<S: Sink>(out: &mut S) -> Written {
    raw(out, "</MESSAGE></CIM>\n")
}

fn write_item<S: Sink>(out: &mut S, item: ItemRef<'_>, origin: &Origin) -> Written {
    use super::path;
    match item {
        ItemRef::Class(class) => super::class::class(out, class),
        ItemRef::ClassName(name) => path::class_name(out, name),
        ItemRef::NamedInstance(item) => {
            raw(out, "<VALUE.NAMEDINSTANCE>")?;
            with_path(item, |path| path::instance_name(out, path))?;
            instance(out, item)?;
            raw(out, "</VALUE.NAMEDINSTANCE>")
        }
        ItemRef::InstanceName(path) => path::instance_name(out, path),
        ItemRef::Instance(item) => instance(out, item),
        ItemRef::InstanceObject(item) => {
            raw(out, "<VALUE.OBJECTWITHPATH>")?;
            with_path(item, |path| path::instance_path(out, path, origin))?;
            instance(out, item)?;
            raw(out, "</VALUE.OBJECTWITHPATH>")
        }
        ItemRef::ClassObject(class) => {
            raw(out, "<VALUE.OBJECTWITHPATH>")?;
            match &class.path {
                Some(path) => path::class_path(out, path, origin)?,
                None => path::class_path(out, &ClassPath::new(class.name.clone()), origin)?,
            }
            super::class::class(out, class)?;
            raw(out, "</VALUE.OBJECTWITHPATH>")
        }
        ItemRef::ObjectPath(path) => {
            raw(out, "<OBJECTPATH>")?;
            match path {
                ObjectPath::Instance(path) => path::instance_path(out, path, origin)?,
                ObjectPath::Class(path) => path::class_path(out, path, origin)?,
            }
            raw(out, "</OBJECTPATH>")
        }
        ItemRef::InstanceWithPath(item) => {
            raw(out, "<VALUE.INSTANCEWITHPATH>")?;
            with_path(item, |path| path::instance_path(out, path, origin))?;
            instance(out, item)?;
            raw(out, "</VALUE.INSTANCEWITHPATH>")
        }
        ItemRef::InstancePath(path) => path::instance_path(out, path, origin),
        ItemRef::QualifierDecl(decl) => super::qualifier::declaration(out, decl),
        ItemRef::Value(value) => super::value::value(out, value),
    }
}

fn with_path(item: &Instance, write: impl FnOnce(&InstancePath) -> Written) -> Written {
    match &item.path {
        Some(path) => write(path),
        None => write(&InstancePath::new(item.class.clone())),
    }
}

/// PARAMVALUE with its type.
pub(super) fn param_value<S: Sink>(out: &mut S, name: &str, value: &Value) -> Written {
    attribute(out, "<PARAMVALUE NAME=\"", name)?;
    typed(out, value)?;
    super::value::value(out, value)?;
    raw(out, "</PARAMVALUE>")
}

/// PARAMTYPE and EmbeddedObject, and the end of the start tag.
fn typed<S: Sink>(out: &mut S, value: &Value) -> Written {
    attribute(out, " PARAMTYPE=\"", value.cim_type().name())?;
    if let Some(kind) = value.embedded_kind() {
        embedded(out, kind)?;
    }
    raw(out, ">")
}

/// Writes the response of an operation that failed.
///
/// # Errors
/// Those of the sink.
pub fn write_error<S: Sink>(
    out: &mut S,
    message_id: &str,
    method: &str,
    error: &CimError,
) -> Written {
    envelope(out, message_id, "<SIMPLERSP>")?;
    attribute(out, "<IMETHODRESPONSE NAME=\"", method)?;
    raw(out, ">")?;
    error_element(out, error)?;
    raw(out, "</IMETHODRESPONSE></SIMPLERSP>")?;
    end_envelope(out)
}

/// ERROR.
fn error_element<S: Sink>(out: &mut S, error: &CimError) -> Written {
    raw(out, "<ERROR CODE=\"")?;
    decimal(out, u64::from(error.status.code()))?;
    attribute(out, "\" DESCRIPTION=\"", &error.description)?;
    raw(out, ">")?;
    for item in &error.instances {
        instance(out, item)?;
    }
    raw(out, "</ERROR>")
}

/// Writes the response of an extrinsic method: its return value (none for a method that returns nothing)
/// and its output parameters, or its error.
///
/// # Errors
/// Those of the sink.
pub fn write_method_response<S: Sink>(
    out: &mut S,
    message_id: &str,
    method: &str,
    outcome: Result<(Option<&Value>, &[OutParam]), &CimError>,
) -> Written {
    envelope(out, message_id, "<SIMPLERSP>")?;
    attribute(out, "<METHODRESPONSE NAME=\"", method)?;
    raw(out, ">")?;
    match outcome {
        Ok((value, params)) => {
            if let Some(value) = value {
                raw(out, "<RETURNVALUE")?;
                typed(out, value)?;
                super::value::value(out, value)?;
                raw(out, "</RETURNVALUE>")?;
            }
            for param in params {
                param_value(out, param.name.as_str(), &param.value)?;
            }
        }
        Err(error) => error_element(out, error)?,
    }
    raw(out, "</METHODRESPONSE></SIMPLERSP>")?;
    end_envelope(out)
}

/// Writes the answer to an export request.
///
/// # Errors
/// Those of the sink.
pub fn write_export_response<S: Sink>(
    out: &mut S,
    message_id: &str,
    method: &str,
    outcome: Result<(), &CimError>,
) -> Written {
    envelope(out, message_id, "<SIMPLEEXPRSP>")?;
    attribute(out, "<EXPMETHODRESPONSE NAME=\"", method)?;
    raw(out, ">")?;
    if let Err(error) = outcome {
        error_element(out, error)?;
    }
    raw(out, "</EXPMETHODRESPONSE></SIMPLEEXPRSP>")?;
    end_envelope(out)
}
