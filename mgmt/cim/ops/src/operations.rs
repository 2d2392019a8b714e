//! [`Operations`]: the one entry for every operation of DSP0200.

use crate::association::Association;
use crate::audit::{AuditRecord, AuditTrail};
use crate::caller::{Caller, Clock};
use crate::catalog::{Catalog, CatalogLimits};
use crate::engine::{Engine, settled};
use crate::enumeration::{Enumerations, Objects};
use crate::events::EventQueue;
use crate::fault::{error, invalid};
use crate::provider::Provider;
use crate::registry::Registry;
use crate::request::{ClassView, InstanceView, OpenOptions, Operation, Request};
use crate::response::{Batch, Response, Stream};
use crate::settings::Settings;
use crate::store::Store;
use crate::traverse::Existence;
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use cim_model::{
    CimError, CimStatus, ClassName, ClassPath, Instance, InstancePath, NamespaceName, ObjectPath,
    PropertyName, Value,
};
use core::cell::RefCell;

/// The operations layer of one server.
pub struct Operations {
    core: Rc<Engine>,
    enumerations: RefCell<Enumerations>,
    audit: RefCell<AuditTrail>,
}

/// Collects providers and associations before the server starts.
pub struct Builder {
    catalog: Rc<RefCell<Catalog>>,
    registry: Registry,
    events: EventQueue,
    settings: Settings,
}

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
            settings,
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

    /// The catalogue, for providers that show it.
    pub fn catalog(&self) -> Rc<RefCell<Catalog>> {
        Rc::clone(&self.catalog)
    }

    /// The queue that providers raise events in.
    pub fn events(&self) -> EventQueue {
        self.events.clone()
    }

    /// The settings.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The finished operations layer.
    pub fn build(self) -> Operations {
        let audit = AuditTrail::new(self.settings.max_waiting);
        Operations {
            core: Rc::new(Engine {
                catalog: self.catalog,
                registry: self.registry,
                events: self.events,
                settings: self.settings,
            }),
            enumerations: RefCell::default(),
            audit: RefCell::new(audit),
        }
    }
}

impl Operations {
    /// Carries out one operation.
    ///
    /// # Errors
    /// The [`CimError`] that the client gets. Checks come in the order rights, namespace, class, instance.
    pub fn execute(&self, caller: &Caller, request: Request) -> Result<Response, CimError> {
        let audited = request.operation.audited(&request.namespace);
        let result = self.checked(caller, request);
        if let Some((operation, target)) = audited {
            let failure = result.as_ref().err().map(|error| error.status);
            self.audit
                .borrow_mut()
                .record(caller, operation, target, failure);
        }
        result
    }

    /// The oldest audit record that has not been taken.
    pub fn take_audit(&self) -> Option<AuditRecord> {
        self.audit.borrow_mut().take()
    }

    /// Drops what has timed out; called now and then.
    pub fn tick(&self, clock: Clock) {
        self.enumerations.borrow_mut().expire(clock);
    }

    /// The queue of life-cycle events.
    pub fn events(&self) -> &EventQueue {
        &self.core.events
    }

    pub(crate) fn core(&self) -> &Rc<Engine> {
        &self.core
    }

    fn checked(&self, caller: &Caller, request: Request) -> Result<Response, CimError> {
        let needed = request.operation.needed_role();
        if caller.role < needed {
            return Err(error(
                CimStatus::AccessDenied,
                format_args!(
                    "The operation needs the role {}; {} has the role {}.",
                    needed.name(),
                    caller.user,
                    caller.role.name()
                ),
            ));
        }
        let namespace = self
            .core
            .catalog
            .borrow()
            .find_namespace(&request.namespace)?;
        self.run(caller, &namespace, request.operation)
    }

