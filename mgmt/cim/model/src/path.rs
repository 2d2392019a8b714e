//! Paths: names of instances and classes, from bare to fully qualified.

use crate::{
    CimType, ClassName, HostName, KeyBinding, KeyError, KeyValue, NamespaceName, PropertyName,
    UriFormat,
};
use alloc::vec::Vec;
use core::fmt;

/// The path of an instance. Equality, order and hash cover host, namespace, class and keys; use
/// [`InstancePath::same_object`] where the host does not matter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstancePath {
    /// The server, if the path names one.
    pub host: Option<HostName>,
    /// The namespace, if the path names one.
    pub namespace: Option<NamespaceName>,
    /// The (creation) class.
    pub class: ClassName,
    keys: Vec<KeyBinding>,
}

/// The path of a class.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClassPath {
    /// The server, if the path names one.
    pub host: Option<HostName>,
    /// The namespace, if the path names one.
    pub namespace: Option<NamespaceName>,
    /// The class.
    pub class: ClassName,
}

/// The path of an instance or of a class.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectPath {
    /// An instance.
    Instance(InstancePath),
    /// A class.
    Class(ClassPath),
}

impl InstancePath {
    /// A path without host, namespace and keys.
    pub fn new(class: impl Into<ClassName>) -> Self {
        InstancePath {
            host: None,
            namespace: None,
            class: class.into(),
            keys: Vec::new(),
        }
    }

    /// The same path in a namespace.
    #[must_use]
    pub fn with_namespace(mut self, namespace: impl Into<NamespaceName>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// The same path on a host.
    #[must_use]
    pub fn with_host(mut self, host: impl Into<HostName>) -> Self {
        self.host = Some(host.into());
        self
    }

    /// The same path with a key added or replaced.
    #[must_use]
    pub fn with_key(mut self, name: impl Into<PropertyName>, value: impl Into<KeyValue>) -> Self {
        self.set_key(name, value);
        self
    }

    /// Adds or replaces a key and returns the value it replaced.
    pub fn set_key(
        &mut self,
        name: impl Into<PropertyName>,
        value: impl Into<KeyValue>,
    ) -> Option<KeyValue> {
        let (name, value) = (name.into(), value.into());
        match self.keys.binary_search_by(|key| key.name.cmp(&name)) {
            Ok(index) => self
                .keys
                .get_mut(index)
                .map(|key| core::mem::replace(&mut key.value, value)),
            Err(index) => {
                self.keys.insert(index, KeyBinding { name, value });
                None
            }
        }
    }

    /// The value of a key.
    pub fn key(&self, name: &str) -> Option<&KeyValue> {
        self.keys
            .iter()
            .find(|key| key.name == *name)
            .map(|key| &key.value)
    }

    /// All keys, sorted by name without regard to case.
    pub fn keys(&self) -> &[KeyBinding] {
        &self.keys
    }

    /// Whether both name the same object, whatever host they name.
    pub fn same_object(&self, other: &Self) -> bool {
        self.namespace == other.namespace && self.class == other.class && self.keys == other.keys
    }

    /// The same path without host and namespace.
    #[must_use]
    pub fn to_local(&self) -> Self {
        InstancePath {
            host: None,
            namespace: None,
            class: self.class.clone(),
            keys: self.keys.clone(),
        }
    }

    /// The path of the class.
    pub fn class_path(&self) -> ClassPath {
        ClassPath {
            host: self.host.clone(),
            namespace: self.namespace.clone(),
            class: self.class.clone(),
        }
    }

    /// Brings the keys to the types, names and spelling of the class, so that paths of the same instance
    /// compare equal: numbers written as strings become numbers, WBEM URIs become references, and the single
    /// unnamed key gets its name. Keys inside reference keys are left alone; their class is another one.
    ///
    /// # Errors
    /// [`KeyError`] for an unknown, missing or ill-typed key; the path is unchanged then.
    pub fn normalize(&mut self, schema: &[(PropertyName, CimType)]) -> Result<(), KeyError> {
        let mut keys = Vec::with_capacity(schema.len());
        let unnamed = match (self.keys.as_slice(), schema) {
            ([only], [_]) if only.name.as_str().is_empty() => Some(&only.value),
            _ => None,
        };
        for (name, ty) in schema {
            let value = unnamed
                .or_else(|| self.key(name.as_str()))
                .ok_or_else(|| KeyError::Missing(name.clone()))?;
            let scalar = value.to_scalar(name, *ty)?;
            let value = KeyValue::try_from(scalar).map_err(|_| KeyError::Unknown(name.clone()))?;
            keys.push(KeyBinding {
                name: name.clone(),
                value,
            });
        }
        if unnamed.is_none() {
            let known = |key: &&KeyBinding| schema.iter().any(|(name, _)| *name == key.name);
            if let Some(stranger) = self.keys.iter().find(|key| !known(key)) {
                return Err(KeyError::Unknown(stranger.name.clone()));
            }
        }
        keys.sort_by(|a, b| a.name.cmp(&b.name));
        keys.dedup_by(|a, b| a.name == b.name);
        self.keys = keys;
        Ok(())
    }
}

impl ClassPath {
    /// A path without host and namespace.
    pub fn new(class: impl Into<ClassName>) -> Self {
        ClassPath {
            host: None,
            namespace: None,
            class: class.into(),
        }
    }

