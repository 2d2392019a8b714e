//! Walking associations between instances.
//!
//! There are two kinds: declared ones, which know how to walk ([`Association`]), and those whose instances a
//! provider or the store holds, which are found by looking through them.

use crate::association::{Association, Link, Side};
use crate::caller::Caller;
use crate::engine::Engine;
use crate::layout::{ClassKind, Layout};
use crate::provider::Context;
use crate::registry::Source;
use crate::response::Stream;
use crate::shape::Shaper;
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use cim_model::{
    CimError, ClassName, Instance, InstancePath, NamespaceName, Property, PropertyName, Value,
};

/// One association instance that refers to the source, and one instance at its other end.
pub(crate) struct Hit {
    /// The association class.
    pub(crate) layout: Rc<Layout>,
    /// The namespace of the association instance.
    pub(crate) namespace: NamespaceName,
    /// The association instance, not yet shaped.
    pub(crate) link: Instance,
    /// The instance at the other end, normalized.
    pub(crate) far: InstancePath,
    /// Whether the same instance may be hit again.
    pub(crate) may_repeat: bool,
}

/// Which hits are wanted.
#[derive(Clone, Default)]
pub(crate) struct Wanted {
    /// The association class or a superclass of it.
    pub(crate) association: Option<ClassName>,
    /// The reference that points to the source.
    pub(crate) role: Option<PropertyName>,
    /// The reference that points away from it.
    pub(crate) far_role: Option<PropertyName>,
}

enum Way {
    Declared(Rc<Association>, Side),
    Searched(Rc<Layout>, Source),
}

impl Engine {
    /// Every hit from an instance; none if it does not exist. The path is normalized.
    pub(crate) fn hits(
        self: &Rc<Self>,
        caller: &Caller,
        from: InstancePath,
        wanted: Wanted,
    ) -> Stream<Hit> {
        let core = Rc::clone(self);
        let caller = caller.clone();
        // Providers walk from whatever they are given, so somebody must look whether it is there.
        let namespace = from.namespace.clone().unwrap_or_default();
        let exists = match self.fetch(&caller, &namespace, &from, Some(&[])) {
            Ok(found) => found.is_some(),
            Err(error) => return Box::new(core::iter::once(Err(error))),
        };
        let ways = if exists {
            self.ways(&from, &wanted)
        } else {
            Vec::new()
        };
        let repeats = self.may_repeat(&ways, &namespace);
        let mut ways = ways.into_iter().zip(repeats);
        let mut current: Option<(Stream<Hit>, bool)> = None;
        Box::new(core::iter::from_fn(move || {
            loop {
                if let Some((stream, may_repeat)) = &mut current
                    && let Some(hit) = stream.next()
                {
                    let may_repeat = *may_repeat;
                    return Some(hit.map(|hit| Hit { may_repeat, ..hit }));
                }
                let (way, may_repeat) = ways.next()?;
                let opened = match way {
                    Way::Declared(association, side) => {
                        core.walk(&caller, &association, side, &from)
                    }
                    Way::Searched(layout, source) => {
                        core.search(&caller, layout, &source, &from, &wanted)
                    }
                };
                match opened {
                    Ok(stream) => current = Some((stream, may_repeat)),
                    Err(error) => return Some(Err(error)),
                }
            }
        }))
    }

    /// For each way, whether its far instances may also be found over another way or twice over the same one.
    fn may_repeat(&self, ways: &[Way], namespace: &NamespaceName) -> Vec<bool> {
        let ends: Vec<Vec<(NamespaceName, ClassName)>> = ways
            .iter()
            .map(|way| match way {
                Way::Declared(association, side) => {
                    let (_, far) = association.ends_from(*side);
                    Vec::from([(far.namespace.clone(), far.class.clone())])
                }
                Way::Searched(layout, _) => layout
                    .references()
                    .filter_map(|reference| {
                        Some((namespace.clone(), reference.reference_class.clone()?))
                    })
                    .collect(),
            })
            .collect();
        let related = |one: &(NamespaceName, ClassName), other: &(NamespaceName, ClassName)| {
            one.0 == other.0
                && (self.is_a(&one.0, &one.1, &other.1) || self.is_a(&one.0, &other.1, &one.1))
        };
        let overlaps = |index: usize, own: &[(NamespaceName, ClassName)]| {
            ends.iter().enumerate().any(|(other, far)| {
                other != index
                    && own
                        .iter()
                        .any(|one| far.iter().any(|two| related(one, two)))
            })
        };
        ways.iter()
            .zip(&ends)
            .enumerate()
            .map(|(index, (way, own))| matches!(way, Way::Searched(..)) || overlaps(index, own))
            .collect()
    }

