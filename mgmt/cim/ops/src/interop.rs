//! The Interop namespace: what the server says about itself (DSP1033, and the classes that clients of the
//! legacy Object Manager model read).

mod audit_log;
mod hosting;
mod manager;
mod namespaces;
mod profiles;
mod server_namespaces;
mod wbem_server;

pub(crate) use hosting::hosted;
pub use profiles::{Central, Elements, Profile};

use crate::association::{Association, End, Link, Walk};
use crate::builder::Builder;
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use cim_model::{ClassName, InstancePath, NamespaceName, Text};
use manager::{Manager, Mechanism};
use namespaces::Namespaces;

/// How the server names itself.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The name of the system that the server runs on; part of many keys.
    pub system: Text,
    /// The name of this object manager, unique in its network and the same after a restart.
    pub manager: Text,
    /// The product.
    pub product: Text,
    /// Its version, starting with a digit and without blanks.
    pub version: Text,
}

/// The class of the system that the server runs on.
pub(crate) const SYSTEM_CLASS: Text = Text::from_static("CIM_ComputerSystem");

impl Identity {
    /// The path of the object manager.
    pub(crate) fn manager_path(&self, namespace: &NamespaceName) -> InstancePath {
        self.service_path("CIM_ObjectManager", &self.manager)
            .with_namespace(namespace.clone())
    }

    /// The path of a service or access point of the system, which all have the same four keys.
    pub(crate) fn service_path(&self, class: &'static str, name: &Text) -> InstancePath {
        InstancePath::new(class)
            .with_key("SystemCreationClassName", SYSTEM_CLASS)
            .with_key("SystemName", self.system.clone())
            .with_key("CreationClassName", class)
            .with_key("Name", name.clone())
    }
}

/// Adds the Interop providers and the registered profiles to a server. The profile of registration itself
/// (DSP1033) comes along.
#[must_use]
pub fn install(builder: Builder, identity: &Identity, profiles: Vec<Profile>) -> Builder {
    let interop = builder.settings().interop();
    let namespaces = Rc::new(Namespaces {
        catalog: builder.catalog(),
        identity: identity.clone(),
    });
    let mechanism = Mechanism {
        identity: identity.clone(),
        max_timeout: builder.settings().max_timeout,
    };
    let mechanism_path = mechanism.path();
    let manager_host = hosted(
        identity,
        &interop,
        "CIM_HostedService",
        "CIM_ObjectManager",
        identity.manager_path(&interop),
    );
    let mechanism_host = hosted(
        identity,
        &interop,
        "CIM_HostedAccessPoint",
        "CIM_CIMXMLCommunicationMechanism",
        mechanism_path.clone(),
    );
    let server_host = hosted(
        identity,
        &interop,
        "CIM_HostedService",
        wbem_server::CLASS,
        wbem_server::path(identity),
    );
    let in_manager = {
        let namespaces = Rc::clone(&namespaces);
        Box::new(move |_: &crate::Context<'_>, _: &InstancePath| namespaces.paths())
    };
    let by_mechanism = Box::new(move |_: &crate::Context<'_>, _: &InstancePath| {
        let link = Link::from(mechanism_path.clone());
        Ok(Box::new(core::iter::once(Ok(link))) as crate::Stream<Link>)
    });
    let builder = builder
        .provider(
            interop.clone(),
            "CIM_Namespace",
            Rc::clone(&namespaces) as _,
        )
        .provider(
            interop.clone(),
            "CIM_ObjectManager",
            Rc::new(Manager::new(identity.clone())),
        )
        .provider(
            interop.clone(),
            "CIM_CIMXMLCommunicationMechanism",
            Rc::new(mechanism),
        )
        .provider(
            interop.clone(),
            hosting::CLASS,
            Rc::new(hosting::HostingSystem(identity.clone())),
        )
        .provider(
            interop.clone(),
            wbem_server::CLASS,
            Rc::new(wbem_server::WbemServer {
                identity: identity.clone(),
                namespaces: Rc::clone(&namespaces),
            }),
        )
        .provider(
            interop.clone(),
            server_namespaces::CLASS,
            Rc::new(server_namespaces::ServerNamespaces(Rc::clone(&namespaces))),
        )
        .association(manager_host)
        .association(server_host)
        .association(mechanism_host)
        .association(of_manager(
            &interop,
            identity,
            "CIM_NamespaceInManager",
            "CIM_Namespace",
            in_manager,
        ))
        .association(of_manager(
            &interop,
            identity,
            "CIM_CommMechanismForManager",
            "CIM_ObjectManagerCommunicationMechanism",
            by_mechanism,
        ));
    let builder = audit_log::install(builder, &interop, identity);
    profiles::install(builder, &interop, identity, profiles)
}

/// An association from the one object manager to everything of a class.
fn of_manager(
    interop: &NamespaceName,
    identity: &Identity,
    class: &'static str,
    far: &'static str,
    forward: Walk,
) -> Association {
    let end = |role: &'static str, class: &'static str| End {
        role: role.into(),
        class: ClassName::from_static(class),
        namespace: interop.clone(),
    };
    let manager = identity.manager_path(interop);
    Association {
        namespace: interop.clone(),
        class: ClassName::from_static(class),
        ends: [
            end("Antecedent", "CIM_ObjectManager"),
            end("Dependent", far),
        ],
        forward,
        backward: Some(Box::new(move |_, _| {
            Ok(Box::new(core::iter::once(Ok(Link::from(manager.clone())))))
        })),
        sources: None,
    }
}
