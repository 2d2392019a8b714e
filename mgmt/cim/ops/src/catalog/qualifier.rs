//! Qualifier types: the built-in ones and those that clients set.

use super::{Catalog, SchemaKind, limit};
use crate::fault::{error, invalid, unsupported};
use crate::store::{Record, RecordKey};
use alloc::vec::Vec;
use cim_model::{
    CimError, CimStatus, ClassDecl, NamespaceName, Qualifier, QualifierDecl, QualifierName,
};

impl Catalog {
    /// GetQualifier.
    ///
    /// # Errors
    /// INVALID_NAMESPACE, then NOT_FOUND.
    pub fn get_qualifier(
        &self,
        namespace: &NamespaceName,
        name: &QualifierName,
    ) -> Result<QualifierDecl, CimError> {
        self.namespace(namespace)?;
        self.qualifier_type(namespace, name).ok_or_else(|| {
            error(
                CimStatus::NotFound,
                format_args!("There is no qualifier type {name} in this namespace."),
            )
        })
    }

    fn qualifier_type(
        &self,
        namespace: &NamespaceName,
        name: &QualifierName,
    ) -> Option<QualifierDecl> {
        let space = self.namespaces.get(namespace)?;
        if let Some(decl) = space.qualifiers.get(name) {
            return Some(decl.clone());
        }
        match space.schema {
            SchemaKind::BuiltIn => Some(cim_schema::qualifier_type(name.as_str())?.to_model()),
            SchemaKind::Empty => None,
        }
    }

    /// EnumerateQualifiers: the names, in order.
    ///
    /// # Errors
    /// INVALID_NAMESPACE.
    pub fn qualifier_names(
        &self,
        namespace: &NamespaceName,
    ) -> Result<Vec<QualifierName>, CimError> {
        let space = self.namespace(namespace)?;
        let mut names: Vec<_> = space.qualifiers.keys().cloned().collect();
        if space.schema == SchemaKind::BuiltIn {
            let built_in =
                cim_schema::qualifier_types().map(|ty| QualifierName::from_static(ty.name()));
            names.extend(built_in.filter(|name| !space.qualifiers.contains_key(name)));
        }
        Ok(names)
    }

    /// SetQualifier: makes or replaces a qualifier type.
    ///
    /// # Errors
    /// INVALID_PARAMETER, NOT_SUPPORTED for a built-in qualifier type, or a full store.
    pub fn set_qualifier(
        &mut self,
        namespace: &NamespaceName,
        decl: QualifierDecl,
    ) -> Result<(), CimError> {
        let space = self.namespace(namespace)?;
        if space.schema == SchemaKind::BuiltIn
            && cim_schema::qualifier_type(decl.name.as_str()).is_some()
        {
            return Err(built_in(&decl.name));
        }
        if !decl.name.is_identifier() {
            return Err(invalid(format_args!(
                "\"{}\" is not a qualifier name.",
                decl.name
            )));
        }
        if !space.qualifiers.contains_key(&decl.name)
            && space.qualifiers.len() >= self.limits.declarations
        {
            return Err(limit("qualifier types in this namespace"));
        }
        let value = decl.value.clone().coerce(decl.ty).map_err(|fault| {
            invalid(format_args!(
                "The default of qualifier type {}: {fault}.",
                decl.name
            ))
        })?;
        let decl = QualifierDecl { value, ..decl };
        self.store
            .save(&Record::Qualifier(namespace.clone(), decl.clone()))?;
        self.namespace_mut(namespace)?
            .qualifiers
            .insert(decl.name.clone(), decl);
        Ok(())
    }

    /// DeleteQualifier.
    ///
    /// # Errors
    /// NOT_FOUND, or NOT_SUPPORTED for a built-in qualifier type.
    pub fn delete_qualifier(
        &mut self,
        namespace: &NamespaceName,
        name: &QualifierName,
    ) -> Result<(), CimError> {
        let decl = self.get_qualifier(namespace, name)?;
        if !self.namespace(namespace)?.qualifiers.contains_key(name) {
            return Err(built_in(&decl.name));
        }
        self.store
            .remove(&RecordKey::Qualifier(namespace.clone(), name.clone()))?;
        self.namespace_mut(namespace)?.qualifiers.remove(name);
        Ok(())
    }

    /// Every qualifier of a new class must have a type in the namespace.
    pub(super) fn check_qualifiers(
        &self,
        namespace: &NamespaceName,
        class: &ClassDecl,
    ) -> Result<(), CimError> {
        let of_class = class.qualifiers.iter();
        let of_properties = class
            .properties
            .iter()
            .flat_map(|property| &property.qualifiers);
        let of_methods = class.methods.iter().flat_map(|method| {
            method.qualifiers.iter().chain(
                method
                    .parameters
                    .iter()
                    .flat_map(|parameter| &parameter.qualifiers),
            )
        });
        of_class
            .chain(of_properties)
            .chain(of_methods)
            .try_for_each(|used| self.check_qualifier(namespace, used))
    }

    fn check_qualifier(&self, namespace: &NamespaceName, used: &Qualifier) -> Result<(), CimError> {
        match self.qualifier_type(namespace, &used.name) {
            None => Err(invalid(format_args!(
                "The class uses the qualifier {}, which has no type in this namespace.",
                used.name
            ))),
            Some(decl) if decl.ty != used.value.value_type() => Err(invalid(format_args!(
                "The qualifier {} is of type {}, not {}.",
                used.name,
                decl.ty,
                used.value.value_type()
            ))),
            Some(_) => Ok(()),
        }
    }
}

fn built_in(name: &QualifierName) -> CimError {
    unsupported(format_args!(
        "The qualifier type {name} is built in and cannot be changed."
    ))
}
