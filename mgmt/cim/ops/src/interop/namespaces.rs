//! CIM_Namespace: one instance per namespace; creating and deleting them makes and removes namespaces.

use super::{Identity, SYSTEM_CLASS};
use crate::association::Link;
use crate::caller::Role;
use crate::catalog::{Catalog, SchemaKind};
use crate::fault::{error, invalid, unsupported};
use crate::provider::{Context, Provider};
use crate::response::Stream;
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use cim_model::{CimError, CimStatus, Instance, InstancePath, NamespaceName, Text, Value};
use core::cell::RefCell;

const CLASS: &str = "CIM_Namespace";
/// ClassInfo and ClassType: a namespace of CIM classes.
const CLASS_INFO_UNKNOWN: u16 = 0;
const CLASS_TYPE_CIM: u16 = 2;

/// The provider.
pub(super) struct Namespaces {
    pub(super) catalog: Rc<RefCell<Catalog>>,
    pub(super) identity: Identity,
}

impl Namespaces {
    fn path(&self, name: &NamespaceName) -> InstancePath {
        InstancePath::new(CLASS)
            .with_key("SystemCreationClassName", SYSTEM_CLASS)
            .with_key("SystemName", self.identity.system.clone())
            .with_key("ObjectManagerCreationClassName", "CIM_ObjectManager")
            .with_key("ObjectManagerName", self.identity.manager.clone())
            .with_key("CreationClassName", CLASS)
            .with_key("Name", name.text().clone())
    }

    fn instance(&self, name: &NamespaceName) -> Instance {
        Instance::new(CLASS)
            .with("SystemCreationClassName", SYSTEM_CLASS)
            .with("SystemName", self.identity.system.clone())
            .with("ObjectManagerCreationClassName", "CIM_ObjectManager")
            .with("ObjectManagerName", self.identity.manager.clone())
            .with("CreationClassName", CLASS)
            .with("Name", name.text().clone())
            .with("ElementName", name.text().clone())
            .with("ClassInfo", CLASS_INFO_UNKNOWN)
            .with("ClassType", CLASS_TYPE_CIM)
            .with("ClassTypeVersion", "2.49.0")
    }

    pub(super) fn names(&self) -> Vec<NamespaceName> {
        self.catalog.borrow().namespaces().cloned().collect()
    }

    pub(super) fn paths(&self) -> Result<Stream<Link>, CimError> {
        let paths: Vec<_> = self
            .names()
            .iter()
            .map(|name| Ok(Link::from(self.path(name))))
            .collect();
        Ok(Box::new(paths.into_iter()))
    }

    /// Makes a namespace.
    ///
    /// # Errors
    /// ACCESS_DENIED, ALREADY_EXISTS, INVALID_PARAMETER for what can be none.
    pub(super) fn make(&self, context: &Context<'_>, name: &NamespaceName) -> Result<(), CimError> {
        Self::check_administrator(context)?;
        self.catalog.borrow_mut().create_namespace(name)
    }

    /// Removes an empty namespace.
    ///
    /// # Errors
    /// ACCESS_DENIED, NAMESPACE_NOT_EMPTY.
    pub(super) fn remove(
        &self,
        context: &Context<'_>,
        name: &NamespaceName,
    ) -> Result<(), CimError> {
        Self::check_administrator(context)?;
        let kind = self.catalog.borrow().schema_kind(name);
        match kind {
            Some(SchemaKind::BuiltIn) => Err(error(
                CimStatus::NamespaceNotEmpty,
                format_args!("The namespace \"{name}\" holds the built-in schema."),
            )),
            Some(SchemaKind::Empty) => self.catalog.borrow_mut().delete_namespace(name),
            None => Err(unsupported(Text::from_static(
                "There is no such namespace.",
            ))),
        }
    }

    fn check_administrator(context: &Context<'_>) -> Result<(), CimError> {
        if context.caller.role == Role::Administrator {
            return Ok(());
        }
        Err(error(
            CimStatus::AccessDenied,
            "Only an administrator makes and removes namespaces.",
        ))
    }
}

impl Provider for Namespaces {
    fn enumerate(&self, _: &Context<'_>) -> Result<Stream<Instance>, CimError> {
        let instances: Vec<_> = self
            .names()
            .iter()
            .map(|name| Ok(self.instance(name)))
            .collect();
        Ok(Box::new(instances.into_iter()))
    }

    fn create(&self, context: &Context<'_>, instance: Instance) -> Result<InstancePath, CimError> {
        Self::check_administrator(context)?;
        let name = instance
            .get("Name")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let name = NamespaceName::copy(name);
        // The other keys describe this server; what a client guessed for them does not matter unless wrong.
        let path = self.path(&name);
        for key in path.keys().iter().filter(|key| key.name != "Name") {
            let given = instance.get(key.name.as_str()).and_then(Value::as_str);
            if given.is_some_and(|given| {
                key.value
                    .as_str()
                    .is_some_and(|own| !own.eq_ignore_ascii_case(given))
            }) {
                return Err(invalid(format_args!(
                    "The key {} must be \"{}\".",
                    key.name, key.value
                )));
            }
        }
        self.make(context, &name)?;
        Ok(path)
    }

    fn delete(&self, context: &Context<'_>, path: &InstancePath) -> Result<(), CimError> {
        let name = path.key("Name").and_then(|key| key.as_str());
        self.remove(context, &NamespaceName::copy(name.unwrap_or_default()))
    }
}
