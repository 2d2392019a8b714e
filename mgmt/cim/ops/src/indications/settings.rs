//! [`IndicationSettings`]: what the owner of the server decides about indications, and the part of it that
//! clients may change.

use super::static_filter::{self, StaticFilter};
use crate::fault::{invalid, unsupported};
use cim_model::{CimError, Instance, Value};
use core::time::Duration;

/// What the owner of the server decides about indications.
#[derive(Clone, Copy, Debug)]
pub struct IndicationSettings {
    /// DeliveryRetryAttempts: tries after the first.
    pub retry_attempts: u16,
    /// DeliveryRetryInterval.
    pub retry_interval: Duration,
    /// SubscriptionRemovalAction: what becomes of subscriptions whose destination has failed for the removal
    /// interval.
    pub removal_action: RemovalAction,
    /// SubscriptionRemovalTimeInterval: how long a destination may fail before that.
    pub removal_interval: Duration,
    /// Filters, destinations and subscriptions, each.
    pub max_instances: usize,
    /// Indications that may wait for one destination; more are dropped and leave a gap in the sequence.
    pub max_waiting: usize,
    /// How the destinations of clients may name their host.
    pub hosts: ListenerHosts,
    /// The filters that are there without any client making them.
    pub static_filters: &'static [StaticFilter],
}

/// How the URL of a destination may name the host of the listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenerHosts {
    /// By IP address only, because there is no name service.
    Addresses,
    /// By name as well.
    Names,
}

/// SubscriptionRemovalAction of CIM_IndicationService; the numbers are those of the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum RemovalAction {
    /// The subscriptions are removed.
    Remove = 2,
    /// They are disabled.
    Disable = 3,
    /// They stay as they are.
    Ignore = 4,
}

impl RemovalAction {
    fn from_number(number: u64) -> Option<Self> {
        [Self::Remove, Self::Disable, Self::Ignore]
            .into_iter()
            .find(|action| action.number() == number)
    }

    const fn number(self) -> u64 {
        self as u64
    }
}

impl Default for IndicationSettings {
    fn default() -> Self {
        IndicationSettings {
            retry_attempts: 3,
            retry_interval: Duration::from_secs(30),
            removal_action: RemovalAction::Remove,
            removal_interval: Duration::from_secs(30 * 86_400),
            max_instances: 256,
            max_waiting: 256,
            hosts: ListenerHosts::Addresses,
            static_filters: static_filter::VIRTUALIZATION,
        }
    }
}

impl IndicationSettings {
    /// The same instance with the properties that CIM_IndicationService and CIM_IndicationServiceSettingData
    /// share.
    pub(super) fn shown_in(&self, instance: Instance) -> Instance {
        let seconds = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        instance
            .with("FilterCreationEnabled", true)
            .with("DeliveryRetryAttempts", self.retry_attempts)
            .with("DeliveryRetryInterval", seconds(self.retry_interval))
            .with("SubscriptionRemovalAction", self.removal_action as u16)
            .with(
                "SubscriptionRemovalTimeInterval",
                seconds(self.removal_interval),
            )
    }

    /// Takes the values that a client has set.
    ///
    /// # Errors
    /// NOT_SUPPORTED for a property that cannot be set, INVALID_PARAMETER for a value out of range.
    pub(super) fn change(&mut self, change: &Instance) -> Result<(), CimError> {
        for property in &change.properties {
            let name = property.name.as_str();
            let out_of_range = || {
                invalid(format_args!(
                    "The value of the property {name} is not allowed."
                ))
            };
            let number = property.value.as_u64();
            let seconds = number.map(Duration::from_secs);
            match name {
                "DeliveryRetryAttempts" => {
                    self.retry_attempts = number
                        .and_then(|number| u16::try_from(number).ok())
                        .ok_or_else(out_of_range)?;
                }
                "DeliveryRetryInterval" => {
                    self.retry_interval = seconds
                        .filter(|time| !time.is_zero())
                        .ok_or_else(out_of_range)?;
                }
                "SubscriptionRemovalAction" => {
                    self.removal_action = number
                        .and_then(RemovalAction::from_number)
                        .ok_or_else(out_of_range)?;
                }
                "SubscriptionRemovalTimeInterval" => {
                    self.removal_interval = seconds.ok_or_else(out_of_range)?;
                }
                _ => {
                    return Err(unsupported(format_args!(
                        "The property {name} of the indication service cannot be set."
                    )));
                }
            }
        }
        Ok(())
    }

    /// Takes over what a client had set before the server started; what does not fit any more is left out.
    pub(super) fn restore(&mut self, stored: &Instance) {
        for property in &stored.properties {
            let one = Instance::new(stored.class.clone())
                .with(property.name.clone(), Value::clone(&property.value));
            // Keys and values of another version change nothing.
            let _ = self.change(&one);
        }
    }

    /// Whether clients see the same values.
    pub(super) fn shows_like(&self, other: &Self) -> bool {
        let empty = || Instance::new("CIM_IndicationService");
        self.shown_in(empty()) == other.shown_in(empty())
    }
}
