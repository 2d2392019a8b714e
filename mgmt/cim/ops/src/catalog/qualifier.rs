//! Qualifier types: the built-in ones and those that clients set.

use super::{Catalog, SchemaKind, limit};
use crate::fault::{error, invalid, unsupported};
use crate::store::{Record, RecordKey};
use alloc::vec::Vec;
use cim_model::{
    CimError, CimStatus, CimType, ClassDecl, ClassName, NamespaceName, Qualifier, QualifierDecl,
    QualifierName, Scopes,
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
        if space
            .qualifiers
            .get(&decl.name)
            .is_some_and(|known| known.ty != decl.ty)
        {
            self.check_not_used(namespace, &decl.name)?;
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
        self.check_not_used(namespace, name)?;
        self.store
            .remove(&RecordKey::Qualifier(namespace.clone(), name.clone()))?;
        self.namespace_mut(namespace)?.qualifiers.remove(name);
        Ok(())
    }

    /// Gives every qualifier of a class the spelling and the flavors of its type, and checks type and scope.
    ///
    /// # Errors
    /// INVALID_PARAMETER for a qualifier without type, of another type, or on an element it is not meant for.
    pub(super) fn settle_qualifiers(
        &self,
        namespace: &NamespaceName,
        class: &mut ClassDecl,
    ) -> Result<(), CimError> {
        let scope = if class.is_association() {
            Scopes::ASSOCIATION | Scopes::CLASS
        } else if class.is_indication() {
            Scopes::INDICATION | Scopes::CLASS
        } else {
            Scopes::CLASS
        };
        // Association and Indication make a class what their scopes are about.
        self.settle(
            namespace,
            &mut class.qualifiers,
            scope | Scopes::ASSOCIATION | Scopes::INDICATION,
        )?;
        for property in &mut class.properties {
            let is_reference = property.ty.ty == CimType::Reference;
            let scope = if is_reference {
                Scopes::REFERENCE
            } else {
                Scopes::PROPERTY
            };
            self.settle(namespace, &mut property.qualifiers, scope)?;
        }
        for method in &mut class.methods {
            self.settle(namespace, &mut method.qualifiers, Scopes::METHOD)?;
            for parameter in &mut method.parameters {
                self.settle(namespace, &mut parameter.qualifiers, Scopes::PARAMETER)?;
            }
        }
        Ok(())
    }

    fn settle(
        &self,
        namespace: &NamespaceName,
        qualifiers: &mut [Qualifier],
        scope: Scopes,
    ) -> Result<(), CimError> {
        for used in qualifiers {
            let Some(decl) = self.qualifier_type(namespace, &used.name) else {
                return Err(invalid(format_args!(
                    "The class uses the qualifier {}, which has no type in this namespace.",
                    used.name
                )));
            };
            if decl.ty != used.value.value_type() {
                return Err(invalid(format_args!(
                    "The qualifier {} is of type {}, not {}.",
                    used.name,
                    decl.ty,
                    used.value.value_type()
                )));
            }
            if !decl.scopes.intersects(scope) {
                return Err(invalid(format_args!(
                    "The qualifier {} is not meant for this kind of element.",
                    used.name
                )));
            }
            used.name = decl.name;
            used.flavors = decl.flavors;
            used.propagated = false;
        }
        Ok(())
    }

    /// A client's class that uses a qualifier type.
    fn user_of(&self, namespace: &NamespaceName, name: &QualifierName) -> Option<ClassName> {
        let space = self.namespaces.get(namespace)?;
        let uses = |qualifiers: &[Qualifier]| qualifiers.iter().any(|used| used.name == *name);
        let user = space.classes.values().find(|client| {
            let class = &client.full;
            uses(&class.qualifiers)
                || class
                    .properties
                    .iter()
                    .any(|property| uses(&property.qualifiers))
                || class.methods.iter().any(|method| {
                    uses(&method.qualifiers)
                        || method
                            .parameters
                            .iter()
                            .any(|parameter| uses(&parameter.qualifiers))
                })
        });
        user.map(|client| client.full.name.clone())
    }

    /// A qualifier type that classes use must stay as it is, or they could not be read again.
    fn check_not_used(
        &self,
        namespace: &NamespaceName,
        name: &QualifierName,
    ) -> Result<(), CimError> {
        match self.user_of(namespace, name) {
            None => Ok(()),
            Some(class) => Err(error(
                CimStatus::Failed,
                format_args!("The class {class} uses the qualifier type {name}."),
            )),
        }
    }
}

fn built_in(name: &QualifierName) -> CimError {
    unsupported(format_args!(
        "The qualifier type {name} is built in and cannot be changed."
    ))
}
