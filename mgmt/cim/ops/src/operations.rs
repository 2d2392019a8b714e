//! [`Operations`]: the one entry for every operation of DSP0200.

mod pulled;

use crate::audit::{AuditRecord, AuditTrail};
use crate::caller::{Caller, Clock};
use crate::engine::{Engine, settled};
use crate::enumeration::Enumerations;
use crate::events::EventQueue;
use crate::fault::error;
use crate::request::{ClassView, InstanceView, Operation, Request};
use crate::response::{Response, Stream};
use crate::traverse::Existence;
use alloc::boxed::Box;
use alloc::format;
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
    audit: AuditTrail,
}

impl Operations {
    /// Carries out one operation.
    ///
    /// # Errors
    /// The [`CimError`] that the client gets. Checks come in the order rights, namespace, class, instance.
    pub fn execute(&self, caller: &Caller, request: Request) -> Result<Response, CimError> {
        let audited = request.operation.audited(&request.namespace);
        let namespace = request.namespace.clone();
        let result = self.checked(caller, request);
        if let Some((operation, mut target)) = audited {
            if let Ok(Response::InstanceName(path)) = &result {
                target = format!("{namespace}:{}", path.to_local());
            }
            self.audit.record(AuditRecord {
                unix_micros: caller.clock.unix_micros,
                user: caller.user.clone(),
                peer: caller.peer.clone(),
                operation,
                target,
                failure: result.as_ref().err().map(|error| error.status),
            });
        }
        result
    }

    /// The oldest audit record that has not been taken.
    pub fn take_audit(&self) -> Option<AuditRecord> {
        self.audit.take()
    }

    /// The audit trail, for what is to be recorded besides operations.
    pub const fn audit(&self) -> &AuditTrail {
        &self.audit
    }

    /// Drops what has timed out; called now and then.
    pub fn tick(&self, clock: Clock) {
        self.enumerations.borrow_mut().expire(clock);
    }

    /// The queue of life-cycle events.
    pub fn events(&self) -> &EventQueue {
        &self.core.events
    }

    /// A new operations layer over finished parts.
    pub(crate) fn new(engine: Engine, audit: AuditTrail) -> Self {
        Operations {
            core: Rc::new(engine),
            enumerations: RefCell::default(),
            audit,
        }
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
