//! Indications (DSP1054 1.1): filters, destinations, subscriptions, and the delivery queue.
//!
//! Clients make the three kinds of instances in the Interop namespace; they are kept in the store. Life-cycle
//! events from the [`crate::EventQueue`] are matched against the queries of the filters and become
//! [`Delivery`]s. The queue is sans-I/O: its owner sends what [`Indications::next_delivery`] gives and reports
//! the outcome with [`Indications::delivered`].

mod delivery;
mod destination;
mod filter;
mod kept;
mod matching;
mod service;
mod subscription;

pub use delivery::{Delivery, DeliveryId};

use crate::association::{Association, End, Link};
use crate::builder::Builder;
use crate::interop::{Central, Identity, Profile};
use crate::operations::Operations;
use crate::store::StoreError;
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use cim_model::{ClassName, InstancePath, NamespaceName, Text};
use core::cell::{Cell, RefCell};
use core::time::Duration;
use delivery::Queue;
use kept::Kept;

pub(crate) const FILTER: &str = "CIM_IndicationFilter";
pub(crate) const DESTINATION: &str = "CIM_ListenerDestinationCIMXML";
pub(crate) const SUBSCRIPTION: &str = "CIM_IndicationSubscription";

/// What the owner of the server decides about indications.
#[derive(Clone, Copy, Debug)]
pub struct IndicationSettings {
    /// DeliveryRetryAttempts: tries after the first.
    pub retry_attempts: u16,
    /// DeliveryRetryInterval.
    pub retry_interval: Duration,
    /// SubscriptionRemovalTimeInterval: how long a destination may fail before its subscriptions are removed.
    pub removal_interval: Duration,
    /// Filters, destinations and subscriptions, each.
    pub max_instances: usize,
    /// Indications that may wait for one destination; more are dropped and leave a gap in the sequence.
    pub max_waiting: usize,
}

impl Default for IndicationSettings {
    fn default() -> Self {
        IndicationSettings {
            retry_attempts: 3,
            retry_interval: Duration::from_secs(30),
            removal_interval: Duration::from_secs(30 * 86_400),
            max_instances: 256,
            max_waiting: 256,
        }
    }
}

/// What filters, destinations, subscriptions and the queue share.
pub(crate) struct Shared {
    pub(crate) interop: NamespaceName,
    pub(crate) identity: Identity,
    pub(crate) settings: IndicationSettings,
    pub(crate) kept: Kept,
    /// Set when a filter, destination or subscription changes: the matcher must read them again.
    pub(crate) changed: Cell<bool>,
}

/// The indication service of a server.
pub struct Indications {
    shared: Rc<Shared>,
    matcher: RefCell<matching::Matcher>,
    queue: RefCell<Queue>,
}

/// The Indications profile, for [`crate::interop::install`]. Clients look for exactly this version.
pub fn profile(identity: &Identity, interop: NamespaceName) -> Profile {
    let service = service::path(identity);
    Profile {
        id: Text::from_static("BH:DSP1054-Indications-1.1.0"),
        name: Text::from_static("Indications"),
        version: Text::from_static("1.1.0"),
        references: Vec::new(),
        central: Vec::from([Central {
            namespace: interop,
            class: ClassName::from_static(service::CLASS),
            elements: Rc::new(move |_| Ok(Box::new(core::iter::once(Ok(service.clone()))))),
        }]),
    }
}

/// Adds the indication providers to a server.
pub fn install(
    builder: Builder,
    identity: &Identity,
    settings: IndicationSettings,
) -> (Builder, Indications) {
    let interop = builder.settings().interop();
    let shared = Rc::new(Shared {
        kept: Kept::new(builder.catalog(), interop.clone()),
        interop: interop.clone(),
        identity: identity.clone(),
        settings,
        changed: Cell::new(true),
    });
    let queue = Queue::new(settings);
    let builder = builder
        .provider(
            interop.clone(),
            "CIM_IndicationService",
            Rc::new(service::Service(Rc::clone(&shared))),
        )
        .provider(
            interop.clone(),
            FILTER,
            Rc::new(filter::Filters {
                shared: Rc::clone(&shared),
                catalog: builder_catalog(&shared),
            }),
        )
        .provider(
            interop.clone(),
            DESTINATION,
            Rc::new(destination::Destinations(Rc::clone(&shared))),
        )
        .provider(
            interop.clone(),
            SUBSCRIPTION,
            Rc::new(subscription::Subscriptions(Rc::clone(&shared))),
        )
        .association(affects(&shared, FILTER))
        .association(affects(&shared, DESTINATION));
    (
        builder,
        Indications {
            shared,
            matcher: RefCell::default(),
            queue: RefCell::new(queue),
        },
    )
}

