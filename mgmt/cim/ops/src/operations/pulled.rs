//! The Open, Pull and Close operations.

use super::{Operations, no_properties, unreachable_operation};
use crate::caller::Caller;
use crate::enumeration::Objects;
use crate::fault::invalid;
use crate::request::{InstanceView, OpenOptions, Operation};
use crate::response::{Batch, Response, Stream};
use crate::traverse::Existence;
use alloc::boxed::Box;
use cim_model::{CimError, ClassName, Instance, InstancePath, NamespaceName};

impl Operations {
    pub(super) fn pulled(
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