    fn run(
        &self,
        caller: &Caller,
        namespace: &NamespaceName,
        operation: Operation,
    ) -> Result<Response, CimError> {
        match operation {
            Operation::GetClass { .. }
            | Operation::EnumerateClasses { .. }
            | Operation::EnumerateClassNames { .. }
            | Operation::CreateClass { .. }
            | Operation::ModifyClass { .. }
            | Operation::DeleteClass { .. }
            | Operation::GetQualifier { .. }
            | Operation::SetQualifier { .. }
            | Operation::DeleteQualifier { .. }
            | Operation::EnumerateQualifiers => self.declarations(namespace, operation),
            Operation::Associators { .. }
            | Operation::AssociatorNames { .. }
            | Operation::References { .. }
            | Operation::ReferenceNames { .. } => self.traversal(caller, namespace, operation),
            Operation::ExecQuery { language, query } => {
                let (_, rows) = self.core.query(caller, namespace, &language, &query)?;
                Ok(Response::Rows(settled(rows)?))
            }
            Operation::Invoke {
                object,
                method,
                arguments,
            } => self
                .core
                .invoke(caller, namespace, object, &method, arguments)
                .map(Response::Method),
            Operation::GetInstance { .. }
            | Operation::EnumerateInstances { .. }
            | Operation::EnumerateInstanceNames { .. }
            | Operation::CreateInstance { .. }
            | Operation::ModifyInstance { .. }
            | Operation::DeleteInstance { .. }
            | Operation::GetProperty { .. }
            | Operation::SetProperty { .. } => self.instances(caller, namespace, operation),
            _ => self.pulled(caller, namespace, operation),
        }
    }

    fn declarations(
        &self,
        namespace: &NamespaceName,
        operation: Operation,
    ) -> Result<Response, CimError> {
        let catalog = &self.core.catalog;
        Ok(match operation {
            Operation::GetClass { class, view } => Response::Class(Box::new(
                catalog.borrow().get_class(namespace, &class, &view)?,
            )),
            Operation::EnumerateClasses { class, depth, view } => {
                let names = catalog
                    .borrow()
                    .class_names(namespace, class.as_ref(), depth)?;
                Response::Classes(self.class_stream(namespace.clone(), names, view))
            }
            Operation::EnumerateClassNames { class, depth } => {
                let names = catalog
                    .borrow()
                    .class_names(namespace, class.as_ref(), depth)?;
                Response::ClassNames(Box::new(names.into_iter().map(Ok)))
            }
            Operation::CreateClass { class } => {
                catalog.borrow_mut().create_class(namespace, class)?;
                Response::Void
            }
            Operation::ModifyClass { class } => {
                catalog.borrow_mut().modify_class(namespace, class)?;
                Response::Void
            }
            Operation::DeleteClass { class } => {
                catalog.borrow_mut().delete_class(namespace, &class)?;
                Response::Void
            }
            Operation::GetQualifier { name } => {
                Response::Qualifier(Box::new(catalog.borrow().get_qualifier(namespace, &name)?))
            }
            Operation::SetQualifier { qualifier } => {
                catalog.borrow_mut().set_qualifier(namespace, qualifier)?;
                Response::Void
            }
            Operation::DeleteQualifier { name } => {
                catalog.borrow_mut().delete_qualifier(namespace, &name)?;
                Response::Void
            }
            _ => {
                let names = catalog.borrow().qualifier_names(namespace)?;
                let (catalog, namespace) = (Rc::clone(catalog), namespace.clone());
                Response::Qualifiers(Box::new(
                    names
                        .into_iter()
                        .map(move |name| catalog.borrow().get_qualifier(&namespace, &name)),
                ))
            }
        })
    }

    fn class_stream(
        &self,
        namespace: NamespaceName,
        names: Vec<ClassName>,
        view: ClassView,
    ) -> Stream<cim_model::ClassDecl> {
        let catalog = Rc::clone(&self.core.catalog);
        Box::new(names.into_iter().filter_map(move |name| {
            // A class deleted while the response is under way is left out.
            catalog
                .borrow()
                .declaration(&namespace, &name, &view)
                .map(Ok)
        }))
    }

