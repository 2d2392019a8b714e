//! Consoles (DSP1024): the service, the access point of each system, and its TCP port.

use crate::element::{CONSOLE, CONSOLE_PORT, CONSOLE_SERVICE};
use crate::values::{enabled_state, health_state, operational_status, requested_state};
use alloc::format;
use alloc::vec;
use cim_domain::{Domain, System};
use cim_model::Instance;

/// TextFlowType: character stream.
const CHARACTERS: u16 = 2;
/// RedirectionServiceType: text.
const TEXT: u16 = 2;
/// SharingMode: shared.
const SHARED: u16 = 3;
/// ProtocolIFType: TCP.
const TCP: u16 = 4111;

/// The service behind all consoles.
pub(super) fn service(domain: &Domain) -> Instance {
    let most = u16::try_from(domain.host().max_running).unwrap_or(u16::MAX);
    super::service("Consoles of virtual systems", CONSOLE_SERVICE)
        .with("RedirectionServiceType", vec![TEXT])
        .with("SharingMode", SHARED)
        .with("MaxCurrentEnabledSAPs", most)
}

/// The console of a system; it can be reached while it has a port.
pub(super) fn console(domain: &Domain, system: &System) -> Instance {
    let port = domain.console_port(system.id);
    let (enabled, caption) = match port {
        Some(port) => (enabled_state::ENABLED, format!("TCP port {port}")),
        None => (enabled_state::DISABLED, "Not reachable now".into()),
    };
    Instance::new(CONSOLE)
        .with("Caption", caption)
        .with("ElementName", format!("Console of {}", system.defined.name))
        .with("EnabledState", enabled)
        .with("RequestedState", requested_state::NOT_APPLICABLE)
        .with("OperationalStatus", vec![operational_status::OK])
        .with("HealthState", health_state::OK)
        .with("TextFlowType", CHARACTERS)
}

/// The port of a console.
pub(super) fn port(domain: &Domain, system: &System) -> Option<Instance> {
    let port = domain.console_port(system.id)?;
    Some(
        Instance::new(CONSOLE_PORT)
            .with(
                "ElementName",
                format!("Console of {}, port {port}", system.defined.name),
            )
            .with("EnabledState", enabled_state::ENABLED)
            .with("RequestedState", requested_state::NOT_APPLICABLE)
            .with("OperationalStatus", vec![operational_status::OK])
            .with("ProtocolIFType", TCP)
            .with("PortNumber", u32::from(port)),
    )
}
