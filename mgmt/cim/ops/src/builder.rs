//! [`Builder`]: collecting providers and associations before the server starts.

use crate::association::Association;
use crate::audit::AuditTrail;
use crate::catalog::{Catalog, CatalogLimits};
use crate::engine::Engine;
use crate::events::EventQueue;
use crate::operations::Operations;
use crate::provider::Provider;
use crate::registry::Registry;
use crate::settings::Settings;
use crate::store::Store;
use alloc::boxed::Box;
use alloc::rc::Rc;
use cim_model::{CimError, ClassName, NamespaceName, Scalar};
use core::cell::RefCell;

/// Collects providers and associations before the server starts.
pub struct Builder {
    catalog: Rc<RefCell<Catalog>>,
    registry: Registry,
    events: EventQueue,
    audit: AuditTrail,
    settings: Settings,
    read_embedded: Option<ReadEmbedded>,
}

/// Reads the text of an embedded object that a client has sent as a plain string.
pub type ReadEmbedded = fn(&str) -> Option<Scalar>;

impl Builder {
    /// A server without providers, over what the store holds.
    ///
    /// # Errors
    /// [`CimError`] when the store cannot be read.
    pub fn new(settings: Settings, store: Box<dyn Store>) -> Result<Self, CimError> {
        let catalog = Catalog::new(&settings.namespaces, store, CatalogLimits::default())?;
        Ok(Builder {
            catalog: Rc::new(RefCell::new(catalog)),
            registry: Registry::default(),
            events: EventQueue::new(settings.max_waiting),
            audit: AuditTrail::new(settings.max_waiting),
            settings,
            read_embedded: None,
        })
    }

    /// Registers the provider of the instances whose creation class this is.
    #[must_use]
    pub fn provider(
        mut self,
        namespace: impl Into<NamespaceName>,
        class: impl Into<ClassName>,
        provider: Rc<dyn Provider>,
    ) -> Self {
        self.registry
            .add_provider(namespace.into(), class.into(), provider);
        self
    }

    /// Registers an association.
    #[must_use]
    pub fn association(mut self, association: Association) -> Self {
        self.registry.add_association(association);
        self
    }

    /// Sets how embedded objects are read that clients send as plain strings, without saying what they are.
    /// Without it such strings are refused.
    #[must_use]
    pub fn embedded(mut self, read: ReadEmbedded) -> Self {
        self.read_embedded = Some(read);
        self
    }

    /// The catalogue, for providers that show it.
    pub fn catalog(&self) -> Rc<RefCell<Catalog>> {
        Rc::clone(&self.catalog)
    }

    /// The queue that providers raise events in.
    pub fn events(&self) -> EventQueue {
        self.events.clone()
    }

    /// The audit trail, for what changes outside of operations and for providers that show it.
    pub fn audit(&self) -> AuditTrail {
        self.audit.clone()
    }

    /// The settings.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The finished operations layer.
    pub fn build(self) -> Operations {
        let engine = Engine {
            catalog: self.catalog,
            registry: self.registry,
            events: self.events,
            settings: self.settings,
            read_embedded: self.read_embedded,
        };
        Operations::new(engine, self.audit)
    }
}
