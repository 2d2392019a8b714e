//! CIM_IndicationServiceCapabilities and CIM_IndicationServiceSettingData: what of the service can be set, and
//! what it started with.

use super::Shared;
use crate::interop::Identity;
use crate::provider::{Context, Provider};
use crate::response::Stream;
use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use cim_model::{CimError, Instance, InstancePath};

pub(super) const CLASS: &str = "CIM_IndicationServiceCapabilities";
pub(super) const SETTING: &str = "CIM_IndicationServiceSettingData";

/// The path of the capabilities.
pub(super) fn capabilities_path(identity: &Identity) -> InstancePath {
    let id = format!("BH:{}:indication-capabilities", identity.system);
    InstancePath::new(CLASS).with_key("InstanceID", id)
}

/// The path of the settings.
pub(super) fn setting_path(identity: &Identity) -> InstancePath {
    let id = format!("BH:{}:indication-defaults", identity.system);
    InstancePath::new(SETTING).with_key("InstanceID", id)
}

/// An instance with the only key of its path as property.
fn identified(path: &InstancePath) -> Instance {
    let id = path.key("InstanceID").and_then(|key| key.as_str());
    let id = cim_model::Text::copy(id.unwrap_or_default());
    Instance::new(path.class.clone()).with("InstanceID", id)
}

pub(super) struct Capabilities(pub(super) Rc<Shared>);

impl Provider for Capabilities {
    fn enumerate(&self, _: &Context<'_>) -> Result<Stream<Instance>, CimError> {
        let limit = u32::try_from(self.0.defaults.max_instances).unwrap_or(u32::MAX);
        let instance = identified(&capabilities_path(&self.0.identity))
            .with("ElementName", "Capabilities of the indication service")
            .with(
                "Description",
                "Clients make filters and subscribe to filters and to the collection of static filters. Filter \
                 collections are made by the server only. Repeated notifications are neither suppressed nor \
                 delayed, and state changes of subscriptions raise no alerts.",
            )
            .with("FilterCreationEnabledIsSettable", false)
            .with("DeliveryRetryAttemptsIsSettable", true)
            .with("DeliveryRetryIntervalIsSettable", true)
            .with("SubscriptionRemovalActionIsSettable", true)
            .with("SubscriptionRemovalTimeIntervalIsSettable", true)
            .with("MaxListenerDestinations", limit)
            .with("MaxActiveSubscriptions", limit)
            .with("SubscriptionsPersisted", true);
        Ok(Box::new(core::iter::once(Ok(instance))))
    }
}

pub(super) struct Setting(pub(super) Rc<Shared>);

impl Provider for Setting {
    fn enumerate(&self, _: &Context<'_>) -> Result<Stream<Instance>, CimError> {
        let instance = identified(&setting_path(&self.0.identity))
            .with("ElementName", "Defaults of the indication service");
        let instance = self.0.defaults.shown_in(instance);
        Ok(Box::new(core::iter::once(Ok(instance))))
    }
}
