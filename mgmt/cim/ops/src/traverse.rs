//! Associators, References and their Names, for instances and for classes.

use crate::caller::Caller;
use crate::engine::{Engine, fused};
use crate::fault::no_instance;
use crate::layout::ClassKind;
use crate::links::{Hit, Wanted};
use crate::request::{AssociatorFilter, ClassView, Depth, InstanceView, ReferenceFilter};
use crate::response::Stream;
use crate::shape::Shaper;
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::rc::Rc;
use alloc::vec::Vec;
use cim_model::{
    CimError, CimStatus, ClassDecl, ClassName, ClassPath, Instance, InstancePath, NamespaceName,
    PropertyName,
};

/// Whether the source instance must exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existence {
    /// A missing instance has no associations.
    Assumed,
    /// A missing instance is NOT_FOUND.
    Checked,
}

impl Engine {
    /// The source of an association operation.
    ///
    /// # Errors
    /// INVALID_PARAMETER for an unknown class or wrong keys, NOT_FOUND when existence is checked.
    pub(crate) fn association_source(
        self: &Rc<Self>,
        caller: &Caller,
        namespace: &NamespaceName,
        mut path: InstancePath,
        existence: Existence,
    ) -> Result<InstancePath, CimError> {
        self.association_class(namespace, Some(&path.class))?;
        self.normalize(namespace, &mut path)?;
        if existence == Existence::Checked
            && self.fetch(caller, namespace, &path, Some(&[]))?.is_none()
        {
            return Err(no_instance(&path));
        }
        Ok(path)
    }

    /// A class that an association operation names must exist.
    fn association_class(
        &self,
        namespace: &NamespaceName,
        class: Option<&ClassName>,
    ) -> Result<(), CimError> {
        let Some(class) = class else { return Ok(()) };
        self.require(namespace, class)
            .map(drop)
            .map_err(|fault| match fault.status {
                CimStatus::InvalidClass => CimError {
                    status: CimStatus::InvalidParameter,
                    ..fault
                },
                _ => fault,
            })
    }

    fn check_associators(
        &self,
        namespace: &NamespaceName,
        filter: &AssociatorFilter,
    ) -> Result<(), CimError> {
        self.association_class(namespace, filter.association.as_ref())?;
        self.association_class(namespace, filter.result.as_ref())
    }

    /// The paths of the instances at the other ends.
    ///
    /// # Errors
    /// INVALID_PARAMETER for unknown classes; others come in the stream.
    pub(crate) fn associator_paths(
        self: &Rc<Self>,
        caller: &Caller,
        from: InstancePath,
        filter: AssociatorFilter,
    ) -> Result<Stream<InstancePath>, CimError> {
        let namespace = from.namespace.clone().unwrap_or_default();
        self.check_associators(&namespace, &filter)?;
        let wanted = Wanted {
            association: filter.association,
            role: filter.role,
            far_role: filter.result_role,
        };
        let hits = self.hits(caller, from, wanted);
        let core = Rc::clone(self);
        let mut seen = BTreeSet::new();
        let result = filter.result;
        Ok(fused(Box::new(hits.filter_map(move |hit| {
            let (far, may_repeat) = match hit {
                Ok(hit) => (hit.far, hit.may_repeat),
                Err(error) => return Some(Err(error)),
            };
            let space = far.namespace.as_ref()?;
            if result
                .as_ref()
                .is_some_and(|class| !core.is_a(space, &far.class, class))
            {
                return None;
            }
            // Two associations may lead to one object, which is still one result. Only such objects are
            // remembered: a system with a million devices must not fill the memory.
            if may_repeat && !seen.insert(far.clone()) {
                return None;
            }
            Some(Ok(far.with_host(core.settings.host.clone())))
        }))))
    }

    /// The instances at the other ends.
    ///
    /// # Errors
    /// As for [`Engine::associator_paths`].
    pub(crate) fn associators(
        self: &Rc<Self>,
        caller: &Caller,
        from: InstancePath,
        filter: AssociatorFilter,
        view: InstanceView,
    ) -> Result<Stream<Instance>, CimError> {
        let paths = self.associator_paths(caller, from, filter)?;
        let core = Rc::clone(self);
        let caller = caller.clone();
        Ok(fused(Box::new(paths.filter_map(move |path| {
            let found = path.and_then(|mut path| {
                let space = path.namespace.clone().unwrap_or_default();
                path.host = None;
                let layout = core.require(&space, &path.class)?;
                let shaper = Shaper::new(space, view.clone());
                core.get_shaped(&caller, &layout, &path, &shaper)
            });
            // A reference to an instance that is gone by now leads nowhere.
            found.transpose()
        }))))
    }