    fn instances(
        &self,
        caller: &Caller,
        namespace: &NamespaceName,
        operation: Operation,
    ) -> Result<Response, CimError> {
        let core = &self.core;
        Ok(match operation {
            Operation::GetInstance { path, view } => {
                Response::Instance(Box::new(core.get_instance(caller, namespace, path, view)?))
            }
            Operation::EnumerateInstances { class, depth, view } => Response::NamedInstances(
                settled(core.enumerate(caller, namespace, &class, depth, view)?)?,
            ),
            Operation::EnumerateInstanceNames { class } => {
                Response::InstanceNames(settled(core.enumerate_paths(caller, namespace, &class)?)?)
            }
            Operation::CreateInstance { instance } => {
                Response::InstanceName(Box::new(core.create_instance(caller, namespace, instance)?))
            }
            Operation::ModifyInstance {
                instance,
                properties,
            } => {
                core.modify_instance(caller, namespace, instance, properties)?;
                Response::Void
            }
            Operation::DeleteInstance { path } => {
                core.delete_instance(caller, namespace, path)?;
                Response::Void
            }
            Operation::GetProperty { path, property } => {
                Response::Value(self.get_property(caller, namespace, path, property)?)
            }
            Operation::SetProperty {
                path,
                property,
                value,
            } => {
                self.set_property(caller, namespace, path, property, value)?;
                Response::Void
            }
            _ => return Err(unreachable_operation()),
        })
    }

    fn get_property(
        &self,
        caller: &Caller,
        namespace: &NamespaceName,
        path: InstancePath,
        property: PropertyName,
    ) -> Result<Value, CimError> {
        let layout = self.core.require(namespace, &path.class)?;
        if layout.property(property.as_str()).is_none() {
            return Err(error(
                CimStatus::NoSuchProperty,
                format_args!("The class {} has no property {property}.", layout.class),
            ));
        }
        let view = InstanceView {
            class_origin: false,
            properties: Some(Vec::from([property.clone()])),
        };
        let mut instance = self.core.get_instance(caller, namespace, path, view)?;
        let found = instance.remove(property.as_str());
        found
            .map(|found| found.value)
            .ok_or_else(unreachable_operation)
    }

    fn set_property(
        &self,
        caller: &Caller,
        namespace: &NamespaceName,
        path: InstancePath,
        property: PropertyName,
        value: Option<Value>,
    ) -> Result<(), CimError> {
        let mut instance = Instance::new(path.class.clone()).with_path(path);
        instance.set(
            property.clone(),
            value.unwrap_or(Value::null(cim_model::CimType::String)),
        );
        self.core
            .modify_instance(caller, namespace, instance, Some(Vec::from([property])))
    }

    fn traversal(
        &self,
        caller: &Caller,
        namespace: &NamespaceName,
        operation: Operation,
    ) -> Result<Response, CimError> {
        let core = &self.core;
        let source = |path| core.association_source(caller, namespace, path, Existence::Assumed);
        Ok(match operation {
            Operation::Associators {
                object: ObjectPath::Instance(path),
                filter,
                view,
            } => Response::Instances(settled(core.associators(
                caller,
                source(path)?,
                filter,
                view,
            )?)?),
            Operation::AssociatorNames {
                object: ObjectPath::Instance(path),
                filter,
            } => Response::Paths(object_paths(settled(core.associator_paths(
                caller,
                source(path)?,
                filter,
            )?)?)),
            Operation::References {
                object: ObjectPath::Instance(path),
                filter,
                view,
            } => Response::Instances(settled(core.references(
                caller,
                source(path)?,
                filter,
                view,
            )?)?),
            Operation::ReferenceNames {
                object: ObjectPath::Instance(path),
                filter,
            } => {
                let view = InstanceView {
                    class_origin: false,
                    properties: Some(Vec::new()),
                };
                let links = core.references(caller, source(path)?, filter, view)?;
                Response::Paths(object_paths(settled(crate::read::paths_of(links))?))
            }
            Operation::Associators {
                object: ObjectPath::Class(path),
                filter,
                view,
            } => {
                let names = core.class_associators(namespace, &path.class, &filter)?;
                Response::ClassesWithPath(core.classes_with_path(namespace, &names, &view))
            }
            Operation::AssociatorNames {
                object: ObjectPath::Class(path),
                filter,
            } => self.class_paths(
                namespace,
                core.class_associators(namespace, &path.class, &filter)?,
            ),
            Operation::References {
                object: ObjectPath::Class(path),
                filter,
                view,
            } => {
                let names = self.referring(namespace, &path, &filter)?;
                Response::ClassesWithPath(core.classes_with_path(namespace, &names, &view))
            }
            Operation::ReferenceNames {
                object: ObjectPath::Class(path),
                filter,
            } => {
                let names = self.referring(namespace, &path, &filter)?;
                self.class_paths(namespace, names)
            }
            _ => return Err(unreachable_operation()),
        })
    }

