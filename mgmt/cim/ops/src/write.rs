//! Writing instances: CreateInstance, ModifyInstance and DeleteInstance, and the checks in front of providers.

use crate::caller::Caller;
use crate::engine::Engine;
use crate::events::{Event, EventKind};
use crate::fault::{error, invalid, no_instance, unsupported};
use crate::layout::Layout;
use crate::provider::Context;
use crate::registry::Source;
use crate::request::InstanceView;
use crate::shape::{Shaper, path_from_keys};
use alloc::rc::Rc;
use alloc::vec::Vec;
use cim_model::{
    CimError, CimStatus, Instance, InstancePath, KeyValue, NamespaceName, Property, PropertyName,
    Value,
};

impl Engine {
    /// CreateInstance.
    ///
    /// # Errors
    /// INVALID_CLASS, INVALID_PARAMETER, NOT_SUPPORTED, ALREADY_EXISTS, or the provider's.
    pub(crate) fn create_instance(
        self: &Rc<Self>,
        caller: &Caller,
        namespace: &NamespaceName,
        instance: Instance,
    ) -> Result<InstancePath, CimError> {
        let layout = self.require(namespace, &instance.class)?;
        let properties = self.typed(
            namespace,
            &layout,
            instance.properties,
            CimStatus::InvalidParameter,
        )?;
        let instance = Instance {
            class: layout.class.clone(),
            path: None,
            qualifiers: Vec::new(),
            properties,
        };
        let not_supported = || {
            unsupported(format_args!(
                "Instances of {} cannot be created.",
                layout.class
            ))
        };
        let context = Context {
            caller,
            namespace,
            class: &layout.class,
            properties: None,
        };
        let (mut path, raises_events) = match self.source(namespace, &layout.class) {
            Some(Source::Provider(provider)) => (
                provider.create(&context, instance)?,
                provider.raises_events(),
            ),
            Some(Source::Stored) if !layout.is_abstract && !layout.keys.is_empty() => {
                (self.store_created(namespace, &layout, instance)?, false)
            }
            _ => return Err(not_supported()),
        };
        self.normalize(namespace, &mut path)?;
        if !raises_events {
            self.raise(namespace, || {
                Ok(self
                    .snapshot(caller, namespace, &path)?
                    .map(EventKind::Created))
            });
        }
        path.host = Some(self.settings.host.clone());
        Ok(path)
    }

    fn store_created(
        &self,
        namespace: &NamespaceName,
        layout: &Layout,
        mut instance: Instance,
    ) -> Result<InstancePath, CimError> {
        for declared in &layout.properties {
            if !declared.default.is_null() && instance.property(declared.name.as_str()).is_none() {
                instance.properties.push(Property::new(
                    declared.name.clone(),
                    declared.default.clone(),
                ));
            }
        }
        let mut path = path_from_keys(layout, &instance.properties)?;
        self.normalize_as(namespace, &mut path, layout, 4)?;
        instance.path = Some(path.clone());
        self.catalog.borrow_mut().store_new(namespace, instance)?;
        Ok(path)
    }

    /// ModifyInstance. Without a property list every property of the instance is set; with one, a listed
    /// property that the instance lacks is set to its default.
    ///
    /// # Errors
    /// INVALID_CLASS, NOT_FOUND, NO_SUCH_PROPERTY, TYPE_MISMATCH, INVALID_PARAMETER for a changed key,
    /// NOT_SUPPORTED, or the provider's.
    pub(crate) fn modify_instance(
        self: &Rc<Self>,
        caller: &Caller,
        namespace: &NamespaceName,
        instance: Instance,
        list: Option<Vec<PropertyName>>,
    ) -> Result<(), CimError> {
        let Some(mut path) = instance.path else {
            return Err(invalid("The modified instance has no path."));
        };
        let layout = self.normalize(namespace, &mut path)?;
        if layout.class != instance.class {
            return Err(invalid(format_args!(
                "The path names the class {}, but the instance is of the class {}.",
                layout.class, instance.class
            )));
        }
        let mut given = self.typed(
            namespace,
            &layout,
            instance.properties,
            CimStatus::TypeMismatch,
        )?;
        if let Some(list) = list {
            given.retain(|property| list.contains(&property.name));
            for name in list {
                let declared = layout
                    .property(name.as_str())
                    .ok_or_else(|| no_property(&layout, &name))?;
                if !given.iter().any(|property| property.name == name) {
                    given.push(Property::new(
                        declared.name.clone(),
                        declared.default.clone(),
                    ));
                }
            }
        }
        let context = Context {
            caller,
            namespace,
            class: &layout.class,
            properties: None,
        };
        let source = self.source(namespace, &layout.class);
        let before = self
            .fetch(caller, namespace, &path, None)?
            .ok_or_else(|| no_instance(&path))?;
        drop_unchanged_keys(&layout, &path, &mut given)?;
        drop_unchanged_values(&before, &mut given);
        if given.is_empty() {
            return Ok(());
        }
        let change = Instance {
            class: layout.class.clone(),
            path: Some(path.clone()),
            qualifiers: Vec::new(),
            properties: given,
        };
        let shaped_before = self.events.is_wanted().then(|| {
            let shaper = plain_shaper(namespace);
            shaper.shape(
                self,
                &layout,
                Instance {
                    path: Some(path.clone()),
                    ..before.clone()
                },
            )
        });
        let raises_events = match source {
            Some(Source::Provider(provider)) => {
                provider.modify(&context, &path, change)?;
                provider.raises_events()
            }
            Some(Source::Stored) => {
                let mut after = before;
                for property in change.properties {
                    after.set(property.name, property.value);
                }
                after.path = Some(path.clone());
                self.catalog.borrow_mut().store_over(namespace, after)?;
                false
            }
            _ => {
                return Err(unsupported(format_args!(
                    "Instances of {} cannot be modified.",
                    layout.class
                )));
            }
        };
        if !raises_events && let Some(Ok(before)) = shaped_before {
            self.raise(namespace, || {
                let after = self.snapshot(caller, namespace, &path)?;
                Ok(after.map(|after| EventKind::Modified { before, after }))
            });
        }
        Ok(())
    }

