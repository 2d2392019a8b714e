//! Extrinsic methods: finding the method, typing its arguments, and calling the provider.

use crate::caller::Caller;
use crate::engine::Engine;
use crate::fault::{error, invalid, no_instance};
use crate::provider::Context;
use crate::registry::Source;
use crate::request::{Argument, ClassView};
use crate::response::MethodResult;
use alloc::rc::Rc;
use alloc::vec::Vec;
use cim_model::{
    CimError, CimStatus, ClassPath, MethodDecl, MethodName, NamespaceName, ObjectPath,
    ParameterDecl, Value,
};

impl Engine {
    /// Invokes a method.
    ///
    /// # Errors
    /// INVALID_CLASS, METHOD_NOT_FOUND, INVALID_PARAMETER, NOT_FOUND, METHOD_NOT_AVAILABLE, or the provider's.
    pub(crate) fn invoke(
        self: &Rc<Self>,
        caller: &Caller,
        namespace: &NamespaceName,
        object: ObjectPath,
        method: &MethodName,
        arguments: Vec<Argument>,
    ) -> Result<MethodResult, CimError> {
        let layout = self.require(namespace, object.class())?;
        let view = ClassView {
            properties: Some(Vec::new()),
            ..ClassView::FULL
        };
        let class = self
            .catalog
            .borrow()
            .declaration(namespace, &layout.class, &view);
        let declared = class
            .as_ref()
            .and_then(|class| class.method(method.as_str()))
            .ok_or_else(|| {
                error(
                    CimStatus::MethodNotFound,
                    format_args!("The class {} has no method {method}.", layout.class),
                )
            })?;
        let object = match object {
            ObjectPath::Instance(mut path) => {
                self.normalize_as(namespace, &mut path, &layout, 4)?;
                if self.fetch(caller, namespace, &path, Some(&[]))?.is_none() {
                    return Err(no_instance(&path));
                }
                ObjectPath::Instance(path)
            }
            ObjectPath::Class(path) => {
                if !declared.is_static() {
                    return Err(invalid(format_args!(
                        "The method {} is invoked on instances, not on the class.",
                        declared.name
                    )));
                }
                ObjectPath::Class(ClassPath {
                    host: None,
                    namespace: Some(namespace.clone()),
                    ..path
                })
            }
        };
        let arguments = self.typed_arguments(namespace, declared, arguments)?;
        let context = Context {
            caller,
            namespace,
            class: &layout.class,
            properties: None,
        };
        match self.source(namespace, &layout.class) {
            Some(Source::Provider(provider)) => {
                provider.invoke(&context, &object, &declared.name, &arguments)
            }
            _ => Err(error(
                CimStatus::MethodNotAvailable,
                format_args!(
                    "The method {} of {} is not available.",
                    declared.name, layout.class
                ),
            )),
        }
    }

    /// The input arguments in the order and the types of the declaration; missing ones are NULL.
    fn typed_arguments(
        &self,
        namespace: &NamespaceName,
        method: &MethodDecl,
        mut given: Vec<Argument>,
    ) -> Result<Vec<Argument>, CimError> {
        let mut typed = Vec::with_capacity(method.parameters.len());
        for parameter in method
            .parameters
            .iter()
            .filter(|parameter| parameter.is_input())
        {
            let found = given
                .iter()
                .position(|argument| argument.name == parameter.name);
            let value = match found {
                Some(index) => {
                    self.typed_argument(namespace, parameter, given.swap_remove(index).value)?
                }
                None => Value::Null(parameter.ty),
            };
            typed.push(Argument {
                name: parameter.name.clone(),
                value,
            });
        }
        // Clients that repeat output parameters as NULL mean no harm.
        let outputs = |argument: &Argument| {
            argument.value.is_null()
                && method
                    .parameter(argument.name.as_str())
                    .is_some_and(ParameterDecl::is_output)
        };
        match given.iter().find(|argument| !outputs(argument)) {
            None => Ok(typed),
            Some(stranger) => Err(invalid(format_args!(
                "The method {} has no input parameter {}, or it is given twice.",
                method.name, stranger.name
            ))),
        }
    }

    fn typed_argument(
        &self,
        namespace: &NamespaceName,
        parameter: &ParameterDecl,
        value: Value,
    ) -> Result<Value, CimError> {
        let mut value = value
            .coerce(parameter.ty)
            .map_err(|fault| invalid(format_args!("The parameter {}: {fault}.", parameter.name)))?;
        if parameter.embedded_kind().is_some() {
            let element = format_args!("The parameter {}", parameter.name);
            value = self.read_embedded_value(value, parameter.ty, element)?;
        }
        self.normalize_references(namespace, &mut value)?;
        Ok(value)
    }
}
