//! [`Kept`]: instances of the Interop namespace that clients make and the store keeps.

use crate::catalog::Catalog;
use crate::response::Stream;
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use cim_model::{CimError, ClassName, Instance, InstancePath, NamespaceName};
use core::cell::RefCell;

/// A view on the stored instances of the Interop namespace.
#[derive(Clone)]
pub(crate) struct Kept {
    catalog: Rc<RefCell<Catalog>>,
    namespace: NamespaceName,
}

impl Kept {
    pub(crate) const fn new(catalog: Rc<RefCell<Catalog>>, namespace: NamespaceName) -> Self {
        Kept { catalog, namespace }
    }

    pub(crate) fn catalog(&self) -> Rc<RefCell<Catalog>> {
        Rc::clone(&self.catalog)
    }

    /// All instances of a class, lazily.
    pub(crate) fn stream(&self, class: &'static str) -> Stream<Instance> {
        let kept = self.clone();
        let class = ClassName::from_static(class);
        let mut last: Option<InstancePath> = None;
        Box::new(core::iter::from_fn(move || {
            let (path, instance) =
                kept.catalog
                    .borrow()
                    .stored_after(&kept.namespace, &class, last.as_ref())?;
            last = Some(path);
            Some(Ok(Instance::clone(&instance)))
        }))
    }

    /// All instances of a class.
    pub(crate) fn all(&self, class: &'static str) -> Vec<Instance> {
        self.stream(class).filter_map(Result::ok).collect()
    }

    pub(crate) fn count(&self, class: &'static str) -> usize {
        self.stream(class).count()
    }

    pub(crate) fn get(&self, path: &InstancePath) -> Option<Instance> {
        let found = self
            .catalog
            .borrow()
            .stored(&self.namespace, &path.to_local());
        found.map(|instance| Instance::clone(&instance))
    }

    /// Keeps a new instance.
    ///
    /// # Errors
    /// ALREADY_EXISTS, SERVER_LIMITS_EXCEEDED, or a full store.
    pub(crate) fn add(&self, instance: Instance) -> Result<(), CimError> {
        self.catalog
            .borrow_mut()
            .store_new(&self.namespace, instance)
    }

    /// Keeps an instance in place of the one with its path.
    ///
    /// # Errors
    /// A full store.
    pub(crate) fn replace(&self, instance: Instance) -> Result<(), CimError> {
        self.catalog
            .borrow_mut()
            .store_over(&self.namespace, instance)
    }

    /// Forgets an instance.
    ///
    /// # Errors
    /// NOT_FOUND, or a failing store.
    pub(crate) fn remove(&self, path: &InstancePath) -> Result<(), CimError> {
        self.catalog
            .borrow_mut()
            .remove_stored(&self.namespace, path)
    }
}

impl super::Shared {
    /// Fills the four keys that filters and destinations share: clients often give only the name. The name is
    /// made up if it is missing.
    pub(super) fn complete_keys(
        &self,
        class: &'static str,
        instance: &mut Instance,
        made_up: &str,
    ) {
        let mut fill = |name: &'static str, value: cim_model::Text| {
            if instance.get(name).is_none_or(cim_model::Value::is_null) {
                instance.set(name, value);
            }
        };
        fill("SystemCreationClassName", crate::interop::SYSTEM_CLASS);
        fill("SystemName", self.identity.system.clone());
        fill("CreationClassName", class.into());
        fill("Name", cim_model::Text::copy(made_up));
    }

    /// The path that the four keys give.
    pub(super) fn four_key_path(&self, class: &'static str, instance: &Instance) -> InstancePath {
        let mut path = InstancePath::new(class).with_namespace(self.interop.clone());
        for name in [
            "SystemCreationClassName",
            "SystemName",
            "CreationClassName",
            "Name",
        ] {
            let value = instance
                .get(name)
                .and_then(cim_model::Value::as_str)
                .unwrap_or_default();
            path.set_key(name, cim_model::Text::copy(value));
        }
        path
    }

    /// Whether a subscription refers to a filter or destination.
    pub(super) fn is_referred_to(&self, role: &str, path: &InstancePath) -> bool {
        self.subscriptions().iter().any(|subscription| {
            subscription
                .get(role)
                .and_then(cim_model::Value::as_instance_path)
                .is_some_and(|target| target.same_object(path))
        })
    }

    /// All subscriptions, to filters and to collections.
    pub(super) fn subscriptions(&self) -> Vec<Instance> {
        let mut all = self.kept.all(super::SUBSCRIPTION);
        all.extend(self.kept.stream(super::COLLECTION_SUBSCRIPTION).flatten());
        all
    }

    /// Refuses to go over the limit; both classes of subscriptions count together.
    pub(super) fn check_room(&self, class: &'static str) -> Result<(), CimError> {
        let count = match class {
            super::SUBSCRIPTION | super::COLLECTION_SUBSCRIPTION => self.subscriptions().len(),
            _ => self.kept.count(class),
        };
        if count >= self.defaults.max_instances {
            return Err(crate::catalog::limit(class));
        }
        Ok(())
    }
}
