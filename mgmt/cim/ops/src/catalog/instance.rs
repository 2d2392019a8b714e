//! Stored instances: those of classes that no provider serves.

use super::{Catalog, limit};
use crate::fault::{error, no_instance};
use crate::store::{Record, RecordKey};
use alloc::rc::Rc;
use cim_model::{CimError, CimStatus, ClassName, Instance, InstancePath, NamespaceName};
use core::ops::Bound;

impl Catalog {
    /// A stored instance; the path is local to the namespace and normalized.
    pub fn stored(&self, namespace: &NamespaceName, path: &InstancePath) -> Option<Rc<Instance>> {
        self.namespaces
            .get(namespace)?
            .instances
            .get(&path.class)?
            .get(path)
            .cloned()
    }

    /// The first stored instance of a class behind a path, or the very first; the way an enumeration goes on
    /// while clients change what it walks over.
    pub fn stored_after(
        &self,
        namespace: &NamespaceName,
        class: &ClassName,
        after: Option<&InstancePath>,
    ) -> Option<(InstancePath, Rc<Instance>)> {
        let instances = self.namespaces.get(namespace)?.instances.get(class)?;
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let (path, instance) = instances
            .range::<InstancePath, _>((from, Bound::Unbounded))
            .next()?;
        Some((path.clone(), Rc::clone(instance)))
    }

    /// Stores a new instance, whose path is set and normalized.
    ///
    /// # Errors
    /// ALREADY_EXISTS, SERVER_LIMITS_EXCEEDED, or a full store.
    pub fn store_new(
        &mut self,
        namespace: &NamespaceName,
        instance: Instance,
    ) -> Result<(), CimError> {
        let path = local_path(&instance);
        if self.stored(namespace, &path).is_some() {
            return Err(error(
                CimStatus::AlreadyExists,
                format_args!("The instance {path} exists already."),
            ));
        }
        let space = self.namespace(namespace)?;
        if space
            .instances
            .values()
            .map(|of_class| of_class.len())
            .sum::<usize>()
            >= self.limits.instances
        {
            return Err(limit("instances in this namespace"));
        }
        self.store_over(namespace, instance)
    }

    /// Stores an instance in place of the one with the same path.
    ///
    /// # Errors
    /// A full store.
    pub fn store_over(
        &mut self,
        namespace: &NamespaceName,
        mut instance: Instance,
    ) -> Result<(), CimError> {
        let path = local_path(&instance);
        instance.path = Some(path.clone().with_namespace(namespace.clone()));
        let record = Record::Instance(instance);
        self.store.save(&record)?;
        let Record::Instance(instance) = record else {
            return Ok(());
        };
        let instances = &mut self.namespace_mut(namespace)?.instances;
        instances
            .entry(path.class.clone())
            .or_default()
            .insert(path, Rc::new(instance));
        Ok(())
    }

    /// Removes a stored instance.
    ///
    /// # Errors
    /// NOT_FOUND, or a failing store.
    pub fn remove_stored(
        &mut self,
        namespace: &NamespaceName,
        path: &InstancePath,
    ) -> Result<(), CimError> {
        let local = path.to_local();
        if self.stored(namespace, &local).is_none() {
            return Err(no_instance(path));
        }
        self.store.remove(&RecordKey::Instance(
            local.clone().with_namespace(namespace.clone()),
        ))?;
        if let Some(instances) = self
            .namespace_mut(namespace)?
            .instances
            .get_mut(&local.class)
        {
            instances.remove(&local);
        }
        Ok(())
    }
}

fn local_path(instance: &Instance) -> InstancePath {
    match &instance.path {
        Some(path) => path.to_local(),
        None => InstancePath::new(instance.class.clone()),
    }
}
