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

/// The class of the service.
pub(super) const CLASS: &str = "CIM_IndicationService";
const NAME: Text = Text::from_static("Indications");

/// The path of the service.
pub(super) fn path(identity: &Identity) -> InstancePath {
    identity.service_path(CLASS, &NAME)
}

impl Service {
    fn instance(&self) -> Instance {
        let instance = Instance::new(CLASS)
            .with("SystemCreationClassName", SYSTEM_CLASS)
            .with("SystemName", self.0.identity.system.clone())
            .with("CreationClassName", CLASS)
            .with("Name", NAME)
            .with("ElementName", "Indication service")
            .with("EnabledState", ENABLED)
            .with("Started", true);
        self.0.settings.get().shown_in(instance)
    }
}

impl Provider for Service {
    fn enumerate(&self, _: &Context<'_>) -> Result<Stream<Instance>, CimError> {
        Ok(Box::new(core::iter::once(Ok(self.instance()))))
    }

    fn modify(
        &self,
        _: &Context<'_>,
        path: &InstancePath,
        change: Instance,
    ) -> Result<(), CimError> {
        let mut settings = self.0.settings.get();
        settings.change(&change)?;
        // What was set before stays set.
        let mut stored = self
            .0
            .kept
            .get(path)
            .unwrap_or_else(|| Instance::new(CLASS).with_path(path.clone()));
        for property in change.properties {
            stored.set(property.name, property.value);
        }
        self.0.kept.replace(stored)?;
        self.0.settings.set(settings);
        Ok(())
    }
}