/// CIM_ServiceAffectsElement from the service to everything of a class that it works with.
fn affects(shared: &Rc<Shared>, class: &'static str) -> Association {
    let service = service::path(&shared.identity);
    let kept = Rc::clone(shared);
    let end = |role: &'static str, class: &'static str| End {
        role: role.into(),
        class: ClassName::from_static(class),
        namespace: shared.interop.clone(),
    };
    Association {
        namespace: shared.interop.clone(),
        class: ClassName::from_static("CIM_ServiceAffectsElement"),
        ends: [
            end("AffectingElement", service::CLASS),
            end("AffectedElement", class),
        ],
        forward: Box::new(move |_, _| {
            let instances = kept.kept.stream(class);
            Ok(Box::new(instances.filter_map(|instance| match instance {
                Ok(instance) => instance.path.map(|path| Ok(Link::from(path))),
                Err(error) => Some(Err(error)),
            })))
        }),
        backward: Some(Box::new(move |_, _| {
            Ok(Box::new(core::iter::once(Ok(Link::from(service.clone())))))
        })),
        sources: None,
    }
}

fn builder_catalog(shared: &Shared) -> Rc<RefCell<crate::catalog::Catalog>> {
    shared.kept.catalog()
}

impl Indications {
    /// Turns the waiting events into deliveries. Called after each request and after each change of the domain
    /// model.
    pub fn pump(&self, operations: &Operations, now: crate::Clock) {
        let mut matcher = self.matcher.borrow_mut();
        if self.shared.changed.replace(false) {
            matcher.reload(&self.shared);
            operations.events().set_wanted(!matcher.is_empty());
            self.queue
                .borrow_mut()
                .retain(|destination| matcher.has_destination(destination));
        }
        while let Some(event) = operations.events().take() {
            for matched in matcher.matches(operations.core(), &event, now) {
                self.queue
                    .borrow_mut()
                    .push(matched, &self.shared.identity, now);
            }
        }
    }

    /// The next indication to send, if one is due. Each destination has at most one under way, so that the
    /// sequence stays in order.
    pub fn next_delivery(&self, now: Duration) -> Option<Delivery> {
        self.queue.borrow_mut().next(now)
    }

    /// When the next delivery becomes due; `None` when nothing waits or all wait for an outcome.
    pub fn deadline(&self) -> Option<Duration> {
        self.queue.borrow().deadline()
    }

    /// The outcome of a delivery: whether the listener has confirmed it.
    ///
    /// # Errors
    /// [`StoreError`] when a subscription whose destination has failed for too long cannot be removed.
    pub fn delivered(
        &self,
        id: DeliveryId,
        confirmed: bool,
        now: Duration,
    ) -> Result<(), StoreError> {
        let given_up = self.queue.borrow_mut().outcome(id, confirmed, now);
        match given_up {
            None => Ok(()),
            Some(failure) => self.apply_policies(&failure),
        }
    }

    /// How many indications wait.
    pub fn waiting(&self) -> usize {
        self.queue.borrow().len()
    }

    /// OnFatalErrorPolicy of the subscription whose indication was given up, and removal of all subscriptions
    /// of a destination that has failed for the removal interval.
    fn apply_policies(&self, failure: &delivery::Failure) -> Result<(), StoreError> {
        let kept = &self.shared.kept;
        let subscriptions: Vec<InstancePath> = kept
            .all(SUBSCRIPTION)
            .into_iter()
            .filter_map(|subscription| {
                let handler = subscription.get("Handler")?.as_instance_path()?;
                let hit = if failure.hopeless {
                    handler.same_object(&failure.destination)
                } else {
                    subscription.path.as_ref() == Some(&failure.subscription)
                };
                hit.then(|| subscription.path.clone()).flatten()
            })
            .collect();
        for path in subscriptions {
            let policy = if failure.hopeless {
                subscription::Policy::Remove
            } else {
                subscription::policy(kept, &path)
            };
            self.shared.changed.set(true);
            match policy {
                subscription::Policy::Ignore => {}
                subscription::Policy::Disable => subscription::disable(kept, &path)?,
                subscription::Policy::Remove => {
                    kept.remove(&path).map_err(|_| StoreError::Failed)?
                }
            }
        }
        Ok(())
    }
}
