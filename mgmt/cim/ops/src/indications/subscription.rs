//! CIM_IndicationSubscription and CIM_FilterCollectionSubscription: a filter, or a collection of filters, sent to
//! a destination.

use super::kept::Kept;
use super::{
    COLLECTION, COLLECTION_SUBSCRIPTION, DESTINATION, FILTER, RemovalAction, SUBSCRIPTION, Shared,
    static_filter,
};
use crate::Clock;
use crate::fault::{invalid, no_instance, unsupported};
use crate::provider::{Context, Provider};
use crate::response::Stream;
use crate::store::StoreError;
use alloc::boxed::Box;
use alloc::rc::Rc;
use cim_model::{CimError, DateTime, Instance, InstancePath, Scalar, Value};
use core::time::Duration;

/// The provider of one of the two classes.
pub(super) struct Subscriptions {
    pub(super) shared: Rc<Shared>,
    pub(super) to: To,
}

/// What is subscribed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum To {
    Filter,
    Collection,
}

impl To {
    const fn class(self) -> &'static str {
        match self {
            To::Filter => SUBSCRIPTION,
            To::Collection => COLLECTION_SUBSCRIPTION,
        }
    }
}

/// What happens when an indication cannot be delivered (OnFatalErrorPolicy).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Policy {
    Ignore,
    Disable,
    Remove,
}

impl From<RemovalAction> for Policy {
    fn from(action: RemovalAction) -> Self {
        match action {
            RemovalAction::Remove => Policy::Remove,
            RemovalAction::Disable => Policy::Disable,
            RemovalAction::Ignore => Policy::Ignore,
        }
    }
}

/// OnFatalErrorPolicy and RepeatNotificationPolicy: the values that mean no action.
const IGNORE: u16 = 2;
const NONE: u16 = 2;
/// SubscriptionState.
const ENABLED: u16 = 2;
const ENABLED_DEGRADED: u16 = 3;
const DISABLED: u16 = 4;
/// What the server computes. Clients send it back with an instance that they have read, when it has changed
/// already.
const COMPUTED: &str = "SubscriptionTimeRemaining";
/// What the server sets.
const SET_BY_SERVER: [&str; 4] = [
    "SubscriptionStartTime",
    "TimeOfLastStateChange",
    "LastIndicationIdentifier",
    "LastIndicationProductionDateTime",
];

fn number(subscription: &Instance, name: &str) -> Option<u64> {
    subscription.get(name).and_then(Value::as_u64)
}

/// The policy of a subscription whose destination has been failing for so long.
pub(super) fn policy(subscription: &Instance, failing_for: Duration) -> Policy {
    let trigger = number(subscription, "FailureTriggerTimeInterval").unwrap_or(0);
    if failing_for < Duration::from_secs(trigger) {
        return Policy::Ignore;
    }
    match number(subscription, "OnFatalErrorPolicy") {
        Some(3) => Policy::Disable,
        Some(4) => Policy::Remove,
        _ => Policy::Ignore,
    }
}

/// Disables a subscription.
pub(super) fn disable(kept: &Kept, subscription: &Instance) -> Result<(), StoreError> {
    let disabled = subscription.clone().with("SubscriptionState", DISABLED);
    kept.replace(disabled).map_err(|_| StoreError::Failed)
}

/// Whether a subscription sends indications.
pub(super) fn is_enabled(subscription: &Instance) -> bool {
    let state = number(subscription, "SubscriptionState");
    state.is_none_or(|state| [ENABLED, ENABLED_DEGRADED].map(u64::from).contains(&state))
}

/// When a subscription expires, in microseconds since 1970; `None` for never.
pub(super) fn expiry(subscription: &Instance) -> Option<i64> {
    let duration = number(subscription, "SubscriptionDuration")?;
    let start = match subscription
        .get("SubscriptionStartTime")
        .and_then(Value::as_datetime)?
    {
        DateTime::Timestamp(start) => start.unix_micros(),
        DateTime::Interval(_) => return None,
    };
    let micros = i64::try_from(duration).ok()?.checked_mul(1_000_000)?;
    start.checked_add(micros)
}