    /// DeleteInstance.
    ///
    /// # Errors
    /// INVALID_CLASS, INVALID_PARAMETER, NOT_FOUND, NOT_SUPPORTED, or the provider's.
    pub(crate) fn delete_instance(
        self: &Rc<Self>,
        caller: &Caller,
        namespace: &NamespaceName,
        mut path: InstancePath,
    ) -> Result<(), CimError> {
        let layout = self.normalize(namespace, &mut path)?;
        let before = self
            .snapshot(caller, namespace, &path)?
            .ok_or_else(|| no_instance(&path))?;
        let context = Context {
            caller,
            namespace,
            class: &layout.class,
            properties: None,
        };
        let raises_events = match self.source(namespace, &layout.class) {
            Some(Source::Provider(provider)) => {
                provider.delete(&context, &path)?;
                provider.raises_events()
            }
            Some(Source::Stored) => {
                self.catalog.borrow_mut().remove_stored(namespace, &path)?;
                false
            }
            _ => {
                return Err(unsupported(format_args!(
                    "Instances of {} cannot be deleted.",
                    layout.class
                )));
            }
        };
        if !raises_events {
            self.raise(namespace, || Ok(Some(EventKind::Deleted(before))));
        }
        Ok(())
    }

    /// The complete instance of a normalized path.
    pub(crate) fn snapshot(
        self: &Rc<Self>,
        caller: &Caller,
        namespace: &NamespaceName,
        path: &InstancePath,
    ) -> Result<Option<Instance>, CimError> {
        let layout = self.require(namespace, &path.class)?;
        self.get_shaped(caller, &layout, path, &plain_shaper(namespace))
    }

    /// Raises an event if anybody wants it. The change has already happened, so a provider that cannot show
    /// the instance any more must not turn success into failure.
    fn raise(
        &self,
        namespace: &NamespaceName,
        make: impl FnOnce() -> Result<Option<EventKind>, CimError>,
    ) {
        if self.events.is_wanted()
            && let Ok(Some(kind)) = make()
        {
            self.events.raise(Event {
                namespace: namespace.clone(),
                kind,
            });
        }
    }

    /// Brings given properties to the names and types of the schema.
    fn typed(
        &self,
        namespace: &NamespaceName,
        layout: &Layout,
        given: Vec<Property>,
        mismatch: CimStatus,
    ) -> Result<Vec<Property>, CimError> {
        let mut typed: Vec<Property> = Vec::with_capacity(given.len());
        for property in given {
            let declared = layout
                .property(property.name.as_str())
                .ok_or_else(|| no_property(layout, &property.name))?;
            let mut value = property.value.coerce(declared.ty).map_err(|fault| {
                error(
                    mismatch,
                    format_args!("The property {}: {fault}.", declared.name),
                )
            })?;
            if declared.embedded.is_some() {
                let element = format_args!("The property {}", declared.name);
                value = self.read_embedded_value(value, declared.ty, element)?;
            }
            self.normalize_references(namespace, &mut value)?;
            if typed.iter().any(|known| known.name == declared.name) {
                return Err(invalid(format_args!(
                    "The property {} is given twice.",
                    declared.name
                )));
            }
            typed.push(Property::new(declared.name.clone(), value));
        }
        Ok(typed)
    }
}

fn plain_shaper(namespace: &NamespaceName) -> Shaper {
    Shaper::new(namespace.clone(), InstanceView::default())
}

fn no_property(layout: &Layout, name: &PropertyName) -> CimError {
    error(
        CimStatus::NoSuchProperty,
        format_args!("The class {} has no property {name}.", layout.class),
    )
}

/// Keys may come along unchanged; clients modify what they got. Another value is an error.
fn drop_unchanged_keys(
    layout: &Layout,
    path: &InstancePath,
    given: &mut Vec<Property>,
) -> Result<(), CimError> {
    for (name, _) in &layout.keys {
        let Some(index) = given.iter().position(|property| property.name == *name) else {
            continue;
        };
        let property = given.swap_remove(index);
        let same = match property.value {
            Value::Scalar(scalar) => KeyValue::try_from(scalar)
                .is_ok_and(|value| path.key(name.as_str()) == Some(&value)),
            Value::Null(_) => true,
            Value::Array(_) => false,
        };
        if !same {
            return Err(invalid(format_args!("The key {name} cannot be modified.")));
        }
    }
    Ok(())
}

/// Old clients send back the whole instance they have read; what is as it was is no change, and providers must
/// not refuse it.
fn drop_unchanged_values(before: &Instance, given: &mut Vec<Property>) {
    given.retain(|property| match before.get(property.name.as_str()) {
        Some(value) => *value != property.value,
        None => !property.value.is_null(),
    });
}
