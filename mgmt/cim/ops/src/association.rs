//! [`Association`]: an association declared once, as data.
//!
//! From the class, its two ends and a way to walk from one end to the other, the operations derive
//! Associators, References, their Names forms, enumeration and GetInstance of the association class, and all
//! pull variants.

use crate::provider::Context;
use crate::response::Stream;
use alloc::boxed::Box;
use cim_model::{CimError, ClassName, InstancePath, NamespaceName, Property, PropertyName};

/// Walks from an instance at one end to those at the other.
pub type Walk = Box<dyn Fn(&Context<'_>, &InstancePath) -> Result<Stream<Link>, CimError>>;

/// Lists the instances at the first end that may have links.
pub type Sources = Box<dyn Fn(&Context<'_>) -> Result<Stream<InstancePath>, CimError>>;

/// An association.
pub struct Association {
    /// The namespace that holds the association instances.
    pub namespace: NamespaceName,
    /// The association class.
    pub class: ClassName,
    /// The two ends, in the order of the references.
    pub ends: [End; 2],
    /// From the first end to the second.
    pub forward: Walk,
    /// From the second end to the first; without it the links are found by walking forward from every source.
    pub backward: Option<Walk>,
    /// The instances at the first end; without it all instances of its class.
    pub sources: Option<Sources>,
}

/// One end of an association.
#[derive(Clone, Debug)]
pub struct End {
    /// The reference property.
    pub role: PropertyName,
    /// The class of the instances here; subclasses included.
    pub class: ClassName,
    /// Their namespace.
    pub namespace: NamespaceName,
}

/// One step over an association.
#[derive(Clone, Debug)]
pub struct Link {
    /// The instance at the other end. Without a namespace it is in that of the end.
    pub target: InstancePath,
    /// The properties of the association instance besides its two references.
    pub properties: alloc::vec::Vec<Property>,
}

impl From<InstancePath> for Link {
    fn from(target: InstancePath) -> Self {
        Link {
            target,
            properties: alloc::vec::Vec::new(),
        }
    }
}

/// An end by its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    First,
    Second,
}

impl Side {
    pub(crate) const BOTH: [Side; 2] = [Side::First, Side::Second];
}

impl Association {
    /// The end on a side and the one opposite.
    pub(crate) const fn ends_from(&self, side: Side) -> (&End, &End) {
        let [first, second] = &self.ends;
        match side {
            Side::First => (first, second),
            Side::Second => (second, first),
        }
    }
}