    fn ways(&self, from: &InstancePath, wanted: &Wanted) -> Vec<Way> {
        let Some(namespace) = &from.namespace else {
            return Vec::new();
        };
        let mut ways = Vec::new();
        for association in self.registry.associations() {
            let fits = wanted
                .association
                .as_ref()
                .is_none_or(|class| self.is_a(&association.namespace, &association.class, class));
            if !fits {
                continue;
            }
            for side in Side::BOTH {
                let (near, far) = association.ends_from(side);
                if near.namespace == *namespace
                    && role_fits(wanted.role.as_ref(), &near.role)
                    && role_fits(wanted.far_role.as_ref(), &far.role)
                    && self.is_a(namespace, &from.class, &near.class)
                {
                    ways.push(Way::Declared(Rc::clone(association), side));
                }
            }
        }
        let providers = self.registry.providers(namespace);
        let mut searched: Vec<(ClassName, Source)> = providers
            .map(|(class, provider)| (class.clone(), Source::Provider(Rc::clone(provider))))
            .collect();
        let clients = self.catalog.borrow().client_classes(namespace);
        searched.extend(clients.into_iter().map(|class| (class, Source::Stored)));
        for (class, source) in searched {
            let Some(layout) = self.layout(namespace, &class) else {
                continue;
            };
            if layout.kind != ClassKind::Association
                || wanted
                    .association
                    .as_ref()
                    .is_some_and(|wanted| !self.is_a(namespace, &class, wanted))
            {
                continue;
            }
            let refers = layout.references().any(|reference| {
                role_fits(wanted.role.as_ref(), &reference.name)
                    && reference
                        .reference_class
                        .as_ref()
                        .is_none_or(|target| self.is_a(namespace, &from.class, target))
            });
            if refers {
                ways.push(Way::Searched(layout, source));
            }
        }
        ways
    }

    fn walk(
        self: &Rc<Self>,
        caller: &Caller,
        association: &Rc<Association>,
        side: Side,
        from: &InstancePath,
    ) -> Result<Stream<Hit>, CimError> {
        let layout = self.require(&association.namespace, &association.class)?;
        let links = self.links(caller, association, side, from)?;
        let core = Rc::clone(self);
        let association = Rc::clone(association);
        let near = from.clone();
        Ok(Box::new(links.map(move |link| {
            let link = link?;
            let far = core.far_end(&association, side, link.target)?;
            Ok(Hit {
                layout: Rc::clone(&layout),
                namespace: association.namespace.clone(),
                link: link_instance(&association, side, &near, &far, link.properties),
                far,
                may_repeat: false,
            })
        })))
    }

    fn far_end(
        &self,
        association: &Association,
        side: Side,
        mut target: InstancePath,
    ) -> Result<InstancePath, CimError> {
        let (_, far) = association.ends_from(side);
        let namespace = target
            .namespace
            .clone()
            .unwrap_or_else(|| far.namespace.clone());
        self.normalize(&namespace, &mut target)?;
        Ok(target)
    }

    /// The links of a declared association from an instance at one side.
    fn links(
        self: &Rc<Self>,
        caller: &Caller,
        association: &Rc<Association>,
        side: Side,
        from: &InstancePath,
    ) -> Result<Stream<Link>, CimError> {
        let context = Context {
            caller,
            namespace: &association.namespace,
            class: &association.class,
            properties: None,
        };
        match (side, &association.backward) {
            (Side::First, _) => (association.forward)(&context, from),
            (Side::Second, Some(backward)) => backward(&context, from),
            (Side::Second, None) => {
                let core = Rc::clone(self);
                let association = Rc::clone(association);
                let caller = caller.clone();
                let target = from.clone();
                let sources = self.first_end(&caller, &association)?;
                Ok(Box::new(sources.filter_map(move |source| {
                    let found = source.and_then(|source| {
                        core.link_between(&caller, &association, &source, &target)
                            .map(|link| {
                                link.map(|properties| Link {
                                    target: source,
                                    properties,
                                })
                            })
                    });
                    found.transpose()
                })))
            }
        }
    }

    /// The properties of the link between two instances, if there is one.
    fn link_between(
        self: &Rc<Self>,
        caller: &Caller,
        association: &Rc<Association>,
        first: &InstancePath,
        second: &InstancePath,
    ) -> Result<Option<Vec<Property>>, CimError> {
        for link in self.links(caller, association, Side::First, first)? {
            let link = link?;
            let far = self.far_end(association, Side::First, link.target)?;
            if far.same_object(second) {
                return Ok(Some(link.properties));
            }
        }
        Ok(None)
    }

    /// The instances at the first end.
    fn first_end(
        self: &Rc<Self>,
        caller: &Caller,
        association: &Rc<Association>,
    ) -> Result<Stream<InstancePath>, CimError> {
        let [first, _] = &association.ends;
        if let Some(sources) = &association.sources {
            let context = Context {
                caller,
                namespace: &association.namespace,
                class: &association.class,
                properties: None,
            };
            let core = Rc::clone(self);
            let namespace = first.namespace.clone();
            return Ok(Box::new(sources(&context)?.map(move |path| {
                let mut path = path?;
                core.normalize(&namespace, &mut path)?;
                Ok(path)
            })));
        }
        let paths = self.enumerate_paths(caller, &first.namespace, &first.class)?;
        Ok(Box::new(paths.map(|path| {
            path.map(|mut path| {
                path.host = None;
                path
            })
        })))
    }