fn has_expired(subscription: &Instance, now: Clock) -> bool {
    expiry(subscription).is_some_and(|time| time <= now.unix_micros)
}

impl Shared {
    /// Removes the subscriptions whose time is over.
    pub(super) fn remove_expired(&self, now: Clock) {
        for subscription in self.subscriptions() {
            if let Some(path) = &subscription.path
                && has_expired(&subscription, now)
            {
                // A failing store is asked again later; nothing is sent meanwhile.
                let _ = self.kept.remove(path);
            }
        }
    }

    /// A subscription as clients see it: with the time that remains, and degraded while its destination cannot
    /// be reached.
    fn shown(&self, subscription: Instance, now: Clock) -> Instance {
        let is_failing = subscription
            .get("Handler")
            .and_then(Value::as_instance_path)
            .is_some_and(|handler| self.queue.borrow().is_failing(handler));
        let mut shown = subscription;
        if is_failing && is_enabled(&shown) {
            shown.set("SubscriptionState", ENABLED_DEGRADED);
        }
        if let Some(time) = expiry(&shown) {
            let micros = u64::try_from(time.saturating_sub(now.unix_micros)).unwrap_or(0);
            shown.set(COMPUTED, micros / 1_000_000);
        }
        shown
    }
}

impl Subscriptions {
    /// The target of a reference, which must be an instance of ours.
    fn target(
        &self,
        subscription: &Instance,
        role: &str,
        class: &'static str,
    ) -> Result<InstancePath, CimError> {
        let shared = &self.shared;
        let target = subscription.get(role).and_then(Value::as_instance_path);
        let found = target.filter(|target| {
            let is_ours = target
                .namespace
                .as_ref()
                .is_none_or(|namespace| *namespace == shared.interop);
            let exists = || match class {
                FILTER => shared.filter(target).is_some(),
                COLLECTION => {
                    target.to_local() == static_filter::collection_path(shared).to_local()
                }
                _ => shared.kept.get(target).is_some(),
            };
            target.class == *class && is_ours && exists()
        });
        let target = found.ok_or_else(|| {
            invalid(format_args!(
                "{role} does not refer to an existing instance of {class}."
            ))
        })?;
        let mut local = target.to_local();
        local.namespace = Some(shared.interop.clone());
        Ok(local)
    }

    /// What is subscribed to.
    fn source(&self, subscription: &Instance) -> Result<InstancePath, CimError> {
        if self.to == To::Collection {
            return self.target(subscription, "Filter", COLLECTION);
        }
        let path = self.target(subscription, "Filter", FILTER)?;
        let filter = self.shared.filter(&path);
        let individual = filter
            .as_ref()
            .and_then(|filter| filter.get("IndividualSubscriptionSupported"))
            .and_then(Value::as_bool);
        if individual == Some(false) {
            return Err(invalid(
                "The filter does not support individual subscriptions.",
            ));
        }
        Ok(path)
    }

    fn check(subscription: &Instance) -> Result<(), CimError> {
        let value = |name: &str| number(subscription, name);
        if value("OnFatalErrorPolicy").is_some_and(|policy| !(2..=4).contains(&policy)) {
            return Err(invalid(
                "OnFatalErrorPolicy is 2 (ignore), 3 (disable) or 4 (remove).",
            ));
        }
        if value("SubscriptionState").is_some_and(|state| !(2..=4).contains(&state)) {
            return Err(invalid(
                "SubscriptionState is 2 (enabled), 3 (degraded) or 4 (disabled).",
            ));
        }
        if value("RepeatNotificationPolicy").is_some_and(|policy| policy != u64::from(NONE)) {
            return Err(invalid(
                "Only the RepeatNotificationPolicy 2 (none) is supported.",
            ));
        }
        if value("SubscriptionDuration") == Some(0) {
            return Err(invalid(
                "SubscriptionDuration is a number of seconds above 0; without it the subscription lasts.",
            ));
        }
        if subscription
            .get("AlertOnStateChange")
            .and_then(Value::as_bool)
            == Some(true)
        {
            return Err(invalid("AlertOnStateChange is not supported."));
        }
        Ok(())
    }
}

