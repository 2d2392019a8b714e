//! What the indication service is associated with: its host, its capabilities and settings, and the filters,
//! collections and destinations that it works with.

use super::{COLLECTION, DESTINATION, FILTER, Shared, capabilities, service, static_filter};
use crate::association::{Association, End, Link, Walk};
use crate::interop;
use crate::response::Stream;
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use cim_model::{CimError, ClassName, Instance, InstancePath, Property};

/// ElementEffects: manages.
const MANAGES: u16 = 5;
/// Characteristics of CIM_ElementCapabilities: current.
const CURRENT: u16 = 3;
/// IsDefault and IsCurrent of CIM_ElementSettingData: yes and no.
const YES: u16 = 1;
const NO: u16 = 2;

/// All of them.
pub(super) fn all(shared: &Rc<Shared>) -> Vec<Association> {
    let service = service::path(&shared.identity);
    let host = interop::hosted(
        &shared.identity,
        &shared.interop,
        "CIM_HostedService",
        service::CLASS,
        service,
    );
    Vec::from([
        host,
        of_service(
            shared,
            "CIM_ElementCapabilities",
            ["ManagedElement", "Capabilities"],
            capabilities::CLASS,
            one(shared, |shared| Link {
                target: capabilities::capabilities_path(&shared.identity),
                properties: Vec::from([Property::new("Characteristics", Vec::from([CURRENT]))]),
            }),
        ),
        of_service(
            shared,
            "CIM_ElementSettingData",
            ["ManagedElement", "SettingData"],
            capabilities::SETTING,
            one(shared, |shared| Link {
                target: capabilities::setting_path(&shared.identity),
                properties: Vec::from([
                    Property::new("IsDefault", YES),
                    Property::new("IsCurrent", is_current(shared)),
                ]),
            }),
        ),
        affects(shared, FILTER, |shared| {
            let made = shared.kept.stream(FILTER);
            Box::new(shared.static_filters().into_iter().map(Ok).chain(made))
        }),
        affects(shared, DESTINATION, |shared| {
            shared.kept.stream(DESTINATION)
        }),
        affects(shared, COLLECTION, |shared| {
            let path = static_filter::collection_path(shared);
            Box::new(core::iter::once(Ok(
                Instance::new(COLLECTION).with_path(path)
            )))
        }),
        of_service(
            shared,
            "CIM_OwningCollectionElement",
            ["OwningElement", "OwnedElement"],
            COLLECTION,
            one(shared, |shared| {
                Link::from(static_filter::collection_path(shared))
            }),
        ),
        members(shared),
    ])
}

fn is_current(shared: &Shared) -> u16 {
    if shared.settings.get().shows_like(&shared.defaults) {
        YES
    } else {
        NO
    }
}

/// A walk that always ends at one instance.
fn one(shared: &Rc<Shared>, link: fn(&Shared) -> Link) -> Walk {
    let shared = Rc::clone(shared);
    Box::new(move |_, _| Ok(Box::new(core::iter::once(Ok(link(&shared))))))
}

/// An association from the service, which is at its first end, to instances of a class.
fn of_service(
    shared: &Shared,
    class: &'static str,
    [near, far]: [&'static str; 2],
    far_class: &'static str,
    forward: Walk,
) -> Association {
    let end = |role: &'static str, class: &'static str| End {
        role: role.into(),
        class: ClassName::from_static(class),
        namespace: shared.interop.clone(),
    };
    let service = service::path(&shared.identity);
    Association {
        namespace: shared.interop.clone(),
        class: ClassName::from_static(class),
        ends: [end(near, service::CLASS), end(far, far_class)],
        forward,
        backward: Some(Box::new(move |_, _| {
            Ok(Box::new(core::iter::once(Ok(Link::from(service.clone())))))
        })),
        sources: None,
    }
}

/// CIM_ServiceAffectsElement from the service to everything of a class that it works with.
fn affects(
    shared: &Rc<Shared>,
    class: &'static str,
    instances: fn(&Shared) -> Stream<Instance>,
) -> Association {
    let effects = || Property::new("ElementEffects", Vec::from([MANAGES]));
    let kept = Rc::clone(shared);
    let service = service::path(&shared.identity);
    let forward: Walk = Box::new(move |_, _| {
        let instances = instances(&kept);
        Ok(Box::new(instances.filter_map(
            move |instance| match instance {
                Ok(instance) => instance.path.map(|target| {
                    Ok(Link {
                        target,
                        properties: Vec::from([effects()]),
                    })
                }),
                Err(error) => Some(Err(error)),
            },
        )))
    });
    Association {
        backward: Some(Box::new(move |_, _| {
            Ok(Box::new(core::iter::once(Ok(Link {
                target: service.clone(),
                properties: Vec::from([effects()]),
            }))))
        })),
        ..of_service(
            shared,
            "CIM_ServiceAffectsElement",
            ["AffectingElement", "AffectedElement"],
            class,
            forward,
        )
    }
}

/// CIM_MemberOfCollection from the collection to the static filters.
fn members(shared: &Rc<Shared>) -> Association {
    let end = |role: &'static str, class: &'static str| End {
        role: role.into(),
        class: ClassName::from_static(class),
        namespace: shared.interop.clone(),
    };
    let (members, owner) = (Rc::clone(shared), Rc::clone(shared));
    Association {
        namespace: shared.interop.clone(),
        class: ClassName::from_static("CIM_MemberOfCollection"),
        ends: [end("Collection", COLLECTION), end("Member", FILTER)],
        forward: Box::new(move |_, _| {
            let filters = members.static_filters().into_iter();
            Ok(links(filters.filter_map(|filter| filter.path)))
        }),
        backward: Some(Box::new(move |_, filter| {
            let collection = owner
                .static_filter(filter)
                .map(|_| static_filter::collection_path(&owner));
            Ok(links(collection.into_iter()))
        })),
        sources: None,
    }
}

fn links(paths: impl Iterator<Item = InstancePath>) -> Stream<Link> {
    let links: Vec<Result<Link, CimError>> = paths.map(|path| Ok(Link::from(path))).collect();
    Box::new(links.into_iter())
}
