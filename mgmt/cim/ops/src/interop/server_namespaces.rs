//! CIM_WBEMServerNamespace: the namespaces as the WBEM Server profile has them (DSP1092). They are made by the server's method
//! and removed as instances.

use super::namespaces::Namespaces;
use crate::fault::error;
use crate::provider::{Context, Provider};
use crate::response::Stream;
use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::vec::Vec;
use cim_model::{CimError, CimStatus, Instance, InstancePath, NamespaceName};

pub(super) const CLASS: &str = "CIM_WBEMServerNamespace";
/// What every InstanceID begins with.
const PREFIX: &str = "BH:namespace/";

/// The provider.
pub(super) struct ServerNamespaces(pub(super) Rc<Namespaces>);

/// The path of a namespace.
pub(super) fn path(name: &NamespaceName) -> InstancePath {
    InstancePath::new(CLASS).with_key("InstanceID", format!("{PREFIX}{name}"))
}

impl Provider for ServerNamespaces {
    fn enumerate(&self, _: &Context<'_>) -> Result<Stream<Instance>, CimError> {
        let instance = |name: &NamespaceName| {
            Ok(Instance::new(CLASS)
                .with("InstanceID", format!("{PREFIX}{name}"))
                .with("ElementName", name.text().clone())
                .with("Name", name.text().clone()))
        };
        let instances: Vec<_> = self.0.names().iter().map(instance).collect();
        Ok(Box::new(instances.into_iter()))
    }

    fn delete(&self, context: &Context<'_>, path: &InstancePath) -> Result<(), CimError> {
        let id = path.key("InstanceID").and_then(|key| key.as_str());
        let name = id.and_then(|id| id.strip_prefix(PREFIX)).ok_or_else(|| {
            let what = format_args!("There is no such namespace.");
            error(CimStatus::NotFound, what)
        })?;
        self.0.remove(context, &NamespaceName::copy(name))
    }
}
