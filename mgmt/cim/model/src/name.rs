//! The name types: one newtype per kind of CIM name, all case-insensitive and case-preserving.

use crate::Text;
use crate::fold::{compare_names, hash_name, is_identifier, same_name};
use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};

macro_rules! name_type {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Default)]
        pub struct $name(Text);

        impl $name {
            /// Wraps a constant without allocating; usable in `const` and `static` items.
            pub const fn from_static(name: &'static str) -> Self {
                Self(Text::from_static(name))
            }

            /// Copies a borrowed string.
            pub fn copy(name: &str) -> Self {
                Self(Text::copy(name))
            }

            /// The name as it was spelled.
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }

            /// The name as shared text.
            pub fn text(&self) -> &Text {
                &self.0
            }

            /// Whether the name has the identifier syntax of DSP0004; the constructors do not check it,
            /// because a wrong name from a client is answered by the operation, not by the parser.
            pub fn is_identifier(&self) -> bool {
                is_identifier(self.as_str())
            }
        }

        name_type!(@traits $name);
    };
    (@traits $name:ident) => {
        impl From<&'static str> for $name {
            fn from(name: &'static str) -> Self {
                Self::from(Text::from_static(name))
            }
        }

        impl From<alloc::string::String> for $name {
            fn from(name: alloc::string::String) -> Self {
                Self::from(Text::from(name))
            }
        }

        impl From<alloc::borrow::Cow<'_, str>> for $name {
            fn from(name: alloc::borrow::Cow<'_, str>) -> Self {
                Self::from(Text::from(name))
            }
        }

        impl From<&$name> for $name {
            fn from(name: &$name) -> Self {
                name.clone()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                same_name(self.as_str(), other.as_str())
            }
        }

        impl Eq for $name {}

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                same_name(self.as_str(), other)
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                same_name(self.as_str(), other)
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                compare_names(self.as_str(), other.as_str())
            }
        }

        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                hash_name(self.as_str(), state);
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.as_str(), f)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
    (@text $name:ident) => {
        impl From<Text> for $name {
            fn from(name: Text) -> Self {
                Self(name)
            }
        }
    };
}

name_type! {
    /// The name of a class.
    ClassName
}
name_type! {
    /// The name of a property (also of a key and of a role of an association).
    PropertyName
}
name_type! {
    /// The name of an extrinsic method or of an intrinsic operation.
    MethodName
}
name_type! {
    /// The name of a method or operation parameter.
    ParameterName
}
name_type! {
    /// The name of a qualifier.
    QualifierName
}
name_type! {
    /// The host part of a path, as in `192.0.2.1:5989`.
    HostName
}
name_type!(@text ClassName);
name_type!(@text PropertyName);
name_type!(@text MethodName);
name_type!(@text ParameterName);
name_type!(@text QualifierName);
name_type!(@text HostName);

/// The name of a namespace, such as `root/cimv2`: case-insensitive, without leading or trailing slashes.
#[derive(Clone, Default)]
pub struct NamespaceName(Text);

impl NamespaceName {
    /// Wraps a constant, trimming slashes at both ends, without allocating.
    pub fn from_static(name: &'static str) -> Self {
        Self(Text::from_static(name.trim_matches('/')))
    }

    /// Copies a borrowed string, trimming slashes at both ends.
    pub fn copy(name: &str) -> Self {
        Self(Text::copy(name.trim_matches('/')))
    }

    /// The name as it was spelled, without outer slashes.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The name as shared text.
    pub fn text(&self) -> &Text {
        &self.0
    }

    /// The components between slashes, as LOCALNAMESPACEPATH lists them; none for the empty name.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.as_str().split('/').filter(|part| !part.is_empty())
    }
}

impl From<Text> for NamespaceName {
    fn from(name: Text) -> Self {
        if name.starts_with('/') || name.ends_with('/') {
            Self::copy(&name)
        } else {
            Self(name)
        }
    }
}

name_type!(@traits NamespaceName);

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, HashMap};

    #[test]
    fn names_are_case_insensitive_keys() {
        let mut ordered = BTreeMap::new();
        let mut hashed = HashMap::new();
        ordered.insert(ClassName::from("CIM_System"), 1);
        hashed.insert(ClassName::from("CIM_System"), 1);
        let other = ClassName::copy("cim_system");
        assert_eq!(ordered.get(&other), Some(&1));
        assert_eq!(hashed.get(&other), Some(&1));
        assert_eq!(ordered.keys().next().unwrap().as_str(), "CIM_System");
        assert!(other == "CIM_SYSTEM");
    }

    #[test]
    fn namespaces_lose_their_outer_slashes() {
        let name = NamespaceName::from("/root/CIMv2/");
        assert_eq!(name.as_str(), "root/CIMv2");
        assert_eq!(name, NamespaceName::copy("Root/cimv2"));
        assert_eq!(name.components().collect::<Vec<_>>(), ["root", "CIMv2"]);
        assert_eq!(
            NamespaceName::from(String::from("//interop")).as_str(),
            "interop"
        );
        assert_eq!(NamespaceName::default().components().count(), 0);
    }

    #[test]
    fn constants_are_not_copied() {
        const NAME: ClassName = ClassName::from_static("CIM_Error");
        assert!(NAME.is_identifier());
        let twice = [NAME.clone(), NAME];
        assert_eq!(twice[0].as_str().as_ptr(), twice[1].as_str().as_ptr());
    }
}