    /// The association instances that refer to an instance.
    ///
    /// # Errors
    /// As for [`Engine::associator_paths`].
    pub(crate) fn references(
        self: &Rc<Self>,
        caller: &Caller,
        from: InstancePath,
        filter: ReferenceFilter,
        view: InstanceView,
    ) -> Result<Stream<Instance>, CimError> {
        let namespace = from.namespace.clone().unwrap_or_default();
        self.association_class(&namespace, filter.result.as_ref())?;
        let wanted = Wanted {
            association: filter.result,
            role: filter.role,
            far_role: None,
        };
        let hits = self.hits(caller, from, wanted);
        let core = Rc::clone(self);
        let mut last: Option<InstancePath> = None;
        Ok(fused(Box::new(hits.filter_map(move |hit| {
            let shaped = hit.and_then(|hit| {
                let Hit {
                    layout,
                    namespace,
                    link,
                    ..
                } = hit;
                core.link_shaper(&namespace, view.clone())
                    .shape(&core, &layout, link)
            });
            // An association with three ends gives one hit per far end, next to each other.
            if let Ok(instance) = &shaped {
                if instance.path.is_some() && instance.path == last {
                    return None;
                }
                last.clone_from(&instance.path);
            }
            Some(shaped)
        }))))
    }

    /// Associators of a class: the classes at the other ends, with the class of each association.
    ///
    /// # Errors
    /// INVALID_PARAMETER for unknown classes.
    pub(crate) fn class_associators(
        &self,
        namespace: &NamespaceName,
        class: &ClassName,
        filter: &AssociatorFilter,
    ) -> Result<Vec<ClassName>, CimError> {
        self.association_class(namespace, Some(class))?;
        self.check_associators(namespace, filter)?;
        let mut found = Vec::new();
        for (association, near) in self.class_references(
            namespace,
            class,
            filter.association.as_ref(),
            filter.role.as_ref(),
        )? {
            let Some(layout) = self.layout(namespace, &association) else {
                continue;
            };
            for far in layout.references() {
                let Some(target) = &far.reference_class else {
                    continue;
                };
                let fits = far.name != near
                    && filter
                        .result_role
                        .as_ref()
                        .is_none_or(|role| *role == far.name)
                    && filter
                        .result
                        .as_ref()
                        .is_none_or(|result| self.is_a(namespace, target, result));
                if fits && !found.contains(target) {
                    found.push(target.clone());
                }
            }
        }
        Ok(found)
    }

    /// References of a class: the association classes, each with the reference that fits.
    ///
    /// # Errors
    /// INVALID_PARAMETER for unknown classes.
    pub(crate) fn class_references(
        &self,
        namespace: &NamespaceName,
        class: &ClassName,
        result: Option<&ClassName>,
        role: Option<&PropertyName>,
    ) -> Result<Vec<(ClassName, PropertyName)>, CimError> {
        self.association_class(namespace, Some(class))?;
        self.association_class(namespace, result)?;
        let names = self
            .catalog
            .borrow()
            .class_names(namespace, None, Depth::Deep)?;
        let mut found = Vec::new();
        for name in names {
            if !self.catalog.borrow().is_association(namespace, &name)
                || result.is_some_and(|result| !self.is_a(namespace, &name, result))
            {
                continue;
            }
            let Some(layout) = self.layout(namespace, &name) else {
                continue;
            };
            if layout.kind != ClassKind::Association {
                continue;
            }
            for reference in layout.references() {
                let refers = reference
                    .reference_class
                    .as_ref()
                    .is_some_and(|target| self.is_a(namespace, class, target));
                if refers && role.is_none_or(|role| *role == reference.name) {
                    found.push((name.clone(), reference.name.clone()));
                }
            }
        }
        Ok(found)
    }

    /// Full declarations of classes, with their paths.
    pub(crate) fn classes_with_path(
        &self,
        namespace: &NamespaceName,
        names: &[ClassName],
        view: &InstanceView,
    ) -> Vec<ClassDecl> {
        let view = ClassView {
            local_only: false,
            qualifiers: true,
            class_origin: view.class_origin,
            properties: view.properties.clone(),
        };
        let catalog = self.catalog.borrow();
        let declared = names
            .iter()
            .filter_map(|name| catalog.declaration(namespace, name, &view));
        declared
            .map(|mut class| {
                class.path = Some(self.class_path(namespace, &class.name));
                class
            })
            .collect()
    }

    pub(crate) fn class_path(&self, namespace: &NamespaceName, class: &ClassName) -> ClassPath {
        ClassPath::new(class.clone())
            .with_namespace(namespace.clone())
            .with_host(self.settings.host.clone())
    }
}
