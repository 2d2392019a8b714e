//! Writing classes: CreateClass, ModifyClass and DeleteClass (DSP0200 5.4.2.5 to 5.4.2.9).

use super::{Catalog, limit};
use crate::fault::{error, no_class, unsupported};
use crate::store::{Record, RecordKey};
use cim_model::{CimError, CimStatus, ClassDecl, ClassName, NamespaceName};

impl Catalog {
    fn is_built_in(&self, namespace: &NamespaceName, class: &ClassName) -> bool {
        self.schema_kind(namespace) == Some(super::SchemaKind::BuiltIn)
            && cim_schema::class(class.as_str()).is_some()
    }

    /// CreateClass.
    ///
    /// # Errors
    /// INVALID_NAMESPACE, ALREADY_EXISTS, INVALID_SUPERCLASS, INVALID_PARAMETER, or a full store.
    pub fn create_class(
        &mut self,
        namespace: &NamespaceName,
        class: ClassDecl,
    ) -> Result<(), CimError> {
        let space = self.namespace(namespace)?;
        if space.classes.len() >= self.limits.declarations {
            return Err(limit("classes in this namespace"));
        }
        if space.classes.contains_key(&class.name) || self.is_built_in(namespace, &class.name) {
            return Err(error(
                CimStatus::AlreadyExists,
                format_args!("The class {} exists already.", class.name),
            ));
        }
        let local = class.clone();
        let resolved = self.inherited(namespace, class)?;
        self.store.save(&Record::Class(namespace.clone(), local))?;
        self.namespace_mut(namespace)?
            .classes
            .insert(resolved.full.name.clone(), resolved);
        Ok(())
    }

    /// ModifyClass: replaces a class that has no subclasses and no instances.
    ///
    /// # Errors
    /// As for [`Catalog::create_class`]; NOT_FOUND, CLASS_HAS_CHILDREN, CLASS_HAS_INSTANCES, or NOT_SUPPORTED
    /// for a class of the built-in schema.
    pub fn modify_class(
        &mut self,
        namespace: &NamespaceName,
        class: ClassDecl,
    ) -> Result<(), CimError> {
        self.check_unused(namespace, &class.name)?;
        let local = class.clone();
        let resolved = self.inherited(namespace, class)?;
        self.store.save(&Record::Class(namespace.clone(), local))?;
        self.namespace_mut(namespace)?
            .classes
            .insert(resolved.full.name.clone(), resolved);
        Ok(())
    }

    /// DeleteClass.
    ///
    /// # Errors
    /// NOT_FOUND, CLASS_HAS_CHILDREN, CLASS_HAS_INSTANCES, or NOT_SUPPORTED for a class of the built-in schema.
    pub fn delete_class(
        &mut self,
        namespace: &NamespaceName,
        class: &ClassName,
    ) -> Result<(), CimError> {
        self.check_unused(namespace, class)?;
        self.store
            .remove(&RecordKey::Class(namespace.clone(), class.clone()))?;
        self.namespace_mut(namespace)?.classes.remove(class);
        Ok(())
    }

    fn check_unused(&self, namespace: &NamespaceName, class: &ClassName) -> Result<(), CimError> {
        let space = self.namespace(namespace)?;
        if self.is_built_in(namespace, class) {
            return Err(unsupported(format_args!(
                "The class {class} belongs to the built-in schema, which cannot be changed."
            )));
        }
        if !space.classes.contains_key(class) {
            return Err(no_class(class));
        }
        if self.has_subclasses(namespace, class) {
            return Err(error(
                CimStatus::ClassHasChildren,
                format_args!("The class {class} has subclasses."),
            ));
        }
        if space
            .instances
            .get(class)
            .is_some_and(|instances| !instances.is_empty())
        {
            return Err(error(
                CimStatus::ClassHasInstances,
                format_args!("The class {class} has instances."),
            ));
        }
        Ok(())
    }
}
