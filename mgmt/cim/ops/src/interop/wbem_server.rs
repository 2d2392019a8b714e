//! CIM_WBEMServer: the server as the WBEM Server profile has it (DSP1092), for clients that know no object manager.

use super::namespaces::Namespaces;
use super::{Central, Identity, Profile, SYSTEM_CLASS, server_namespaces};
use crate::fault::{error, invalid};
use crate::provider::{Context, Provider, argument};
use crate::request::Argument;
use crate::response::{MethodResult, Stream};
use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::vec::Vec;
use cim_model::{
    CimError, CimStatus, CimType, ClassName, Instance, InstancePath, MethodName, NamespaceName,
    ObjectPath, Text, Value, ValueType,
};

pub(super) const CLASS: &str = "CIM_WBEMServer";
/// EnabledState: enabled; RequestedState: not applicable.
const ENABLED: u16 = 2;
const NOT_APPLICABLE: u16 = 12;
/// OperationalStatus: OK.
const OK: u16 = 2;
/// HealthState: OK.
const HEALTHY: u16 = 5;

/// The provider of the one server.
pub(super) struct WbemServer {
    pub(super) identity: Identity,
    pub(super) namespaces: Rc<Namespaces>,
}

impl WbemServer {
    /// Makes the namespace that a template names.
    fn create_namespace(
        &self,
        context: &Context<'_>,
        arguments: &[Argument],
    ) -> Result<NamespaceName, CimError> {
        let template = argument(arguments, "NamespaceTemplate").and_then(Value::as_instance);
        let name = template.and_then(|template| template.get("Name")?.as_str());
        let name = name.ok_or_else(|| {
            invalid(format_args!(
                "NamespaceTemplate must be an instance of {} with a Name.",
                server_namespaces::CLASS
            ))
        })?;
        // Without slashes at either end.
        let name = NamespaceName::copy(name.trim_matches('/'));
        self.namespaces.make(context, &name)?;
        Ok(name)
    }
}

/// The path of the server.
pub(super) fn path(identity: &Identity) -> InstancePath {
    identity.service_path(CLASS, &identity.manager)
}

/// The profile, which references those of registration and indications where they are there.
pub(super) fn profile(identity: &Identity, interop: &NamespaceName, known: &[Profile]) -> Profile {
    let path = path(identity);
    let parts = ["Profile Registration", "Indications"];
    let parts = known
        .iter()
        .filter(|profile| parts.contains(&profile.name.as_str()));
    Profile {
        id: Text::from_static("BH:DSP1092-WBEMServer-1.0.0"),
        // Not "WBEM Server": where pywbem 1.9 finds that, its create_namespace takes the path of the server for an instance and
        // fails before it calls CreateWBEMServerNamespace, whatever a server does. With this name it creates a CIM_Namespace.
        name: Text::from_static("WBEM Server Profile"),
        version: Text::from_static("1.0.0"),
        references: parts.map(|profile| profile.id.clone()).collect(),
        central: Vec::from([Central {
            namespace: interop.clone(),
            class: ClassName::from_static(CLASS),
            elements: Rc::new(move |_| Ok(Box::new(core::iter::once(Ok(path.clone()))))),
        }]),
    }
}

impl Provider for WbemServer {
    fn enumerate(&self, _: &Context<'_>) -> Result<Stream<Instance>, CimError> {
        let Identity {
            system,
            manager,
            product,
            version,
        } = &self.identity;
        let instance = Instance::new(CLASS)
            .with("SystemCreationClassName", SYSTEM_CLASS)
            .with("SystemName", system.clone())
            .with("CreationClassName", CLASS)
            .with("Name", manager.clone())
            .with("ElementName", product.clone())
            .with(
                "Description",
                format!("{product} WBEM server version {version}"),
            )
            .with("EnabledState", ENABLED)
            .with("RequestedState", NOT_APPLICABLE)
            .with("OperationalStatus", alloc::vec![OK])
            .with("HealthState", HEALTHY)
            .with("Started", true);
        Ok(Box::new(core::iter::once(Ok(instance))))
    }

    fn invoke(
        &self,
        context: &Context<'_>,
        _: &ObjectPath,
        method: &MethodName,
        arguments: &[Argument],
    ) -> Result<MethodResult, CimError> {
        if *method != "CreateWBEMServerNamespace" {
            return Err(error(
                CimStatus::MethodNotAvailable,
                format_args!("The method {method} of {CLASS} is not available."),
            ));
        }
        const COMPLETED: u32 = 0;
        let name = self.create_namespace(context, arguments)?;
        let path = server_namespaces::path(&name).with_namespace(context.namespace.clone());
        Ok(MethodResult::new(COMPLETED)
            .with(Argument::new("Namespace", Value::from(path)))
            .with(Argument::new(
                "Errors",
                Value::Null(ValueType::array(CimType::String)),
            )))
    }
}
