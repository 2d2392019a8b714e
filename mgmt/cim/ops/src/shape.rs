//! Completing what providers return: property order, NULLs, types, property lists and paths.

use crate::engine::Engine;
use crate::fault::{error, invalid};
use crate::layout::{Layout, PropertyLayout};
use crate::request::InstanceView;
use alloc::rc::Rc;
use alloc::vec::Vec;
use cim_model::{
    CimError, CimStatus, CimType, Instance, InstancePath, KeyValue, NamespaceName, ObjectPath,
    Property, PropertyName, Scalar, Value,
};

/// References in keys may nest: an association whose end is an association.
const MAX_PATH_DEPTH: usize = 4;

/// How instances of one response look.
#[derive(Clone)]
pub(crate) struct Shaper {
    pub(crate) namespace: NamespaceName,
    /// Only these properties; names are checked against each class as it comes.
    pub(crate) view: InstanceView,
    /// With DeepInheritance FALSE, only properties of this class.
    pub(crate) trim: Option<Rc<Layout>>,
}

impl Shaper {
    /// The names a provider is asked for: the keys are needed for the path.
    pub(crate) fn wanted(&self, layout: &Layout) -> Option<Vec<PropertyName>> {
        let mut names = self.view.properties.clone()?;
        names.extend(layout.keys.iter().map(|(name, _)| name.clone()));
        Some(names)
    }

    /// Brings an instance to the shape of its class.
    pub(crate) fn shape(
        &self,
        core: &Engine,
        layout: &Layout,
        raw: Instance,
    ) -> Result<Instance, CimError> {
        let path = match raw.path {
            Some(path) if path.keys().len() == layout.keys.len() => path,
            _ => path_from_keys(layout, &raw.properties)?,
        };
        let mut path = path;
        path.class = layout.class.clone();
        path.host = Some(core.settings.host.clone());
        if path.namespace.is_none() {
            path.namespace = Some(self.namespace.clone());
        }
        let mut given = raw.properties;
        let mut properties = Vec::with_capacity(layout.properties.len());
        // Providers mostly list properties in schema order, so the next one is usually the right one.
        let mut hint = 0;
        for declared in &layout.properties {
            if !self.shows(declared) {
                continue;
            }
            let found = take_named(&mut given, declared.name.as_str(), &mut hint);
            properties.push(self.property(declared, found)?);
        }
        Ok(Instance {
            class: layout.class.clone(),
            path: Some(path),
            qualifiers: Vec::new(),
            properties,
        })
    }

    fn shows(&self, property: &PropertyLayout) -> bool {
        let listed = self
            .view
            .properties
            .as_ref()
            .is_none_or(|list| list.contains(&property.name));
        listed
            && self
                .trim
                .as_ref()
                .is_none_or(|layout| layout.property(property.name.as_str()).is_some())
    }

    fn property(
        &self,
        declared: &PropertyLayout,
        found: Option<Property>,
    ) -> Result<Property, CimError> {
        let mut value = match found {
            Some(found) if found.value.value_type() == declared.ty => found.value,
            Some(found) => found.value.coerce(declared.ty).map_err(|fault| {
                error(
                    CimStatus::Failed,
                    format_args!("The property {} is broken: {fault}.", declared.name),
                )
            })?,
            None => Value::Null(declared.ty),
        };
        if declared.ty.ty == CimType::Reference {
            self.complete_references(&mut value);
        }
        Ok(Property {
            name: declared.name.clone(),
            class_origin: self.view.class_origin.then(|| declared.origin.clone()),
            propagated: false,
            embedded: declared.embedded,
            reference_class: declared.reference_class.clone(),
            array_size: declared.array_size,
            qualifiers: Vec::new(),
            value,
        })
    }

    /// A reference without namespace would change its meaning on the way to the client.
    fn complete_references(&self, value: &mut Value) {
        let complete = |scalar: &mut Scalar| {
            if let Scalar::Reference(path) = scalar
                && path.namespace().is_none()
            {
                path.set_namespace(Some(self.namespace.clone()));
            }
        };
        match value {
            Value::Scalar(scalar) => complete(scalar),
            Value::Array(array) => array.items.iter_mut().flatten().for_each(complete),
            Value::Null(_) => {}
        }
    }
}

