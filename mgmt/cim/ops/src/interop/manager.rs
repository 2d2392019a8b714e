//! CIM_ObjectManager and CIM_CIMXMLCommunicationMechanism: the server and its protocol.

use super::{Identity, SYSTEM_CLASS};
use crate::fault::unsupported;
use crate::provider::{Context, Provider};
use crate::response::Stream;
use alloc::boxed::Box;
use alloc::format;
use cim_model::{CimError, CimType, Instance, InstancePath, Text, Value};
use core::cell::Cell;
use core::time::Duration;

/// EnabledState and RequestedState: enabled.
const ENABLED: u16 = 2;
/// OperationalStatus: OK.
const OK: u16 = 2;

/// The provider of the one object manager.
pub(super) struct Manager {
    identity: Identity,
    statistics: Cell<bool>,
}

impl Manager {
    pub(super) fn new(identity: Identity) -> Self {
        Manager {
            identity,
            statistics: Cell::new(false),
        }
    }
}

impl Provider for Manager {
    fn enumerate(&self, _: &Context<'_>) -> Result<Stream<Instance>, CimError> {
        let Identity {
            system,
            manager,
            product,
            version,
        } = &self.identity;
        let instance = Instance::new("CIM_ObjectManager")
            .with("SystemCreationClassName", SYSTEM_CLASS)
            .with("SystemName", system.clone())
            .with("CreationClassName", "CIM_ObjectManager")
            .with("Name", manager.clone())
            .with("ElementName", product.clone())
            .with(
                "Description",
                format!("{product} WBEM server version {version}"),
            )
            .with("EnabledState", ENABLED)
            .with("OperationalStatus", alloc::vec![OK])
            .with("Started", true)
            .with("GatherStatisticalData", self.statistics.get());
        Ok(Box::new(core::iter::once(Ok(instance))))
    }

    fn modify(
        &self,
        context: &Context<'_>,
        _: &InstancePath,
        change: Instance,
    ) -> Result<(), CimError> {
        for property in &change.properties {
            match property.value.as_bool() {
                Some(gather) if property.name == "GatherStatisticalData" => {
                    self.statistics.set(gather)
                }
                _ => {
                    return Err(unsupported(format_args!(
                        "The property {} of {} cannot be modified.",
                        property.name, context.class
                    )));
                }
            }
        }
        Ok(())
    }
}

/// The provider of the one communication mechanism.
pub(super) struct Mechanism {
    pub(super) identity: Identity,
    pub(super) max_timeout: Duration,
}

const MECHANISM_CLASS: &str = "CIM_CIMXMLCommunicationMechanism";
const MECHANISM_NAME: Text = Text::from_static("CIM-XML over HTTP");
/// CommunicationMechanism: CIM-XML.
const CIM_XML: u16 = 2;
/// CIMXMLProtocolVersion: 1.0.
const PROTOCOL_1: u16 = 1;
/// AuthenticationMechanismsSupported: Basic.
const BASIC: u16 = 3;
/// AdvertiseTypes: not advertised.
const NOT_ADVERTISED: u16 = 2;
/// FunctionalProfilesSupported: everything from basic read to pulled query execution.
const PROFILES: [u16; 11] = [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];

impl Mechanism {
    pub(super) fn path(&self) -> InstancePath {
        self.identity.service_path(MECHANISM_CLASS, &MECHANISM_NAME)
    }
}

impl Provider for Mechanism {
    fn enumerate(&self, _: &Context<'_>) -> Result<Stream<Instance>, CimError> {
        let seconds = u32::try_from(self.max_timeout.as_secs()).unwrap_or(u32::MAX);
        let instance = Instance::new(MECHANISM_CLASS)
            .with("SystemCreationClassName", SYSTEM_CLASS)
            .with("SystemName", self.identity.system.clone())
            .with("CreationClassName", MECHANISM_CLASS)
            .with("Name", MECHANISM_NAME)
            .with("ElementName", MECHANISM_NAME)
            .with("EnabledState", ENABLED)
            .with("CommunicationMechanism", CIM_XML)
            .with("Version", "1.4")
            .with("CIMXMLProtocolVersion", PROTOCOL_1)
            .with("CIMValidated", true)
            .with(
                "FunctionalProfilesSupported",
                Value::array(CimType::Uint16, PROFILES),
            )
            .with("MultipleOperationsSupported", false)
            .with("AuthenticationMechanismsSupported", alloc::vec![BASIC])
            .with("AdvertiseTypes", alloc::vec![NOT_ADVERTISED])
            .with(
                "PulledEnumerationClosureOnExceedingServerLimitsSupported",
                true,
            )
            .with("PulledEnumerationContinuationOnErrorSupported", false)
            .with("PulledEnumerationMaximumOperationTimeout", seconds)
            .with("PulledEnumerationMinimumOperationTimeout", 1u32)
            .with("PulledEnumerationNoOperationTimeoutSupported", false);
        Ok(Box::new(core::iter::once(Ok(instance))))
    }
}