    fn referring(
        &self,
        namespace: &NamespaceName,
        path: &ClassPath,
        filter: &crate::request::ReferenceFilter,
    ) -> Result<Vec<ClassName>, CimError> {
        let found = self.core.class_references(
            namespace,
            &path.class,
            filter.result.as_ref(),
            filter.role.as_ref(),
        )?;
        let mut names: Vec<ClassName> = found.into_iter().map(|(name, _)| name).collect();
        names.dedup();
        Ok(names)
    }

    fn class_paths(&self, namespace: &NamespaceName, names: Vec<ClassName>) -> Response {
        let core = Rc::clone(&self.core);
        let namespace = namespace.clone();
        Response::Paths(Box::new(names.into_iter().map(move |name| {
            Ok(ObjectPath::Class(core.class_path(&namespace, &name)))
        })))
    }

    fn pulled(
        &self,
        caller: &Caller,
        namespace: &NamespaceName,
        operation: Operation,
    ) -> Result<Response, CimError> {
        let batch = match operation {
            Operation::OpenEnumerateInstances {
                class,
                depth,
                view,
                open,
            } => {
                let core = &self.core;
                core.require(namespace, &class)?;
                let stream =
                    self.filtered(caller, namespace, Some(&class), &open, view, |view| {
                        core.enumerate(caller, namespace, &class, depth, view)
                    })?;
                self.open(caller, namespace, &open, Objects::instances(stream))?
            }
            Operation::OpenEnumerateInstancePaths { class, open } => {
                let core = &self.core;
                core.require(namespace, &class)?;
                let stream = self.filtered(
                    caller,
                    namespace,
                    Some(&class),
                    &open,
                    no_properties(),
                    |view| {
                        core.enumerate(caller, namespace, &class, crate::request::Depth::Deep, view)
                    },
                )?;
                self.open(
                    caller,
                    namespace,
                    &open,
                    Objects::paths(crate::read::paths_of(stream)),
                )?
            }
            Operation::OpenAssociatorInstances {
                path,
                filter,
                view,
                open,
            } => {
                let source =
                    self.core
                        .association_source(caller, namespace, path, Existence::Checked)?;
                let class = filter.result.clone();
                let stream =
                    self.filtered(caller, namespace, class.as_ref(), &open, view, |view| {
                        self.core.associators(caller, source, filter, view)
                    })?;
                self.open(caller, namespace, &open, Objects::instances(stream))?
            }
            Operation::OpenAssociatorInstancePaths { path, filter, open } => {
                let source =
                    self.core
                        .association_source(caller, namespace, path, Existence::Checked)?;
                let class = filter.result.clone();
                let paths = match self.core.filter(namespace, class.as_ref(), &open)? {
                    None => self.core.associator_paths(caller, source, filter)?,
                    Some(query) => {
                        let stream = self.core.associators(
                            caller,
                            source,
                            filter,
                            InstanceView::default(),
                        )?;
                        crate::read::paths_of(self.core.filtered(
                            caller,
                            query,
                            no_properties(),
                            stream,
                        ))
                    }
                };
                self.open(caller, namespace, &open, Objects::paths(paths))?
            }
            Operation::OpenReferenceInstances {
                path,
                filter,
                view,
                open,
            } => {
                let stream =
                    self.opened_references(caller, namespace, path, filter, view, &open)?;
                self.open(caller, namespace, &open, Objects::instances(stream))?
            }
            Operation::OpenReferenceInstancePaths { path, filter, open } => {
                let stream = self.opened_references(
                    caller,
                    namespace,
                    path,
                    filter,
                    no_properties(),
                    &open,
                )?;
                self.open(
                    caller,
                    namespace,
                    &open,
                    Objects::paths(crate::read::paths_of(stream)),
                )?
            }
            Operation::OpenQueryInstances { open, result_class } => {
                self.open_query(caller, namespace, &open, result_class)?
            }
            Operation::Pull {
                kind,
                context,
                max_objects,
            } => self.enumerations.borrow_mut().pull(
                caller,
                namespace,
                &self.core.settings,
                kind,
                &context,
                max_objects,
            )?,
            Operation::CloseEnumeration { context } => {
                self.enumerations
                    .borrow_mut()
                    .close(caller, namespace, &context)?;
                return Ok(Response::Void);
            }
            Operation::EnumerationCount { context } => {
                let count = self
                    .enumerations
                    .borrow_mut()
                    .count(caller, namespace, &context)?;
                return Ok(Response::Count(count));
            }
            _ => return Err(unreachable_operation()),
        };
        Ok(Response::Batch(batch))
    }

