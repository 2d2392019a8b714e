//! Paths: NAMESPACEPATH, CLASSPATH, INSTANCEPATH, INSTANCENAME and their local forms.

use super::{Decoded, Decoder};
use crate::error::Validity;
use crate::tag::Tag;
use alloc::boxed::Box;
use alloc::string::String;
use cim_model::{
    CimType, ClassName, ClassPath, HostName, InstancePath, KeyValue, NamespaceName, ObjectPath,
    PropertyName, Text,
};

impl Decoder<'_> {
    /// The content of VALUE.REFERENCE, up to its end tag.
    pub(super) fn reference(&mut self) -> Decoded<ObjectPath> {
        self.enter()?;
        let tag = self.required_child()?;
        let path = self.any_path(tag)?;
        self.end()?;
        self.leave();
        Ok(path)
    }

    /// A path element of any of the six forms, whose start tag was just read.
    pub(super) fn any_path(&mut self, tag: Tag) -> Decoded<ObjectPath> {
        Ok(match tag {
            Tag::InstanceName | Tag::LocalInstancePath | Tag::InstancePath => {
                ObjectPath::Instance(self.instance_path(tag)?)
            }
            Tag::ClassName | Tag::LocalClassPath | Tag::ClassPath => {
                ObjectPath::Class(self.class_path(tag)?)
            }
            _ => return self.fail(Validity::UnexpectedElement),
        })
    }

    /// INSTANCENAME, LOCALINSTANCEPATH or INSTANCEPATH.
    pub(super) fn instance_path(&mut self, tag: Tag) -> Decoded<InstancePath> {
        if tag == Tag::InstanceName {
            return self.instance_name();
        }
        let (host, namespace) = self.place(tag == Tag::InstancePath)?;
        self.expect(Tag::InstanceName)?;
        let mut path = self.instance_name()?;
        self.end()?;
        path.host = host;
        path.namespace = Some(namespace);
        Ok(path)
    }

    /// CLASSNAME, LOCALCLASSPATH or CLASSPATH.
    pub(super) fn class_path(&mut self, tag: Tag) -> Decoded<ClassPath> {
        if tag == Tag::ClassName {
            return Ok(ClassPath::new(self.class_name()?));
        }
        let (host, namespace) = self.place(tag == Tag::ClassPath)?;
        self.expect(Tag::ClassName)?;
        let class = self.class_name()?;
        self.end()?;
        Ok(ClassPath {
            host,
            namespace: Some(namespace),
            class,
        })
    }

    /// CLASSNAME.
    pub(super) fn class_name(&mut self) -> Decoded<ClassName> {
        let name = self.required("NAME")?.into();
        self.end()?;
        Ok(name)
    }

    /// NAMESPACEPATH for a full path, LOCALNAMESPACEPATH for a local one.
    fn place(&mut self, full: bool) -> Decoded<(Option<HostName>, NamespaceName)> {
        if !full {
            self.expect(Tag::LocalNamespacePath)?;
            return Ok((None, self.local_namespace()?));
        }
        self.expect(Tag::NamespacePath)?;
        self.expect(Tag::Host)?;
        let host = HostName::from(self.text()?);
        self.expect(Tag::LocalNamespacePath)?;
        let namespace = self.local_namespace()?;
        self.end()?;
        Ok((Some(host), namespace))
    }

    /// The content of LOCALNAMESPACEPATH.
    pub(super) fn local_namespace(&mut self) -> Decoded<NamespaceName> {
        let mut path = String::new();
        while let Some(tag) = self.child()? {
            if tag != Tag::Namespace {
                return self.fail(Validity::UnexpectedElement);
            }
            let name = self.required("NAME")?;
            self.end()?;
            if !path.is_empty() {
                path.push('/');
            }
            path.push_str(&name);
        }
        let namespace = NamespaceName::from(path);
        if namespace.components().next().is_none() {
            return self.fail(Validity::MissingElement);
        }
        Ok(namespace)
    }

    /// The content of INSTANCENAME: key bindings, one unnamed key, or nothing.
    fn instance_name(&mut self) -> Decoded<InstancePath> {
        let mut path = InstancePath::new(ClassName::from(self.required("CLASSNAME")?));
        while let Some(tag) = self.child()? {
            let (name, value) = match tag {
                Tag::KeyBinding => {
                    let name = PropertyName::from(self.required("NAME")?);
                    let tag = self.required_child()?;
                    let value = self.key(tag)?;
                    self.end()?;
                    (name, value)
                }
                _ if path.keys().is_empty() => (PropertyName::default(), self.key(tag)?),
                _ => return self.fail(Validity::UnexpectedElement),
            };
            let repeated = path.set_key(name, value).is_some();
            self.new_member(repeated, path.keys().len())?;
        }
        Ok(path)
    }

    /// KEYVALUE or VALUE.REFERENCE.
    fn key(&mut self, tag: Tag) -> Decoded<KeyValue> {
        match tag {
            Tag::KeyValue => self.key_value(),
            Tag::ValueReference => Ok(KeyValue::Reference(Box::new(self.reference()?))),
            _ => self.fail(Validity::UnexpectedElement),
        }
    }

    /// KEYVALUE: TYPE (2.4) decides, else VALUETYPE, which defaults to string.
    fn key_value(&mut self) -> Decoded<KeyValue> {
        let declared = match self.optional("TYPE") {
            Some(name) => match CimType::from_name(&name) {
                Some(ty) => Some(ty),
                None => return self.fail(Validity::AttributeValue("TYPE")),
            },
            None => None,
        };
        let kind = self.optional("VALUETYPE");
        let kind = kind.as_deref().unwrap_or("string");
        let offset = self.reader.offset();
        let kind = match kind {
            _ if kind.eq_ignore_ascii_case("string") => KeyKind::String,
            _ if kind.eq_ignore_ascii_case("boolean") => KeyKind::Boolean,
            _ if kind.eq_ignore_ascii_case("numeric") => KeyKind::Numeric,
            _ => return self.fail(Validity::AttributeValue("VALUETYPE")),
        };
        let text = self.text()?;
        let value = match (declared, kind) {
            (Some(CimType::String), _) | (None, KeyKind::String) => {
                Ok(KeyValue::String(Text::from(text)))
            }
            (Some(ty), _) => KeyValue::parse_typed(ty, &text),
            (None, KeyKind::Boolean) => KeyValue::parse_typed(CimType::Boolean, &text),
            (None, KeyKind::Numeric) => KeyValue::parse_number(&text),
        };
        value.map_err(|_| crate::XmlError {
            fault: Validity::Literal.into(),
            offset,
        })
    }
}

/// VALUETYPE.
#[derive(Clone, Copy)]
enum KeyKind {
    String,
    Boolean,
    Numeric,
}
