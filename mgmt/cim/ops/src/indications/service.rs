//! CIM_IndicationService: the one central instance of the Indications profile.

use super::Shared;
use crate::interop::{Identity, SYSTEM_CLASS};
use crate::provider::{Context, Provider};
use crate::response::Stream;
use alloc::boxed::Box;
use alloc::rc::Rc;
use cim_model::{CimError, Instance, InstancePath, Text};

pub(super) struct Service(pub(super) Rc<Shared>);

/// EnabledState: enabled.
const ENABLED: u16 = 2;
/// SubscriptionRemovalAction: remove.
const REMOVE: u16 = 2;

/// The class of the service.
pub(super) const CLASS: &str = "CIM_IndicationService";
const NAME: Text = Text::from_static("Indications");

/// The path of the service.
pub(super) fn path(identity: &Identity) -> InstancePath {
    identity.service_path(CLASS, &NAME)
}

impl Provider for Service {
    fn enumerate(&self, _: &Context<'_>) -> Result<Stream<Instance>, CimError> {
        let settings = &self.0.settings;
        let seconds =
            |time: core::time::Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        let instance = Instance::new(CLASS)
            .with("SystemCreationClassName", SYSTEM_CLASS)
            .with("SystemName", self.0.identity.system.clone())
            .with("CreationClassName", CLASS)
            .with("Name", NAME)
            .with("ElementName", "Indication service")
            .with("EnabledState", ENABLED)
            .with("Started", true)
            .with("FilterCreationEnabled", true)
            .with("DeliveryRetryAttempts", settings.retry_attempts)
            .with("DeliveryRetryInterval", seconds(settings.retry_interval))
            .with("SubscriptionRemovalAction", REMOVE)
            .with(
                "SubscriptionRemovalTimeInterval",
                seconds(settings.removal_interval),
            );
        Ok(Box::new(core::iter::once(Ok(instance))))
    }
}
