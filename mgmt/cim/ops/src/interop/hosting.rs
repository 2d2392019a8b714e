//! The system that the server runs on, and that it hosts the services and access points of the Interop
//! namespace.

use super::{Identity, SYSTEM_CLASS};
use crate::association::{Association, End, Link};
use crate::provider::{Context, Provider};
use crate::response::Stream;
use alloc::boxed::Box;
use cim_model::{CimError, ClassName, Instance, InstancePath, NamespaceName};

/// The class of the system.
pub(super) const CLASS: &str = "CIM_ComputerSystem";
/// EnabledState: enabled.
const ENABLED: u16 = 2;
/// OperationalStatus: OK.
const OK: u16 = 2;

/// The provider of the one system.
pub(super) struct HostingSystem(pub(super) Identity);

/// The path of the system.
pub(super) fn path(identity: &Identity) -> InstancePath {
    InstancePath::new(CLASS)
        .with_key("CreationClassName", SYSTEM_CLASS)
        .with_key("Name", identity.system.clone())
}

impl Provider for HostingSystem {
    fn enumerate(&self, _: &Context<'_>) -> Result<Stream<Instance>, CimError> {
        let instance = Instance::new(CLASS)
            .with("CreationClassName", SYSTEM_CLASS)
            .with("Name", self.0.system.clone())
            .with("ElementName", self.0.system.clone())
            .with("Description", "The system that the WBEM server runs on.")
            .with("EnabledState", ENABLED)
            .with("OperationalStatus", alloc::vec![OK]);
        Ok(Box::new(core::iter::once(Ok(instance))))
    }
}

/// The association, CIM_HostedService or CIM_HostedAccessPoint, between the system and one thing of a class that
/// it hosts.
pub(crate) fn hosted(
    identity: &Identity,
    interop: &NamespaceName,
    association: &'static str,
    class: &'static str,
    element: InstancePath,
) -> Association {
    let end = |role: &'static str, class: &'static str| End {
        role: role.into(),
        class: ClassName::from_static(class),
        namespace: interop.clone(),
    };
    let system = path(identity);
    Association {
        namespace: interop.clone(),
        class: ClassName::from_static(association),
        ends: [end("Antecedent", CLASS), end("Dependent", class)],
        forward: Box::new(move |_, _| {
            Ok(Box::new(core::iter::once(Ok(Link::from(element.clone())))))
        }),
        backward: Some(Box::new(move |_, _| {
            Ok(Box::new(core::iter::once(Ok(Link::from(system.clone())))))
        })),
        sources: None,
    }
}