    /// The same path in a namespace.
    #[must_use]
    pub fn with_namespace(mut self, namespace: impl Into<NamespaceName>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// The same path on a host.
    #[must_use]
    pub fn with_host(mut self, host: impl Into<HostName>) -> Self {
        self.host = Some(host.into());
        self
    }
}

impl ObjectPath {
    /// The class that the path names.
    pub fn class(&self) -> &ClassName {
        match self {
            ObjectPath::Instance(path) => &path.class,
            ObjectPath::Class(path) => &path.class,
        }
    }

    /// The namespace, if the path names one.
    pub fn namespace(&self) -> Option<&NamespaceName> {
        match self {
            ObjectPath::Instance(path) => path.namespace.as_ref(),
            ObjectPath::Class(path) => path.namespace.as_ref(),
        }
    }

    /// Sets or clears the namespace.
    pub fn set_namespace(&mut self, namespace: Option<NamespaceName>) {
        match self {
            ObjectPath::Instance(path) => path.namespace = namespace,
            ObjectPath::Class(path) => path.namespace = namespace,
        }
    }

    /// The host, if the path names one.
    pub fn host(&self) -> Option<&HostName> {
        match self {
            ObjectPath::Instance(path) => path.host.as_ref(),
            ObjectPath::Class(path) => path.host.as_ref(),
        }
    }

    /// Sets or clears the host.
    pub fn set_host(&mut self, host: Option<HostName>) {
        match self {
            ObjectPath::Instance(path) => path.host = host,
            ObjectPath::Class(path) => path.host = host,
        }
    }

    /// The instance path, if it is one.
    pub const fn as_instance(&self) -> Option<&InstancePath> {
        match self {
            ObjectPath::Instance(path) => Some(path),
            ObjectPath::Class(_) => None,
        }
    }

    /// The class path, if it is one.
    pub const fn as_class(&self) -> Option<&ClassPath> {
        match self {
            ObjectPath::Class(path) => Some(path),
            ObjectPath::Instance(_) => None,
        }
    }
}

impl From<InstancePath> for ObjectPath {
    fn from(path: InstancePath) -> Self {
        ObjectPath::Instance(path)
    }
}

impl From<ClassPath> for ObjectPath {
    fn from(path: ClassPath) -> Self {
        ObjectPath::Class(path)
    }
}

/// The historical form of the WBEM URI, the one people write: `root/cimv2:Class.Key="value"`.
impl fmt::Display for InstancePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_uri(UriFormat::Historical, f)
    }
}

/// The historical form of the WBEM URI: `root/cimv2:Class`.
impl fmt::Display for ClassPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_uri(UriFormat::Historical, f)
    }
}

/// The historical form of the WBEM URI.
impl fmt::Display for ObjectPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ObjectPath::Instance(path) => path.fmt(f),
            ObjectPath::Class(path) => path.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_sorted_and_case_insensitive() {
        let a = InstancePath::new("C")
            .with_key("b", 1u8)
            .with_key("A", "x")
            .with_key("B", 2u8);
        let b = InstancePath::new("c")
            .with_key("a", "x")
            .with_key("b", 2u64);
        assert_eq!(a, b);
        assert_eq!(a.keys().len(), 2);
        assert_eq!(a.keys()[0].name.as_str(), "A");
        assert_ne!(a, b.clone().with_key("a", "X"));
        assert!(a.same_object(&b.with_host("h")));
    }

    #[test]
    fn keys_written_in_another_type_are_the_same_after_normalizing() {
        let schema = [
            (PropertyName::from("Id"), CimType::Uint32),
            (PropertyName::from("Flag"), CimType::Boolean),
            (PropertyName::from("Name"), CimType::String),
            (PropertyName::from("When"), CimType::DateTime),
            (PropertyName::from("Peer"), CimType::Reference),
        ];
        let peer = InstancePath::new("P")
            .with_namespace("n")
            .with_key("k", "v");
        let mut typed = InstancePath::new("C")
            .with_key("Id", 7u32)
            .with_key("Flag", true)
            .with_key("Name", "5")
            .with_key(
                "When",
                "20240101000000.000000+000"
                    .parse::<crate::DateTime>()
                    .unwrap(),
            )
            .with_key("Peer", peer.clone());
        let mut loose = InstancePath::new("C")
            .with_key("id", "7")
            .with_key("flag", "true")
            .with_key("name", KeyValue::Integer { value: 5, ty: None })
            .with_key("when", "20240101010000.000000+060")
            .with_key("peer", peer.to_string());
        assert_ne!(typed, loose);
        typed.normalize(&schema).unwrap();
        loose.normalize(&schema).unwrap();
        assert_eq!(typed, loose);
    }

    #[test]
    fn normalizing_names_the_wrong_key_and_changes_nothing() {
        let schema = [(PropertyName::from("Id"), CimType::Uint8)];
        let mut path = InstancePath::new("C").with_key("Id", "300");
        assert!(
            matches!(path.normalize(&schema), Err(KeyError::Value(name, CimType::Uint8, _)) if name == "id")
        );
        assert_eq!(path.key("id"), Some(&KeyValue::from("300")));
        let mut path = InstancePath::new("C").with_key("Other", 1u8);
        assert_eq!(path.normalize(&schema), Err(KeyError::Missing("Id".into())));
        let mut path = InstancePath::new("C")
            .with_key("Other", 1u8)
            .with_key("Id", 1u8);
        assert_eq!(
            path.normalize(&schema),
            Err(KeyError::Unknown("Other".into()))
        );
        let mut path = InstancePath::new("C").with_key("", 9u8);
        path.normalize(&schema).unwrap();
        assert_eq!(path.key("Id").and_then(KeyValue::as_u64), Some(9));
    }
}