impl Provider for Subscriptions {
    fn enumerate(&self, context: &Context<'_>) -> Result<Stream<Instance>, CimError> {
        let (shared, now) = (Rc::clone(&self.shared), context.caller.clock);
        let kept = self.shared.kept.stream(self.to.class());
        Ok(Box::new(kept.map(move |found| {
            found.map(|subscription| shared.shown(subscription, now))
        })))
    }

    fn get(
        &self,
        context: &Context<'_>,
        path: &InstancePath,
    ) -> Result<Option<Instance>, CimError> {
        let found = self.shared.kept.get(path);
        Ok(found.map(|subscription| self.shared.shown(subscription, context.caller.clock)))
    }

    fn create(
        &self,
        context: &Context<'_>,
        mut instance: Instance,
    ) -> Result<InstancePath, CimError> {
        let shared = &self.shared;
        shared.check_room(self.to.class())?;
        Self::check(&instance)?;
        let source = self.source(&instance)?;
        let handler = self.target(&instance, "Handler", DESTINATION)?;
        for (name, value) in [
            ("OnFatalErrorPolicy", IGNORE),
            ("SubscriptionState", ENABLED),
            ("RepeatNotificationPolicy", NONE),
        ] {
            if instance.get(name).is_none_or(Value::is_null) {
                instance.set(name, value);
            }
        }
        for name in SET_BY_SERVER.into_iter().chain([COMPUTED]) {
            instance.remove(name);
        }
        if let Some(now) = context.caller.clock.datetime() {
            instance.set("SubscriptionStartTime", Scalar::DateTime(now));
            instance.set("TimeOfLastStateChange", Scalar::DateTime(now));
        }
        instance.set("Filter", source.clone());
        instance.set("Handler", handler.clone());
        let path = InstancePath::new(self.to.class())
            .with_namespace(shared.interop.clone())
            .with_key("Filter", source)
            .with_key("Handler", handler);
        instance.path = Some(path.clone());
        shared.kept.add(instance)?;
        shared.changed.set(true);
        Ok(path)
    }

    fn modify(
        &self,
        context: &Context<'_>,
        path: &InstancePath,
        change: Instance,
    ) -> Result<(), CimError> {
        let now = context.caller.clock;
        let found = self.shared.kept.get(path);
        let Some(mut subscription) = found.filter(|found| !has_expired(found, now)) else {
            return Err(no_instance(path));
        };
        let was_enabled = is_enabled(&subscription);
        for property in change.properties {
            let name = property.name.as_str();
            if SET_BY_SERVER.contains(&name) {
                return Err(unsupported(format_args!("{name} is set by the server.")));
            }
            if name != COMPUTED {
                subscription.set(property.name, property.value);
            }
        }
        Self::check(&subscription)?;
        if has_expired(&subscription, now) {
            return Err(invalid(
                "So many seconds have passed since the subscription began.",
            ));
        }
        if was_enabled != is_enabled(&subscription)
            && let Some(now) = now.datetime()
        {
            subscription.set("TimeOfLastStateChange", Scalar::DateTime(now));
        }
        self.shared.kept.replace(subscription)?;
        self.shared.changed.set(true);
        Ok(())
    }

    fn delete(&self, _: &Context<'_>, path: &InstancePath) -> Result<(), CimError> {
        self.shared.kept.remove(path)?;
        self.shared.changed.set(true);
        Ok(())
    }
}