/// Takes a property out of a list, looking first where the last search ended.
fn take_named(given: &mut [Property], name: &str, hint: &mut usize) -> Option<Property> {
    let len = given.len();
    let index = (0..len)
        .map(|step| {
            if *hint + step < len {
                *hint + step
            } else {
                *hint + step - len
            }
        })
        .find(|index| {
            given
                .get(*index)
                .is_some_and(|property| property.name == *name)
        })?;
    *hint = index + 1;
    let slot = given.get_mut(index)?;
    let empty = Property::new(PropertyName::from_static(""), Value::null(CimType::Boolean));
    Some(core::mem::replace(slot, empty))
}

/// The path that the key properties of an instance give.
pub(crate) fn path_from_keys(
    layout: &Layout,
    properties: &[Property],
) -> Result<InstancePath, CimError> {
    let mut path = InstancePath::new(layout.class.clone());
    for (name, ty) in &layout.keys {
        let missing = || {
            invalid(format_args!(
                "The instance has no value for the key {name}."
            ))
        };
        let property = properties
            .iter()
            .find(|property| property.name == *name)
            .ok_or_else(missing)?;
        let value = property.value.clone().coerce((*ty).into());
        let Ok(Value::Scalar(scalar)) = value else {
            return Err(missing());
        };
        let key = KeyValue::try_from(scalar).map_err(|_| missing())?;
        path.set_key(name.clone(), key);
    }
    Ok(path)
}

impl Engine {
    /// Brings the keys of a path to the names and types of its class, and its references to full paths.
    ///
    /// # Errors
    /// INVALID_CLASS, or INVALID_PARAMETER for wrong keys.
    pub(crate) fn normalize(
        &self,
        namespace: &NamespaceName,
        path: &mut InstancePath,
    ) -> Result<Rc<Layout>, CimError> {
        let layout = self.require(namespace, &path.class)?;
        self.normalize_as(namespace, path, &layout, MAX_PATH_DEPTH)?;
        Ok(layout)
    }

    pub(crate) fn normalize_as(
        &self,
        namespace: &NamespaceName,
        path: &mut InstancePath,
        layout: &Layout,
        depth: usize,
    ) -> Result<(), CimError> {
        path.class = layout.class.clone();
        path.host = None;
        path.namespace = Some(namespace.clone());
        path.normalize(&layout.keys)
            .map_err(|fault| invalid(format_args!("{path}: {fault}.")))?;
        let Some(depth) = depth.checked_sub(1) else {
            return Err(invalid(format_args!(
                "The references in {path} are nested too deeply."
            )));
        };
        for (name, ty) in &layout.keys {
            if *ty != CimType::Reference {
                continue;
            }
            let target = path
                .key(name.as_str())
                .and_then(KeyValue::as_instance_path)
                .cloned();
            if let Some(mut target) = target {
                self.normalize_target(namespace, &mut target, depth)?;
                path.set_key(name.clone(), target);
            }
        }
        Ok(())
    }

    /// Normalizes a path that is a value: its class may be unknown here, and then it stays as it is.
    pub(crate) fn normalize_target(
        &self,
        namespace: &NamespaceName,
        target: &mut InstancePath,
        depth: usize,
    ) -> Result<(), CimError> {
        target.host = None;
        let space = match &target.namespace {
            Some(other) => match self.catalog.borrow().find_namespace(other) {
                Ok(known) => known,
                Err(_) => return Ok(()),
            },
            None => namespace.clone(),
        };
        target.namespace = Some(space.clone());
        let Some(layout) = self.layout(&space, &target.class) else {
            return Ok(());
        };
        // A reference with incomplete keys is a reference to nothing, which is not an error by itself.
        let original = target.clone();
        if self.normalize_as(&space, target, &layout, depth).is_err() {
            *target = original;
        }
        Ok(())
    }

    /// The same for every reference in a value.
    pub(crate) fn normalize_references(
        &self,
        namespace: &NamespaceName,
        value: &mut Value,
    ) -> Result<(), CimError> {
        let normalize = |scalar: &mut Scalar| match scalar {
            Scalar::Reference(path) => match path.as_mut() {
                ObjectPath::Instance(target) => {
                    self.normalize_target(namespace, target, MAX_PATH_DEPTH)
                }
                ObjectPath::Class(_) => Ok(()),
            },
            _ => Ok(()),
        };
        match value {
            Value::Scalar(scalar) => normalize(scalar),
            Value::Array(array) => array.items.iter_mut().flatten().try_for_each(normalize),
            Value::Null(_) => Ok(()),
        }
    }
}
