//! CIM_WBEMServer: the server as the WBEM Server profile has it (DSP1092), for clients that know no object manager.

use super::{Central, Identity, Profile, SYSTEM_CLASS};
use crate::provider::{Context, Provider};
use crate::response::Stream;
use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::vec::Vec;
use cim_model::{CimError, ClassName, Instance, InstancePath, NamespaceName, Text};

pub(super) const CLASS: &str = "CIM_WBEMServer";
/// EnabledState: enabled; RequestedState: not applicable.
const ENABLED: u16 = 2;
const NOT_APPLICABLE: u16 = 12;
/// OperationalStatus: OK.
const OK: u16 = 2;
/// HealthState: OK.
const HEALTHY: u16 = 5;

/// The provider of the one server.
pub(super) struct WbemServer(pub(super) Identity);

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
        // Not "WBEM Server": where pywbem 1.9 finds that, it calls a method of the server to make a namespace, and
        // fails before it has called it.
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
        } = &self.0;
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
}