    /// Every instance of a declared association.
    pub(crate) fn all_links(
        self: &Rc<Self>,
        caller: &Caller,
        association: &Rc<Association>,
    ) -> Result<Stream<Instance>, CimError> {
        let sources = self.first_end(caller, association)?;
        let core = Rc::clone(self);
        let (caller, association) = (caller.clone(), Rc::clone(association));
        Ok(Box::new(sources.flat_map(
            move |source| -> Stream<Instance> {
                let opened = source
                    .and_then(|source| core.walk(&caller, &association, Side::First, &source));
                match opened {
                    Ok(hits) => Box::new(hits.map(|hit| hit.map(|hit| hit.link))),
                    Err(error) => Box::new(core::iter::once(Err(error))),
                }
            },
        )))
    }

    /// The instance of a declared association with a path.
    pub(crate) fn find_link(
        self: &Rc<Self>,
        caller: &Caller,
        association: &Rc<Association>,
        path: &InstancePath,
    ) -> Result<Option<Instance>, CimError> {
        let [first, second] = &association.ends;
        let end = |role: &PropertyName| {
            path.key(role.as_str())
                .and_then(|key| key.as_instance_path())
                .cloned()
        };
        let (Some(near), Some(far)) = (end(&first.role), end(&second.role)) else {
            return Ok(None);
        };
        let Some(space) = &near.namespace else {
            return Ok(None);
        };
        if *space != first.namespace || !self.is_a(space, &near.class, &first.class) {
            return Ok(None);
        }
        let link = self.link_between(caller, association, &near, &far)?;
        Ok(link.map(|properties| link_instance(association, Side::First, &near, &far, properties)))
    }

    /// Looks through the instances of an association that a provider or the store holds.
    fn search(
        self: &Rc<Self>,
        caller: &Caller,
        layout: Rc<Layout>,
        source: &Source,
        from: &InstancePath,
        wanted: &Wanted,
    ) -> Result<Stream<Hit>, CimError> {
        let Some(namespace) = from.namespace.clone() else {
            return Ok(Box::new(core::iter::empty()));
        };
        let instances = self.open_source(caller, &namespace, &layout, source, None)?;
        let core = Rc::clone(self);
        let (from, wanted) = (from.clone(), wanted.clone());
        Ok(Box::new(instances.flat_map(
            move |instance| -> Stream<Hit> {
                let found = instance.and_then(|instance| {
                    core.ends_of(&namespace, &layout, &instance, &from, &wanted)
                        .map(|ends| (instance, ends))
                });
                match found {
                    Err(error) => Box::new(core::iter::once(Err(error))),
                    Ok((instance, ends)) => {
                        let (layout, namespace) = (Rc::clone(&layout), namespace.clone());
                        Box::new(ends.into_iter().map(move |far| {
                            Ok(Hit {
                                layout: Rc::clone(&layout),
                                namespace: namespace.clone(),
                                link: instance.clone(),
                                far,
                                may_repeat: true,
                            })
                        }))
                    }
                }
            },
        )))
    }

    /// The far ends of an association instance that refers to the source.
    fn ends_of(
        &self,
        namespace: &NamespaceName,
        layout: &Layout,
        instance: &Instance,
        from: &InstancePath,
        wanted: &Wanted,
    ) -> Result<Vec<InstancePath>, CimError> {
        let mut references = Vec::new();
        for reference in layout.references() {
            let target = instance
                .get(reference.name.as_str())
                .and_then(Value::as_instance_path);
            if let Some(target) = target {
                let mut target = target.clone();
                self.normalize_target(namespace, &mut target, 4)?;
                references.push((&reference.name, target));
            }
        }
        let near = references.iter().position(|(role, target)| {
            role_fits(wanted.role.as_ref(), role) && target.same_object(from)
        });
        let Some(near) = near else {
            return Ok(Vec::new());
        };
        let far = references
            .into_iter()
            .enumerate()
            .filter(|(index, (role, _))| {
                *index != near && role_fits(wanted.far_role.as_ref(), role)
            });
        Ok(far.map(|(_, (_, target))| target).collect())
    }

    /// A shaper for association instances.
    pub(crate) fn link_shaper(
        &self,
        namespace: &NamespaceName,
        view: crate::request::InstanceView,
    ) -> Shaper {
        Shaper::new(namespace.clone(), view)
    }
}

fn role_fits(wanted: Option<&PropertyName>, role: &PropertyName) -> bool {
    wanted.is_none_or(|wanted| wanted == role)
}

/// The association instance between two instances.
fn link_instance(
    association: &Association,
    side: Side,
    near: &InstancePath,
    far: &InstancePath,
    properties: Vec<Property>,
) -> Instance {
    let (near_end, far_end) = association.ends_from(side);
    let mut link = Instance::new(association.class.clone())
        .with(near_end.role.clone(), near.clone())
        .with(far_end.role.clone(), far.clone());
    link.properties.extend(properties);
    link
}
