//! [`Elements`]: the one provider of all elements.

use crate::element::{Element, METRIC_VALUE};
use crate::model::Model;
use crate::{elements, methods, shown};
use alloc::boxed::Box;
use cim_model::{CimError, CimStatus, Instance, InstancePath, MethodName, ObjectPath};
use cim_ops::{Argument, Context, MethodResult, Provider, Stream};

/// Serves every class that the domain shows in.
pub(crate) struct Elements(pub(crate) Model);

impl Elements {
    fn element(&self, path: &InstancePath) -> Option<Element> {
        self.0.read(|domain| Element::of(path, domain))
    }
}

/// Adds the time to what is measured when it is asked for; the domain reads no clock.
fn taken_at(unix_micros: i64, instance: Instance) -> Instance {
    if instance.class == *METRIC_VALUE {
        return instance.with("TimeStamp", shown::moment(unix_micros));
    }
    instance
}

impl Provider for Elements {
    fn enumerate(&self, context: &Context<'_>) -> Result<Stream<Instance>, CimError> {
        let list = self
            .0
            .read(|domain| elements::of_class(domain, context.class));
        let model = self.0.clone();
        // What has gone since the list was made is left out.
        let instances = list
            .into_iter()
            .filter_map(move |element| model.read(|domain| shown::instance(domain, &element)));
        let now = context.caller.clock.unix_micros;
        Ok(Box::new(
            instances.map(move |instance| Ok(taken_at(now, instance))),
        ))
    }

    fn get(
        &self,
        context: &Context<'_>,
        path: &InstancePath,
    ) -> Result<Option<Instance>, CimError> {
        let instance = self.0.read(|domain| {
            let element = Element::of(path, domain)?;
            shown::instance(domain, &element)
        });
        let now = context.caller.clock.unix_micros;
        Ok(instance.map(|instance| taken_at(now, instance)))
    }

    fn modify(
        &self,
        context: &Context<'_>,
        path: &InstancePath,
        change: Instance,
    ) -> Result<(), CimError> {
        let element = self.element(path).ok_or(CimStatus::NotFound)?;
        methods::modify(&self.0, context, &element, change)
    }

    fn delete(&self, context: &Context<'_>, path: &InstancePath) -> Result<(), CimError> {
        let element = self.element(path).ok_or(CimStatus::NotFound)?;
        methods::delete(&self.0, context, &element)
    }

    fn invoke(
        &self,
        context: &Context<'_>,
        object: &ObjectPath,
        method: &MethodName,
        arguments: &[Argument],
    ) -> Result<MethodResult, CimError> {
        let element = object.as_instance().and_then(|path| self.element(path));
        let element = element.ok_or(CimStatus::NotFound)?;
        methods::invoke(&self.0, context, &element, method, arguments)
    }

    fn raises_events(&self) -> bool {
        true
    }
}
