//! Registered profiles (DSP1033): CIM_RegisteredProfile, CIM_ReferencedProfile, and
//! CIM_ElementConformsToProfile, which reaches from the Interop namespace into the others.

use super::{Identity, wbem_server};
use crate::association::{Association, End, Link};
use crate::builder::Builder;
use crate::provider::{Context, Provider};
use crate::request::Argument;
use crate::response::{MethodResult, Stream};
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use cim_model::{
    CimError, CimStatus, CimType, ClassName, Instance, InstancePath, MethodName, NamespaceName,
    ObjectPath, Text, Value,
};

/// Lists the elements that conform to a profile.
pub type Elements = Rc<dyn Fn(&Context<'_>) -> Result<Stream<InstancePath>, CimError>>;

/// A profile that the server implements.
#[derive(Clone)]
pub struct Profile {
    /// InstanceID, as in `BH:DSP1042-SystemVirtualization-1.0.0`.
    pub id: Text,
    /// RegisteredName.
    pub name: Text,
    /// RegisteredVersion.
    pub version: Text,
    /// The InstanceIDs of the profiles that this one references: its components.
    pub references: Vec<Text>,
    /// Its central instances.
    pub central: Vec<Central>,
}

/// The central instances of a profile in one class.
#[derive(Clone)]
pub struct Central {
    /// Their namespace.
    pub namespace: NamespaceName,
    /// Their class or a superclass of it.
    pub class: ClassName,
    /// The instances; their paths may lack the namespace.
    pub elements: Elements,
}

const CLASS: &str = "CIM_RegisteredProfile";
/// RegisteredOrganization: DMTF.
const DMTF: u16 = 2;
/// AdvertiseTypes: not advertised.
const NOT_ADVERTISED: u16 = 2;
/// SpecificationType: profile.
const PROFILE: u16 = 2;

fn path_of(id: &Text) -> InstancePath {
    InstancePath::new(CLASS).with_key("InstanceID", id.clone())
}

fn id_in(path: &InstancePath) -> &str {
    path.key("InstanceID")
        .and_then(|key| key.as_str())
        .unwrap_or_default()
}

struct Profiles {
    list: Rc<Vec<Profile>>,
}

impl Provider for Profiles {
    fn enumerate(&self, _: &Context<'_>) -> Result<Stream<Instance>, CimError> {
        let list = Rc::clone(&self.list);
        let mut next = 0;
        Ok(Box::new(core::iter::from_fn(move || {
            let profile = list.get(next)?;
            next += 1;
            Some(Ok(Instance::new(CLASS)
                .with("InstanceID", profile.id.clone())
                .with("ElementName", profile.name.clone())
                .with("SpecificationType", PROFILE)
                .with("RegisteredOrganization", DMTF)
                .with("RegisteredName", profile.name.clone())
                .with("RegisteredVersion", profile.version.clone())
                .with("AdvertiseTypes", alloc::vec![NOT_ADVERTISED])))
        })))
    }

    fn invoke(
        &self,
        context: &Context<'_>,
        object: &ObjectPath,
        method: &MethodName,
        _: &[Argument],
    ) -> Result<MethodResult, CimError> {
        let ObjectPath::Instance(path) = object else {
            return Err(not_available(method));
        };
        if *method != "GetCentralInstances" {
            return Err(not_available(method));
        }
        let mut paths: Vec<ObjectPath> = Vec::new();
        let found = self
            .list
            .iter()
            .find(|profile| profile.id.as_str() == id_in(path));
        for central in found.into_iter().flat_map(|profile| &profile.central) {
            for element in (central.elements)(context)? {
                paths.push(element?.with_namespace(central.namespace.clone()).into());
            }
        }
        let outputs = Value::array(CimType::Reference, paths);
        Ok(MethodResult::new(0u8).with(Argument::new("CentralInstances", outputs)))
    }
}

fn not_available(method: &MethodName) -> CimError {
    crate::fault::error(
        CimStatus::MethodNotAvailable,
        format_args!("The method {method} of {CLASS} is not available."),
    )
}

/// Registers the profiles and their associations.
pub(super) fn install(
    builder: Builder,
    interop: &NamespaceName,
    identity: &Identity,
    profiles: Vec<Profile>,
) -> Builder {
    let list = Rc::new(with_registration(interop, identity, profiles));
    let namespaces = builder.settings().namespaces.clone();
    let builder = builder
        .provider(
            interop.clone(),
            CLASS,
            Rc::new(Profiles {
                list: Rc::clone(&list),
            }),
        )
        .association(references(interop, &list));
    namespaces.into_iter().fold(builder, |builder, namespace| {
        builder.association(conformance(interop, namespace, &list))
    })
}

/// Adds the profile of registration itself, whose central instances are all registered profiles, and the server's, which
/// references it.
fn with_registration(
    interop: &NamespaceName,
    identity: &Identity,
    mut profiles: Vec<Profile>,
) -> Vec<Profile> {
    let id = Text::from_static("BH:DSP1033-ProfileRegistration-1.0.0");
    let mut ids: Vec<Text> = profiles.iter().map(|profile| profile.id.clone()).collect();
    ids.push(id.clone());
    ids.push(wbem_server::profile(identity, interop, &[]).id);
    profiles.push(Profile {
        id,
        name: Text::from_static("Profile Registration"),
        version: Text::from_static("1.0.0"),
        references: Vec::new(),
        central: Vec::from([Central {
            namespace: interop.clone(),
            class: ClassName::from_static(CLASS),
            elements: Rc::new(move |_| {
                let paths: Vec<_> = ids.iter().map(|id| Ok(path_of(id))).collect();
                Ok(Box::new(paths.into_iter()))
            }),
        }]),
    });
    profiles.push(wbem_server::profile(identity, interop, &profiles));
    profiles
}

fn end(role: &'static str, class: &'static str, namespace: &NamespaceName) -> End {
    End {
        role: role.into(),
        class: ClassName::from_static(class),
        namespace: namespace.clone(),
    }
}

/// CIM_ReferencedProfile: the component profile is the antecedent of the one that references it.
fn references(interop: &NamespaceName, list: &Rc<Vec<Profile>>) -> Association {
    let (users, components) = (Rc::clone(list), Rc::clone(list));
    Association {
        namespace: interop.clone(),
        class: ClassName::from_static("CIM_ReferencedProfile"),
        ends: [
            end("Antecedent", CLASS, interop),
            end("Dependent", CLASS, interop),
        ],
        forward: Box::new(move |_, from| {
            let id = id_in(from);
            let using = users
                .iter()
                .filter(|profile| profile.references.iter().any(|known| known.as_str() == id));
            Ok(links(using.map(|profile| path_of(&profile.id))))
        }),
        backward: Some(Box::new(move |_, from| {
            let profile = components
                .iter()
                .find(|profile| profile.id.as_str() == id_in(from));
            let used = profile.into_iter().flat_map(|profile| &profile.references);
            Ok(links(used.map(path_of)))
        })),
        sources: None,
    }
}

/// CIM_ElementConformsToProfile for the elements of one namespace.
fn conformance(
    interop: &NamespaceName,
    elements: NamespaceName,
    list: &Rc<Vec<Profile>>,
) -> Association {
    let (profiles, conforming) = (Rc::clone(list), Rc::clone(list));
    let (space, element_space) = (elements.clone(), elements.clone());
    Association {
        namespace: interop.clone(),
        class: ClassName::from_static("CIM_ElementConformsToProfile"),
        ends: [
            end("ConformantStandard", CLASS, interop),
            end("ManagedElement", "CIM_ManagedElement", &elements),
        ],
        forward: Box::new(move |context, from| {
            let mut found: Vec<Stream<InstancePath>> = Vec::new();
            let profile = profiles
                .iter()
                .find(|profile| profile.id.as_str() == id_in(from));
            for central in profile.into_iter().flat_map(|profile| &profile.central) {
                if central.namespace == space {
                    found.push((central.elements)(context)?);
                }
            }
            let paths = found.into_iter().flatten();
            Ok(Box::new(paths.map(|path| path.map(Link::from))))
        }),
        backward: Some(Box::new(move |context, from| {
            let mut found = Vec::new();
            for profile in conforming.iter() {
                if is_central(profile, context, from, &element_space)? {
                    found.push(path_of(&profile.id));
                }
            }
            Ok(links(found.into_iter()))
        })),
        sources: None,
    }
}

fn is_central(
    profile: &Profile,
    context: &Context<'_>,
    element: &InstancePath,
    namespace: &NamespaceName,
) -> Result<bool, CimError> {
    for central in &profile.central {
        if central.namespace != *namespace
            || !cim_schema::is_a(element.class.as_str(), central.class.as_str())
        {
            continue;
        }
        for candidate in (central.elements)(context)? {
            let candidate = candidate?;
            if candidate.class == element.class && candidate.keys() == element.keys() {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn links(paths: impl Iterator<Item = InstancePath>) -> Stream<Link> {
    let links: Vec<_> = paths.map(|path| Ok(Link::from(path))).collect();
    Box::new(links.into_iter())
}
