//! CIM_IndicationSubscription: a filter sent to a destination.

use super::kept::Kept;
use super::{DESTINATION, FILTER, SUBSCRIPTION, Shared};
use crate::fault::invalid;
use crate::provider::{Context, Provider};
use crate::response::Stream;
use crate::store::StoreError;
use alloc::rc::Rc;
use cim_model::{CimError, Instance, InstancePath, Scalar, Value};

pub(super) struct Subscriptions(pub(super) Rc<Shared>);

/// What happens when an indication cannot be delivered (OnFatalErrorPolicy).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Policy {
    Ignore,
    Disable,
    Remove,
}

/// OnFatalErrorPolicy and RepeatNotificationPolicy: the values that mean no action.
const IGNORE: u16 = 2;
const NONE: u16 = 2;
/// SubscriptionState.
const ENABLED: u16 = 2;
const ENABLED_DEGRADED: u64 = 3;
const DISABLED: u16 = 4;

/// The policy of a subscription.
pub(super) fn policy(kept: &Kept, path: &InstancePath) -> Policy {
    let subscription = kept.get(path);
    let policy = subscription
        .as_ref()
        .and_then(|found| found.get("OnFatalErrorPolicy"))
        .and_then(Value::as_u64);
    match policy {
        Some(3) => Policy::Disable,
        Some(4) => Policy::Remove,
        _ => Policy::Ignore,
    }
}

/// Disables a subscription.
pub(super) fn disable(kept: &Kept, path: &InstancePath) -> Result<(), StoreError> {
    let Some(subscription) = kept.get(path) else {
        return Ok(());
    };
    kept.replace(subscription.with("SubscriptionState", DISABLED))
        .map_err(|_| StoreError::Failed)
}

/// Whether a subscription sends indications.
pub(super) fn is_enabled(subscription: &Instance) -> bool {
    let state = subscription
        .get("SubscriptionState")
        .and_then(Value::as_u64);
    matches!(state, None | Some(ENABLED_DEGRADED)) || state == Some(u64::from(ENABLED))
}

impl Subscriptions {
    /// The target of a reference, which must be an instance of ours.
    fn target(
        &self,
        subscription: &Instance,
        role: &str,
        class: &'static str,
    ) -> Result<InstancePath, CimError> {
        let target = subscription.get(role).and_then(Value::as_instance_path);
        let found = target.filter(|target| {
            target.class == *class
                && target
                    .namespace
                    .as_ref()
                    .is_none_or(|namespace| *namespace == self.0.interop)
                && self.0.kept.get(target).is_some()
        });
        let target = found.ok_or_else(|| {
            invalid(format_args!(
                "{role} does not refer to an existing instance of {class}."
            ))
        })?;
        let mut local = target.to_local();
        local.namespace = Some(self.0.interop.clone());
        Ok(local)
    }

    fn check(subscription: &Instance) -> Result<(), CimError> {
        let value = |name: &str| subscription.get(name).and_then(Value::as_u64);
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
        Ok(())
    }
}

impl Provider for Subscriptions {
    fn enumerate(&self, _: &Context<'_>) -> Result<Stream<Instance>, CimError> {
        Ok(self.0.kept.stream(SUBSCRIPTION))
    }

    fn get(&self, _: &Context<'_>, path: &InstancePath) -> Result<Option<Instance>, CimError> {
        Ok(self.0.kept.get(path))
    }

    fn create(
        &self,
        context: &Context<'_>,
        mut instance: Instance,
    ) -> Result<InstancePath, CimError> {
        self.0.check_room(SUBSCRIPTION)?;
        Self::check(&instance)?;
        let filter = self.target(&instance, "Filter", FILTER)?;
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
        if let Some(now) = context.caller.clock.datetime() {
            instance.set("SubscriptionStartTime", Scalar::DateTime(now));
            instance.set("TimeOfLastStateChange", Scalar::DateTime(now));
        }
        instance.set("Filter", filter.clone());
        instance.set("Handler", handler.clone());
        let path = InstancePath::new(SUBSCRIPTION)
            .with_namespace(self.0.interop.clone())
            .with_key("Filter", filter)
            .with_key("Handler", handler);
        instance.path = Some(path.clone());
        self.0.kept.add(instance)?;
        self.0.changed.set(true);
        Ok(path)
    }

    fn modify(
        &self,
        context: &Context<'_>,
        path: &InstancePath,
        change: Instance,
    ) -> Result<(), CimError> {
        let Some(mut subscription) = self.0.kept.get(path) else {
            return Err(crate::fault::no_instance(path));
        };
        let was_enabled = is_enabled(&subscription);
        for property in change.properties {
            subscription.set(property.name, property.value);
        }
        Self::check(&subscription)?;
        if was_enabled != is_enabled(&subscription)
            && let Some(now) = context.caller.clock.datetime()
        {
            subscription.set("TimeOfLastStateChange", Scalar::DateTime(now));
        }
        self.0.kept.replace(subscription)?;
        self.0.changed.set(true);
        Ok(())
    }

    fn delete(&self, _: &Context<'_>, path: &InstancePath) -> Result<(), CimError> {
        self.0.kept.remove(path)?;
        self.0.changed.set(true);
        Ok(())
    }
}
