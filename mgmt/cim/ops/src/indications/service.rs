//! CIM_IndicationService: the one central instance of the Indications profile.

use super::Shared;
use crate::interop::SYSTEM_CLASS;
use crate::provider::{Context, Provider};
use crate::response::Stream;
use alloc::boxed::Box;
use alloc::rc::Rc;
use cim_model::{CimError, Instance};

pub(super) struct Service(pub(super) Rc<Shared>);

/// EnabledState: enabled.
const ENABLED: u16 = 2;
/// SubscriptionRemovalAction: remove.
const REMOVE: u16 = 2;

impl Provider for Service {
    fn enumerate(&self, _: &Context<'_>) -> Result<Stream<Instance>, CimError> {
        let settings = &self.0.settings;
        let seconds =
            |time: core::time::Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        let instance = Instance::new("CIM_IndicationService")
            .with("SystemCreationClassName", SYSTEM_CLASS)
            .with("SystemName", self.0.identity.system.clone())
            .with("CreationClassName", "CIM_IndicationService")
            .with("Name", "Indications")
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
