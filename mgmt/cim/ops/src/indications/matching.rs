//! [`Matcher`]: life-cycle events against the queries of the enabled subscriptions.

use super::subscription::is_enabled;
use super::{DESTINATION, FILTER, SUBSCRIPTION, Shared, filter};
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
}

struct Compiled {
    path: InstancePath,
    destination: InstancePath,
    url: Text,
    filter_name: Text,
    namespaces: Vec<NamespaceName>,
    query: SelectQuery,
}

/// An indication for one subscription.
pub(super) struct Matched {
    pub(super) subscription: InstancePath,
    pub(super) destination: InstancePath,
    pub(super) url: Text,
    pub(super) indication: Instance,
}

impl Matcher {
    /// Reads filters, destinations and subscriptions again. One that does not fit any more, say because a
    /// class of its query was deleted, sends nothing.
    pub(super) fn reload(&mut self, shared: &Shared) {
        let kept = &shared.kept;
        self.subscriptions = kept
            .all(SUBSCRIPTION)
            .into_iter()
            .filter(is_enabled)
            .filter_map(|subscription| {
                let target = |role: &str, class: &str| {
                    let path = subscription.get(role)?.as_instance_path()?;
                    if path.class == *class {
                        Some((path.clone(), kept.get(path)?))
                    } else {
                        None
                    }
                };
                let (_, filter) = target("Filter", FILTER)?;
                let (destination, handler) = target("Handler", DESTINATION)?;
                Some(Compiled {
                    path: subscription.path.clone()?,
                    destination,
                    url: Text::copy(handler.get("Destination")?.as_str()?),
                    filter_name: Text::copy(filter.get("Name")?.as_str()?),
                    namespaces: filter::source_namespaces(shared, &filter),
                    query: filter::query_of(&filter).ok()?,
                })
            })
            .collect();
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
