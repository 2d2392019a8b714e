//! Paths in their six forms.

use super::{Origin, Written, attribute, content, decimal, raw};
use crate::sink::Sink;
use cim_model::{
    ClassName, ClassPath, HostName, InstancePath, KeyValue, NamespaceName, ObjectPath,
};

/// LOCALNAMESPACEPATH.
pub(super) fn local_namespace<S: Sink>(out: &mut S, namespace: &NamespaceName) -> Written {
    raw(out, "<LOCALNAMESPACEPATH>")?;
    for component in namespace.components() {
        attribute(out, "<NAMESPACE NAME=\"", component)?;
        raw(out, "/>")?;
    }
    raw(out, "</LOCALNAMESPACEPATH>")
}

fn namespace_path<S: Sink>(out: &mut S, host: &HostName, namespace: &NamespaceName) -> Written {
    raw(out, "<NAMESPACEPATH><HOST>")?;
    content(out, host.as_str())?;
    raw(out, "</HOST>")?;
    local_namespace(out, namespace)?;
    raw(out, "</NAMESPACEPATH>")
}

/// CLASSNAME.
pub(super) fn class_name<S: Sink>(out: &mut S, class: &ClassName) -> Written {
    attribute(out, "<CLASSNAME NAME=\"", class.as_str())?;
    raw(out, "/>")
}

/// CLASSPATH, completed from the origin.
pub(super) fn class_path<S: Sink>(out: &mut S, path: &ClassPath, origin: &Origin) -> Written {
    raw(out, "<CLASSPATH>")?;
    let namespace = path.namespace.as_ref().unwrap_or(&origin.namespace);
    namespace_path(out, path.host.as_ref().unwrap_or(&origin.host), namespace)?;
    class_name(out, &path.class)?;
    raw(out, "</CLASSPATH>")
}

/// LOCALCLASSPATH in a namespace.
pub(super) fn local_class_path<S: Sink>(
    out: &mut S,
    namespace: &NamespaceName,
    class: &ClassName,
) -> Written {
    raw(out, "<LOCALCLASSPATH>")?;
    local_namespace(out, namespace)?;
    class_name(out, class)?;
    raw(out, "</LOCALCLASSPATH>")
}

/// INSTANCENAME.
pub(super) fn instance_name<S: Sink>(out: &mut S, path: &InstancePath) -> Written {
    attribute(out, "<INSTANCENAME CLASSNAME=\"", path.class.as_str())?;
    raw(out, ">")?;
    for key in path.keys() {
        if key.name.as_str().is_empty() {
            key_value(out, &key.value)?;
            continue;
        }
        attribute(out, "<KEYBINDING NAME=\"", key.name.as_str())?;
        raw(out, ">")?;
        key_value(out, &key.value)?;
        raw(out, "</KEYBINDING>")?;
    }
    raw(out, "</INSTANCENAME>")
}

/// INSTANCEPATH, completed from the origin.
pub(super) fn instance_path<S: Sink>(out: &mut S, path: &InstancePath, origin: &Origin) -> Written {
    raw(out, "<INSTANCEPATH>")?;
    let namespace = path.namespace.as_ref().unwrap_or(&origin.namespace);
    namespace_path(out, path.host.as_ref().unwrap_or(&origin.host), namespace)?;
    instance_name(out, path)?;
    raw(out, "</INSTANCEPATH>")
}

/// LOCALINSTANCEPATH in a namespace.
pub(super) fn local_instance_path<S: Sink>(
    out: &mut S,
    namespace: &NamespaceName,
    path: &InstancePath,
) -> Written {
    raw(out, "<LOCALINSTANCEPATH>")?;
    local_namespace(out, namespace)?;
    instance_name(out, path)?;
    raw(out, "</LOCALINSTANCEPATH>")
}

/// VALUE.REFERENCE, with as much of the path as it has.
pub(super) fn reference<S: Sink>(out: &mut S, path: &ObjectPath) -> Written {
    raw(out, "<VALUE.REFERENCE>")?;
    match path {
        ObjectPath::Instance(path) => match (&path.host, &path.namespace) {
            (Some(host), Some(namespace)) => {
                raw(out, "<INSTANCEPATH>")?;
                namespace_path(out, host, namespace)?;
                instance_name(out, path)?;
                raw(out, "</INSTANCEPATH>")?;
            }
            (None, Some(namespace)) => local_instance_path(out, namespace, path)?,
            (_, None) => instance_name(out, path)?,
        },
        ObjectPath::Class(path) => match (&path.host, &path.namespace) {
            (Some(host), Some(namespace)) => {
                raw(out, "<CLASSPATH>")?;
                namespace_path(out, host, namespace)?;
                class_name(out, &path.class)?;
                raw(out, "</CLASSPATH>")?;
            }
            (None, Some(namespace)) => local_class_path(out, namespace, &path.class)?,
            (_, None) => class_name(out, &path.class)?,
        },
    }
    raw(out, "</VALUE.REFERENCE>")
}

/// KEYVALUE with both VALUETYPE and TYPE, or VALUE.REFERENCE.
fn key_value<S: Sink>(out: &mut S, value: &KeyValue) -> Written {
    let kind = match value {
        KeyValue::Reference(path) => return reference(out, path),
        KeyValue::Boolean(_) => "boolean",
        KeyValue::Integer { .. } | KeyValue::Real { .. } => "numeric",
        KeyValue::Char16(_) | KeyValue::String(_) | KeyValue::DateTime(_) => "string",
    };
    raw(out, "<KEYVALUE VALUETYPE=\"")?;
    raw(out, kind)?;
    if let Some(ty) = value.cim_type() {
        raw(out, "\" TYPE=\"")?;
        raw(out, ty.name())?;
    }
    raw(out, "\">")?;
    match value {
        KeyValue::String(text) => content(out, text)?,
        KeyValue::Integer { value, .. } if let Ok(small) = u64::try_from(*value) => {
            decimal(out, small)?;
        }
        other => content(out, &alloc::format!("{other}"))?,
    }
    raw(out, "</KEYVALUE>")
}
