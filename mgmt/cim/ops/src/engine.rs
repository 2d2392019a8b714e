//! [`Engine`]: what every operation, and every stream that outlives its operation, shares.

use crate::builder::ReadEmbedded;
use crate::caller::Caller;
use crate::catalog::Catalog;
use crate::events::EventQueue;
use crate::layout::Layout;
use crate::provider::Context;
use crate::registry::{Registry, Source};
use crate::response::Stream;
use crate::settings::Settings;
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use cim_model::{CimError, ClassName, Instance, InstancePath, NamespaceName, PropertyName};
use core::cell::RefCell;

/// The shared state. The catalogue is borrowed only for the length of a look-up, never across a call to a
/// provider, so providers may use it themselves.
pub(crate) struct Engine {
    pub(crate) catalog: Rc<RefCell<Catalog>>,
    pub(crate) registry: Registry,
    pub(crate) events: EventQueue,
    pub(crate) settings: Settings,
    pub(crate) read_embedded: Option<ReadEmbedded>,
}

/// The classes of an enumeration with their sources.
pub(crate) type Sources = Vec<(Rc<Layout>, Source)>;

impl Engine {
    pub(crate) fn require(
        &self,
        namespace: &NamespaceName,
        class: &ClassName,
    ) -> Result<Rc<Layout>, CimError> {
        self.catalog.borrow_mut().require(namespace, class)
    }

    pub(crate) fn layout(
        &self,
        namespace: &NamespaceName,
        class: &ClassName,
    ) -> Option<Rc<Layout>> {
        self.catalog.borrow_mut().layout(namespace, class)
    }

    pub(crate) fn is_a(
        &self,
        namespace: &NamespaceName,
        class: &ClassName,
        ancestor: &ClassName,
    ) -> bool {
        self.catalog
            .borrow()
            .is_a(namespace, class.as_str(), ancestor.as_str())
    }

    /// The source of a class whose instances exist here; providers come before the store.
    pub(crate) fn source(&self, namespace: &NamespaceName, class: &ClassName) -> Option<Source> {
        if let Some(provider) = self.registry.provider(namespace, class) {
            return Some(Source::Provider(Rc::clone(provider)));
        }
        let declared = self
            .registry
            .associations()
            .find(|association| association.class == *class && association.namespace == *namespace);
        if let Some(association) = declared {
            return Some(Source::Association(Rc::clone(association)));
        }
        self.catalog
            .borrow()
            .is_client_class(namespace, class)
            .then_some(Source::Stored)
    }

    /// The sources of a class and all its subclasses.
    pub(crate) fn sources(&self, namespace: &NamespaceName, class: &ClassName) -> Sources {
        let mut found: Vec<(ClassName, Source)> = Vec::new();
        let fits = |candidate: &ClassName| self.is_a(namespace, candidate, class);
        for (candidate, provider) in self.registry.providers(namespace) {
            if fits(candidate) {
                found.push((candidate.clone(), Source::Provider(Rc::clone(provider))));
            }
        }
        for association in self.registry.associations() {
            if association.namespace == *namespace && fits(&association.class) {
                found.push((
                    association.class.clone(),
                    Source::Association(Rc::clone(association)),
                ));
            }
        }
        let clients = self.catalog.borrow().client_classes(namespace);
        for candidate in clients {
            if fits(&candidate) && !found.iter().any(|(name, _)| *name == candidate) {
                found.push((candidate, Source::Stored));
            }
        }
        found
            .into_iter()
            .filter_map(|(name, source)| Some((self.layout(namespace, &name)?, source)))
            .collect()
    }

    /// The raw instances of one source.
    pub(crate) fn open_source(
        self: &Rc<Self>,
        caller: &Caller,
        namespace: &NamespaceName,
        layout: &Layout,
        source: &Source,
        properties: Option<&[PropertyName]>,
    ) -> Result<Stream<Instance>, CimError> {
        let context = Context {
            caller,
            namespace,
            class: &layout.class,
            properties,
        };
        match source {
            Source::Provider(provider) => provider.enumerate(&context),
            Source::Association(association) => self.all_links(caller, association),
            Source::Stored => Ok(self.stored_instances(namespace, &layout.class)),
        }
    }

    /// Several associations may share a class, each with ends in other namespaces.
    fn find_declared_link(
        self: &Rc<Self>,
        caller: &Caller,
        namespace: &NamespaceName,
        path: &InstancePath,
    ) -> Result<Option<Instance>, CimError> {
        for association in self.registry.associations() {
            if association.class == path.class
                && association.namespace == *namespace
                && let Some(found) = self.find_link(caller, association, path)?
            {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn stored_instances(
        self: &Rc<Self>,
        namespace: &NamespaceName,
        class: &ClassName,
    ) -> Stream<Instance> {
        let core = Rc::clone(self);
        let (namespace, class) = (namespace.clone(), class.clone());
        let mut last: Option<InstancePath> = None;
        Box::new(core::iter::from_fn(move || {
            let (path, instance) =
                core.catalog
                    .borrow()
                    .stored_after(&namespace, &class, last.as_ref())?;
            last = Some(path);
            Some(Ok(Instance::clone(&instance)))
        }))
    }

    /// One raw instance; the path is normalized and in the namespace.
    pub(crate) fn fetch(
        self: &Rc<Self>,
        caller: &Caller,
        namespace: &NamespaceName,
        path: &InstancePath,
        properties: Option<&[PropertyName]>,
    ) -> Result<Option<Instance>, CimError> {
        let context = Context {
            caller,
            namespace,
            class: &path.class,
            properties,
        };
        match self.source(namespace, &path.class) {
            None => Ok(None),
            Some(Source::Provider(provider)) => match provider.get(&context, path)? {
                Some(found) => Ok(Some(found)),
                // Links of the class may be declared besides those that the provider holds.
                None => self.find_declared_link(caller, namespace, path),
            },
            Some(Source::Association(_)) => self.find_declared_link(caller, namespace, path),
            Some(Source::Stored) => {
                let found = self.catalog.borrow().stored(namespace, &path.to_local());
                Ok(found.map(|instance| Instance::clone(&instance)))
            }
        }
    }
}

/// Pulls the first object out of a stream, so that a failure at the start becomes the answer instead of a
/// response that breaks off.
pub(crate) fn settled<T: 'static>(mut stream: Stream<T>) -> Result<Stream<T>, CimError> {
    match stream.next() {
        None => Ok(Box::new(core::iter::empty())),
        Some(Err(error)) => Err(error),
        Some(Ok(first)) => Ok(Box::new(core::iter::once(Ok(first)).chain(stream))),
    }
}

/// Ends a stream behind its first error.
pub(crate) fn fused<T: 'static>(mut stream: Stream<T>) -> Stream<T> {
    let mut failed = false;
    Box::new(core::iter::from_fn(move || {
        if failed {
            return None;
        }
        let item = stream.next();
        failed = matches!(item, Some(Err(_)));
        item
    }))
}
