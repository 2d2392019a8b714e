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
use core::cell::RefCell;

/// References in keys may nest: an association whose end is an association.
const MAX_PATH_DEPTH: usize = 4;

/// Where the properties of a class are in what a provider returns. Instances of one provider list the same
/// properties in the same order, so that the plan for one serves the next, and no name has to be looked for.
#[derive(Clone, Default)]
pub(crate) struct Plan {
    /// For each property of the class, its index in the given list.
    sources: Vec<Option<usize>>,
}

impl Plan {
    /// Makes the plan fit a list; mostly it does already.
    fn fit(&mut self, layout: &Layout, given: &[Property]) {
        if self.fits(layout, given) {
            return;
        }
        self.sources.clear();
        self.sources.resize(layout.properties.len(), None);
        let mut guess = 0;
        for (index, property) in given.iter().enumerate() {
            // A property that the class does not have is a slip of the provider that clients need not see.
            if let Some(position) = layout.position_from(guess, property.name.as_str()) {
                guess = position + 1;
                if let Some(source) = self.sources.get_mut(position) {
                    *source = Some(index);
                }
            }
        }
    }

    fn fits(&self, layout: &Layout, given: &[Property]) -> bool {
        let mut found = 0;
        self.sources.len() == layout.properties.len()
            && layout
                .properties
                .iter()
                .zip(&self.sources)
                .all(|(declared, source)| match source {
                    None => true,
                    Some(index) => {
                        found += 1;
                        given
                            .get(*index)
                            .is_some_and(|property| declared.is_named(property.name.as_str()))
                    }
                })
            && found == given.len()
    }
}

/// How instances of one response look.
#[derive(Clone)]
pub(crate) struct Shaper {
    pub(crate) namespace: NamespaceName,
    /// Only these properties; names are checked against each class as it comes.
    pub(crate) view: InstanceView,
    /// With DeepInheritance FALSE, only properties of this class.
    pub(crate) trim: Option<Rc<Layout>>,
    /// Kept from one instance to the next.
    pub(crate) plan: RefCell<Plan>,
}

impl Shaper {
    /// A shaper for a view on a namespace.
    pub(crate) fn new(namespace: NamespaceName, view: InstanceView) -> Self {
        Shaper {
            namespace,
            view,
            trim: None,
            plan: RefCell::default(),
        }
    }
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
        let properties = self.properties(layout, raw.properties)?;
        Ok(Instance {
            class: layout.class.clone(),
            path: Some(path),
            qualifiers: Vec::new(),
            properties,
        })
    }

    /// The properties of the class in its order, each with the given value or NULL.
    fn properties(
        &self,
        layout: &Layout,
        mut given: Vec<Property>,
    ) -> Result<Vec<Property>, CimError> {
        let mut plan = self.plan.borrow_mut();
        plan.fit(layout, &given);
        let mut shown = Vec::with_capacity(layout.properties.len());
        for (declared, source) in layout.properties.iter().zip(&plan.sources) {
            if !self.shows(declared) {
                continue;
            }
            let found = source.and_then(|index| given.get_mut(index));
            let value = found
                .map(|found| core::mem::replace(&mut found.value, Value::null(CimType::Boolean)));
            shown.push(self.property(declared, value)?);
        }
        Ok(shown)
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
        found: Option<Value>,
    ) -> Result<Property, CimError> {
        let mut value = match found {
            Some(found) if found.value_type() == declared.ty => found,
            Some(found) => found.coerce(declared.ty).map_err(|fault| {
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
