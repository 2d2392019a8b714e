//! Indications (DSP1054 1.1): filters, destinations, subscriptions, and the delivery queue.
//!
//! Clients make the three kinds of instances in the Interop namespace; they are kept in the store. Life-cycle
//! events from the [`crate::EventQueue`] are matched against the queries of the filters and become
//! [`Delivery`]s. The queue is sans-I/O: its owner sends what [`Indications::next_delivery`] gives and reports
//! the outcome with [`Indications::delivered`].

mod capabilities;
mod delivery;
mod destination;
mod filter;
mod kept;
mod matching;
mod relations;
mod service;
mod settings;
mod static_filter;
mod subscription;

pub use delivery::{Delivery, DeliveryId};
pub use settings::{IndicationSettings, ListenerHosts, RemovalAction};
pub use static_filter::StaticFilter;

use crate::builder::Builder;
use crate::interop::{Central, Identity, Profile};
use crate::operations::Operations;
use crate::provider::Provider;
use crate::store::StoreError;
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use cim_model::{ClassName, NamespaceName, Text, Value};
use core::cell::{Cell, RefCell};
use core::time::Duration;
use delivery::Queue;
use kept::Kept;

pub(crate) const FILTER: &str = "CIM_IndicationFilter";
pub(crate) const DESTINATION: &str = "CIM_ListenerDestinationCIMXML";
pub(crate) const SUBSCRIPTION: &str = "CIM_IndicationSubscription";
pub(crate) const COLLECTION: &str = "CIM_FilterCollection";
pub(crate) const COLLECTION_SUBSCRIPTION: &str = "CIM_FilterCollectionSubscription";

/// What filters, destinations, subscriptions and the queue share.
pub(crate) struct Shared {
    pub(crate) interop: NamespaceName,
    pub(crate) identity: Identity,
    /// What the owner of the server has decided.
    pub(crate) defaults: IndicationSettings,
    /// The same with what clients have changed.
    pub(crate) settings: Cell<IndicationSettings>,
    /// The namespaces whose events the static filters see.
    pub(crate) sources: Vec<NamespaceName>,
    pub(crate) kept: Kept,
    queue: RefCell<Queue>,
    /// Set when a filter, destination or subscription changes: the matcher must read them again.
    pub(crate) changed: Cell<bool>,
}

/// The indication service of a server.
pub struct Indications {
    shared: Rc<Shared>,
    matcher: RefCell<matching::Matcher>,
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
    let namespaces = builder.settings().namespaces.iter();
    let kept = Kept::new(builder.catalog(), interop.clone());
    let mut current = settings;
    if let Some(stored) = kept.get(&service::path(identity)) {
        current.restore(&stored);
    }
    let shared = Rc::new(Shared {
        kept,
        sources: namespaces
            .filter(|name| **name != interop)
            .cloned()
            .collect(),
        interop: interop.clone(),
        identity: identity.clone(),
        defaults: settings,
        settings: Cell::new(current),
        changed: Cell::new(true),
        queue: RefCell::new(Queue::new()),
    });
    let mut builder = builder;
    let providers: [(&'static str, Rc<dyn Provider>); 8] = [
        (
            service::CLASS,
            Rc::new(service::Service(Rc::clone(&shared))),
        ),
        (
            capabilities::CLASS,
            Rc::new(capabilities::Capabilities(Rc::clone(&shared))),
        ),
        (
            capabilities::SETTING,
            Rc::new(capabilities::Setting(Rc::clone(&shared))),
        ),
        (
            FILTER,
            Rc::new(filter::Filters {
                shared: Rc::clone(&shared),
                catalog: shared.kept.catalog(),
            }),
        ),
        (
            COLLECTION,
            Rc::new(static_filter::Collection(Rc::clone(&shared))),
        ),
        (
            DESTINATION,
            Rc::new(destination::Destinations(Rc::clone(&shared))),
        ),
        (
            SUBSCRIPTION,
            Rc::new(subscription::Subscriptions {
                shared: Rc::clone(&shared),
                to: subscription::To::Filter,
            }),
        ),
        (
            COLLECTION_SUBSCRIPTION,
            Rc::new(subscription::Subscriptions {
                shared: Rc::clone(&shared),
                to: subscription::To::Collection,
            }),
        ),
    ];
    for (class, provider) in providers {
        builder = builder.provider(interop.clone(), class, provider);
    }
    for association in relations::all(&shared) {
        builder = builder.association(association);
    }
    (
        builder,
        Indications {
            shared,
            matcher: RefCell::default(),
        },
    )
}

impl Indications {
    /// Turns the waiting events into deliveries. Called after each request and after each change of the domain
    /// model.
    pub fn pump(&self, operations: &Operations, now: crate::Clock) {
        let shared = &self.shared;
        let mut matcher = self.matcher.borrow_mut();
        if matcher.has_expired(now) {
            shared.remove_expired(now);
            shared.changed.set(true);
        }
        if shared.changed.replace(false) {
            matcher.reload(shared);
            operations.events().set_wanted(!matcher.is_empty());
            shared.queue.borrow_mut().retain(
                |destination| shared.kept.get(destination).is_some(),
                |destination| matcher.has_destination(destination),
            );
        }
        while let Some(event) = operations.events().take() {
            for matched in matcher.matches(operations.core(), &event, now) {
                let limit = shared.defaults.max_waiting;
                let mut queue = shared.queue.borrow_mut();
                queue.push(matched, &shared.identity, now, limit);
            }
        }
    }

    /// The next indication to send, if one is due. Each destination has at most one under way, so that the
    /// sequence stays in order.
    pub fn next_delivery(&self, now: Duration) -> Option<Delivery> {
        self.shared.queue.borrow_mut().next(now)
    }

    /// When the next delivery becomes due; `None` when nothing waits or all wait for an outcome.
    pub fn deadline(&self) -> Option<Duration> {
        self.shared.queue.borrow().deadline()
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
        let settings = self.shared.settings.get();
        let mut queue = self.shared.queue.borrow_mut();
        let given_up = queue.outcome(id, confirmed, now, &settings);
        drop(queue);
        match given_up {
            None => Ok(()),
            Some(failure) => self.apply_policies(&failure),
        }
    }

    /// How many indications wait.
    pub fn waiting(&self) -> usize {
        self.shared.queue.borrow().len()
    }

    /// OnFatalErrorPolicy of the subscription whose indication was given up, and the removal action for all
    /// subscriptions of a destination that has failed for the removal interval.
    fn apply_policies(&self, failure: &delivery::Failure) -> Result<(), StoreError> {
        let shared = &self.shared;
        let settings = shared.settings.get();
        let hopeless = failure.failing_for >= settings.removal_interval;
        for subscription in shared.subscriptions() {
            let Some(path) = &subscription.path else {
                continue;
            };
            let goes_there = subscription
                .get("Handler")
                .and_then(Value::as_instance_path)
                .is_some_and(|handler| handler.same_object(&failure.destination));
            let policy = if hopeless && goes_there {
                subscription::Policy::from(settings.removal_action)
            } else if *path == failure.subscription {
                subscription::policy(&subscription, failure.failing_for)
            } else {
                continue;
            };
            shared.changed.set(true);
            match policy {
                subscription::Policy::Ignore => {}
                subscription::Policy::Disable => {
                    subscription::disable(&shared.kept, &subscription)?
                }
                subscription::Policy::Remove => {
                    shared.kept.remove(path).map_err(|_| StoreError::Failed)?;
                }
            }
        }
        Ok(())
    }
}
