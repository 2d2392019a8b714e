//! [`Provider`]: the port through which the domain model shows as instances of a class.

use crate::caller::Caller;
use crate::fault::{error, unsupported};
use crate::request::Argument;
use crate::response::{MethodResult, Stream};
use cim_model::{
    CimError, CimStatus, ClassName, Instance, InstancePath, MethodName, NamespaceName, ObjectPath,
    PropertyName,
};

/// What a provider is asked, and by whom.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The client.
    pub caller: &'a Caller,
    /// The namespace of the request.
    pub namespace: &'a NamespaceName,
    /// The class that the provider is asked as; one provider may serve several.
    pub class: &'a ClassName,
    /// The properties that will be used, so that costly ones can be left out; `None` for all.
    pub properties: Option<&'a [PropertyName]>,
}

impl Context<'_> {
    /// Whether a property will be used.
    pub fn wants(&self, property: &str) -> bool {
        self.properties
            .is_none_or(|wanted| wanted.iter().any(|name| *name == *property))
    }
}

/// Serves the instances of one class (or several) in a namespace.
///
/// The operations layer has checked namespace, class, rights, key names and types, and completes what comes
/// back: it orders properties as the schema does, adds missing ones as NULL, applies the property list, and
/// derives paths from the keys. Providers hold their own handle to the domain model; streams must own what
/// they need, because they outlive the call.
pub trait Provider {
    /// Every instance whose creation class is `context.class`, lazily.
    ///
    /// # Errors
    /// A [`CimError`] that becomes the answer.
    fn enumerate(&self, context: &Context<'_>) -> Result<Stream<Instance>, CimError>;

    /// One instance; `None` if there is none. The default looks through the enumeration.
    ///
    /// # Errors
    /// A [`CimError`] that becomes the answer.
    fn get(
        &self,
        context: &Context<'_>,
        path: &InstancePath,
    ) -> Result<Option<Instance>, CimError> {
        for instance in self.enumerate(context)? {
            let instance = instance?;
            let same = path.keys().iter().all(|key| match &instance.path {
                Some(path) => path.key(key.name.as_str()) == Some(&key.value),
                None => instance.get(key.name.as_str()).is_some_and(|value| {
                    value.as_scalar().is_some_and(|scalar| {
                        cim_model::KeyValue::try_from(scalar.clone())
                            .is_ok_and(|value| value == key.value)
                    })
                }),
            });
            if same {
                return Ok(Some(instance));
            }
        }
        Ok(None)
    }

    /// Makes an instance and tells its path; values have the types of the schema.
    ///
    /// # Errors
    /// A [`CimError`] that becomes the answer; by default NOT_SUPPORTED.
    fn create(&self, context: &Context<'_>, instance: Instance) -> Result<InstancePath, CimError> {
        let _ = instance;
        Err(unsupported(format_args!(
            "Instances of {} cannot be created.",
            context.class
        )))
    }

    /// Changes an instance that exists: `change` holds exactly the properties to be set, none of them a key.
    ///
    /// # Errors
    /// A [`CimError`] that becomes the answer; by default NOT_SUPPORTED.
    fn modify(
        &self,
        context: &Context<'_>,
        path: &InstancePath,
        change: Instance,
    ) -> Result<(), CimError> {
        let _ = (path, change);
        Err(unsupported(format_args!(
            "Instances of {} cannot be modified.",
            context.class
        )))
    }

    /// Deletes an instance that exists.
    ///
    /// # Errors
    /// A [`CimError`] that becomes the answer; by default NOT_SUPPORTED.
    fn delete(&self, context: &Context<'_>, path: &InstancePath) -> Result<(), CimError> {
        let _ = path;
        Err(unsupported(format_args!(
            "Instances of {} cannot be deleted.",
            context.class
        )))
    }

    /// Invokes a method that the class has; input arguments have the types of the schema, and those that the
    /// client left out are NULL.
    ///
    /// # Errors
    /// A [`CimError`] that becomes the answer; by default METHOD_NOT_AVAILABLE.
    fn invoke(
        &self,
        context: &Context<'_>,
        object: &ObjectPath,
        method: &MethodName,
        arguments: &[Argument],
    ) -> Result<MethodResult, CimError> {
        let _ = (object, arguments);
        Err(error(
            CimStatus::MethodNotAvailable,
            format_args!("The method {method} of {} is not available.", context.class),
        ))
    }

    /// Whether the provider raises its own life-cycle events. Otherwise the operations raise them after
    /// CreateInstance, ModifyInstance and DeleteInstance.
    fn raises_events(&self) -> bool {
        false
    }
}

/// The value of an argument; `None` if it is NULL.
pub fn argument<'a>(arguments: &'a [Argument], name: &str) -> Option<&'a cim_model::Value> {
    arguments
        .iter()
        .find(|argument| argument.name == *name)
        .map(|argument| &argument.value)
        .filter(|value| !value.is_null())
}
