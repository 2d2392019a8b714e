//! [`Matcher`]: life-cycle events against the queries of the enabled subscriptions.

use super::subscription::{expiry, is_enabled};
use super::{COLLECTION, Shared, filter};
use crate::Clock;
use crate::catalog::NamespaceOracle;
use crate::engine::Engine;
use crate::events::{Event, EventKind};
use alloc::format;
use alloc::rc::Rc;
use alloc::string::ToString;
use alloc::vec::Vec;
use cim_model::{CimType, Instance, InstancePath, NamespaceName, Scalar, Text, Value};
use cim_query::{ClassOracle, Row, SelectQuery};

/// The compiled subscriptions.
#[derive(Default)]
pub(super) struct Matcher {
    subscriptions: Vec<Compiled>,
    made: u64,
    /// When the next subscription expires, in microseconds since 1970.
    next_expiry: Option<i64>,
}

struct Compiled {
    path: InstancePath,
    destination: InstancePath,
    url: Text,
    filter_name: Text,
    namespaces: Vec<NamespaceName>,
    query: SelectQuery,
    /// When the subscription expires.
    until: Option<i64>,
}

/// An indication for one subscription.
pub(super) struct Matched {
    pub(super) subscription: InstancePath,
    pub(super) destination: InstancePath,
    pub(super) url: Text,
    pub(super) indication: Instance,
}

impl Compiled {
    fn new(shared: &Shared, subscription: &Instance, filter: &Instance) -> Option<Self> {
        let destination = subscription.get("Handler")?.as_instance_path()?;
        let handler = shared.kept.get(destination)?;
        Some(Compiled {
            path: subscription.path.clone()?,
            destination: destination.clone(),
            url: Text::copy(handler.get("Destination")?.as_str()?),
            filter_name: Text::copy(filter.get("Name")?.as_str()?),
            namespaces: filter::source_namespaces(shared, filter),
            query: filter::query_of(filter).ok()?,
            until: expiry(subscription),
        })
    }
}

/// The filters of a subscription: one, or all of its collection.
fn filters_of(shared: &Shared, subscription: &Instance) -> Vec<Instance> {
    let filter = subscription.get("Filter").and_then(Value::as_instance_path);
    match filter {
        Some(path) if path.class == *COLLECTION => shared.static_filters(),
        Some(path) => shared.filter(path).into_iter().collect(),
        None => Vec::new(),
    }
}

impl Matcher {
    /// Reads filters, destinations and subscriptions again. One that does not fit any more, say because a
    /// class of its query was deleted, sends nothing.
    pub(super) fn reload(&mut self, shared: &Shared) {
        let subscriptions = shared.subscriptions();
        self.next_expiry = subscriptions.iter().filter_map(expiry).min();
        self.subscriptions.clear();
        for subscription in subscriptions.iter().filter(|found| is_enabled(found)) {
            let filters = filters_of(shared, subscription);
            self.subscriptions.extend(
                filters
                    .iter()
                    .filter_map(|filter| Compiled::new(shared, subscription, filter)),
            );
        }
    }

    /// Whether the time of a subscription is over.
    pub(super) fn has_expired(&self, now: Clock) -> bool {
        self.next_expiry.is_some_and(|time| time <= now.unix_micros)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.subscriptions.is_empty()
    }

    pub(super) fn has_destination(&self, destination: &InstancePath) -> bool {
        self.subscriptions
            .iter()
            .any(|known| known.destination.same_object(destination))
    }

    /// The indications that an event causes.
    pub(super) fn matches(
        &mut self,
        engine: &Rc<Engine>,
        event: &Event,
        now: Clock,
    ) -> Vec<Matched> {
        let oracle = NamespaceOracle {
            catalog: &engine.catalog,
            namespace: &event.namespace,
        };
        let mut indication = indication_of(event);
        if let Some(time) = now.datetime() {
            indication.set("IndicationTime", Scalar::DateTime(time));
        }
        self.made = self.made.wrapping_add(1);
        indication.set(
            "IndicationIdentifier",
            format!("{}-{}", now.unix_micros, self.made),
        );
        let mut found = Vec::new();
        if self.has_expired(now) {
            // The store could not forget the subscription; nothing may be sent for it all the same.
            self.subscriptions.retain(|subscription| {
                subscription.until.is_none_or(|time| time > now.unix_micros)
            });
        }
        for subscription in &self.subscriptions {
            let row = now
                .datetime()
                .map_or(Row::new(&indication), |time| Row::new(&indication).at(time));
            let hit = subscription.namespaces.contains(&event.namespace)
                && oracle.is_a(indication.class.as_str(), subscription.query.class.as_str())
                && subscription.query.matches(&row, &oracle).holds();
            if hit {
                let mut selected = subscription.query.project(&row, &oracle);
                // Listeners need these to deduplicate, whatever the query selects.
                for name in ["IndicationTime", "IndicationIdentifier"] {
                    if let (None, Some(property)) =
                        (selected.property(name), indication.property(name))
                    {
                        selected.properties.push(property.clone());
                    }
                }
                selected.set("IndicationFilterName", subscription.filter_name.clone());
                selected.path = None;
                found.push(Matched {
                    subscription: subscription.path.clone(),
                    destination: subscription.destination.clone(),
                    url: subscription.url.clone(),
                    indication: selected,
                });
            }
        }
        found
    }
}

/// The life-cycle indication of an event.
fn indication_of(event: &Event) -> Instance {
    let about = |class: &'static str, source: &Instance| {
        let path = source.path.as_ref().map(ToString::to_string);
        Instance::new(class)
            .with("SourceInstance", embedded(source))
            .with(
                "SourceInstanceModelPath",
                Value::or_null(path, CimType::String),
            )
    };
    match &event.kind {
        EventKind::Created(source) => about("CIM_InstCreation", source),
        EventKind::Deleted(source) => about("CIM_InstDeletion", source),
        EventKind::Modified { before, after } => {
            let changed: Vec<Text> = after
                .properties
                .iter()
                .filter(|property| before.get(property.name.as_str()) != Some(&property.value))
                .map(|property| property.name.text().clone())
                .collect();
            about("CIM_InstModification", after)
                .with("PreviousInstance", embedded(before))
                .with(
                    "ChangedPropertyNames",
                    Value::array(CimType::String, changed),
                )
        }
        EventKind::Raised(indication) => indication.clone(),
    }
}

/// Embedded instances have no path.
fn embedded(instance: &Instance) -> Instance {
    let mut instance = instance.clone();
    instance.path = None;
    instance
}