    fn opened_references(
        &self,
        caller: &Caller,
        namespace: &NamespaceName,
        path: InstancePath,
        filter: crate::request::ReferenceFilter,
        view: InstanceView,
        open: &OpenOptions,
    ) -> Result<Stream<Instance>, CimError> {
        let source = self
            .core
            .association_source(caller, namespace, path, Existence::Checked)?;
        let class = filter.result.clone();
        self.filtered(caller, namespace, class.as_ref(), open, view, |view| {
            self.core.references(caller, source, filter, view)
        })
    }

    fn open(
        &self,
        caller: &Caller,
        namespace: &NamespaceName,
        options: &OpenOptions,
        objects: Objects,
    ) -> Result<Batch, CimError> {
        self.enumerations.borrow_mut().open(
            caller,
            namespace,
            &self.core.settings,
            options,
            objects,
        )
    }

    /// Opens a stream with the filter of the options: unfiltered it has the client's view, filtered it is cut
    /// to that view behind the filter.
    fn filtered(
        &self,
        caller: &Caller,
        namespace: &NamespaceName,
        class: Option<&ClassName>,
        options: &OpenOptions,
        view: InstanceView,
        stream: impl FnOnce(InstanceView) -> Result<Stream<Instance>, CimError>,
    ) -> Result<Stream<Instance>, CimError> {
        match self.core.filter(namespace, class, options)? {
            None => stream(view),
            Some(filter) => {
                let full = InstanceView {
                    class_origin: view.class_origin,
                    properties: None,
                };
                Ok(self.core.filtered(caller, filter, view, stream(full)?))
            }
        }
    }

    fn open_query(
        &self,
        caller: &Caller,
        namespace: &NamespaceName,
        options: &OpenOptions,
        result_class: bool,
    ) -> Result<Batch, CimError> {
        let (Some(language), Some(text)) = (&options.filter_language, &options.filter) else {
            return Err(invalid(
                "OpenQueryInstances needs FilterQueryLanguage and FilterQuery.",
            ));
        };
        let (query, rows) = self.core.query(caller, namespace, language, text)?;
        let mut batch = self.open(caller, namespace, options, Objects::rows(rows))?;
        if result_class {
            batch.result_class = self.core.result_class(namespace, &query).map(Box::new);
        }
        Ok(batch)
    }
}

fn no_properties() -> InstanceView {
    InstanceView {
        class_origin: false,
        properties: Some(Vec::new()),
    }
}

fn object_paths(paths: Stream<InstancePath>) -> Stream<ObjectPath> {
    Box::new(paths.map(|path| path.map(ObjectPath::Instance)))
}

/// The dispatcher hands each group only its own operations.
fn unreachable_operation() -> CimError {
    error(
        CimStatus::Failed,
        "The operation was dispatched to the wrong place; this is a defect of the server.",
    )
}
