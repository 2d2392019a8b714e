//! Classes and qualifier types in the form in which operations answer them.
//!
//! `cim-ops` calls this for GetClass, EnumerateClasses, GetQualifier and EnumerateQualifiers. Names and
//! strings stay in the tables; only the lists of a class are allocated.

use alloc::vec::Vec;

use cim_model::{
    ClassDecl, ClassName, MethodDecl, ParameterDecl, PropertyDecl, PropertyName, QualifierDecl,
};

use crate::class::Class;
use crate::method::{Method, Parameter};
use crate::property::Property;
use crate::qualifier::{Qualifier, QualifierType};

/// Which features a class declaration contains (`LocalOnly` of DSP0200 5.3.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Features {
    /// Those that the class itself declares or overrides.
    Local,
    /// Inherited ones too.
    All,
}

/// Whether qualifiers are contained (`IncludeQualifiers`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qualifiers {
    /// None at all.
    Omit,
    /// Those in force on each element; with [`Features::Local`] only those stated locally.
    Include,
}

/// Whether features carry the class that has them first (`IncludeClassOrigin`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// They do not.
    Omit,
    /// They do.
    Include,
}

/// What a class declaration contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Detail<'a> {
    /// Local features or all.
    pub features: Features,
    /// Qualifiers or none.
    pub qualifiers: Qualifiers,
    /// Class origins or none.
    pub origin: Origin,
    /// Only these properties; `None` for all (`PropertyList`). Methods are not affected.
    pub properties: Option<&'a [PropertyName]>,
}

impl Detail<'static> {
    /// Everything there is.
    pub const FULL: Self = Self {
        features: Features::All,
        qualifiers: Qualifiers::Include,
        origin: Origin::Include,
        properties: None,
    };
}

impl Detail<'_> {
    fn origin(&self, class: Class) -> Option<ClassName> {
        match self.origin {
            Origin::Omit => None,
            Origin::Include => Some(ClassName::from_static(class.name())),
        }
    }

    fn qualifiers<L, A>(&self, local: L, all: A) -> Vec<cim_model::Qualifier>
    where
        L: Iterator<Item = Qualifier>,
        A: Iterator<Item = Qualifier>,
    {
        match (self.qualifiers, self.features) {
            (Qualifiers::Omit, _) => Vec::new(),
            (Qualifiers::Include, Features::Local) => local.map(Qualifier::to_model).collect(),
            (Qualifiers::Include, Features::All) => all.map(Qualifier::to_model).collect(),
        }
    }
}

impl Class {
    /// The class as a declaration of the model.
    ///
    /// ```
    /// use cim_schema::{Detail, Features};
    ///
    /// let class = cim_schema::class("CIM_ResourcePool").unwrap();
    /// let local = class.to_model(Detail { features: Features::Local, ..Detail::FULL });
    /// assert!(local.property("PoolID").is_some());
    /// assert!(local.property("ElementName").is_none());
    /// let full = class.to_model(Detail::FULL);
    /// assert!(full.property("ElementName").unwrap().propagated);
    /// ```
    #[must_use]
    pub fn to_model(self, detail: Detail<'_>) -> ClassDecl {
        let superclass = self.superclass().map(|s| ClassName::from_static(s.name()));
        let mut decl = ClassDecl::new(ClassName::from_static(self.name()), superclass);
        decl.qualifiers = detail.qualifiers(self.local_qualifiers(), self.qualifiers());
        let wanted = |p: &Property| {
            detail
                .properties
                .is_none_or(|list| list.iter().any(|name| *name == *p.name()))
        };
        match detail.features {
            Features::Local => {
                let properties = self.local_properties().filter(wanted);
                decl.properties = properties.map(|p| p.to_model(detail)).collect();
                decl.methods = self.local_methods().map(|m| m.to_model(detail)).collect();
            }
            Features::All => {
                let properties = self.properties().filter(wanted);
                decl.properties = properties.map(|p| p.to_model(detail)).collect();
                decl.methods = self.methods().map(|m| m.to_model(detail)).collect();
            }
        }
        decl
    }
}

impl Property {
    /// The property as a declaration of the model.
    #[must_use]
    pub fn to_model(self, detail: Detail<'_>) -> PropertyDecl {
        PropertyDecl {
            name: self.name().into(),
            ty: self.value_type(),
            default: self.default_value().to_value(),
            class_origin: detail.origin(self.class_origin()),
            propagated: self.propagated(),
            reference_class: self
                .reference_class()
                .map(|c| ClassName::from_static(c.name())),
            array_size: self.array_size(),
            qualifiers: detail.qualifiers(self.local_qualifiers(), self.qualifiers()),
        }
    }
}

impl Method {
    /// The method as a declaration of the model.
    #[must_use]
    pub fn to_model(self, detail: Detail<'_>) -> MethodDecl {
        MethodDecl {
            name: self.name().into(),
            return_type: self.return_type(),
            class_origin: detail.origin(self.class_origin()),
            propagated: self.propagated(),
            qualifiers: detail.qualifiers(self.local_qualifiers(), self.qualifiers()),
            parameters: self.parameters().map(|p| p.to_model(detail)).collect(),
        }
    }
}

impl Parameter {
    /// The parameter as a declaration of the model.
    #[must_use]
    pub fn to_model(self, detail: Detail<'_>) -> ParameterDecl {
        ParameterDecl {
            name: self.name().into(),
            ty: self.value_type(),
            reference_class: self
                .reference_class()
                .map(|c| ClassName::from_static(c.name())),
            array_size: self.array_size(),
            qualifiers: detail.qualifiers(self.qualifiers(), self.qualifiers()),
        }
    }
}

impl Qualifier {
    /// The qualifier as one of the model.
    #[must_use]
    pub fn to_model(self) -> cim_model::Qualifier {
        cim_model::Qualifier {
            name: self.name().into(),
            value: self.value().to_value(),
            propagated: self.propagated(),
            flavors: self.flavors(),
        }
    }
}

impl QualifierType {
    /// The qualifier type as a declaration of the model.
    #[must_use]
    pub fn to_model(self) -> QualifierDecl {
        QualifierDecl {
            name: self.name().into(),
            ty: self.value_type(),
            array_size: self.array_size(),
            value: self.default_value().to_value(),
            scopes: self.scopes(),
            flavors: self.flavors(),
        }
    }
}
