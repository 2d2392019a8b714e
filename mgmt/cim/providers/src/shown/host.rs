//! The host: CIM_ComputerSystem, what it can be asked for, and its power.

use crate::element::{SYSTEM, SYSTEM_CAPABILITIES};
use crate::values::{enabled_state, health_state, operational_status, requested_state};
use alloc::vec;
use alloc::vec::Vec;
use cim_domain::{Domain, HostEnd, HostRequest, HostStop, Manner};
use cim_model::Instance;

const POWER_OFF: HostRequest = HostRequest {
    end: HostEnd::PowerOff,
    manner: Manner::Orderly,
};
const POWER_OFF_AT_ONCE: HostRequest = HostRequest {
    end: HostEnd::PowerOff,
    manner: Manner::AtOnce,
};
const RESTART: HostRequest = HostRequest {
    end: HostEnd::Restart,
    manner: Manner::Orderly,
};
const RESTART_AT_ONCE: HostRequest = HostRequest {
    end: HostEnd::Restart,
    manner: Manner::AtOnce,
};

/// What the host does for a RequestedState.
pub(crate) const HOST_STATES: [(u16, HostRequest); 4] = [
    (requested_state::DISABLED, POWER_OFF),
    (requested_state::SHUT_DOWN, POWER_OFF),
    (requested_state::REBOOT, RESTART),
    (requested_state::RESET, RESTART_AT_ONCE),
];

/// What it does for a power state of the method.
pub(crate) const HOST_POWER_STATES: [(u16, HostRequest); 6] = [
    // Off - hard.
    (6, POWER_OFF_AT_ONCE),
    // Off - soft, and the same graceful.
    (8, POWER_OFF),
    (12, POWER_OFF),
    // Master bus reset.
    (10, RESTART_AT_ONCE),
    // The same graceful, and power cycle (off - soft graceful).
    (14, RESTART),
    (15, RESTART),
];

/// The host.
pub(super) fn host(domain: &Domain) -> Instance {
    instance(domain, domain.host_stop())
}

/// The host as it is during a stop, or without one.
pub(crate) fn instance(domain: &Domain, stop: Option<&HostStop>) -> Instance {
    let host = domain.host();
    let (enabled, status, description) = match stop {
        None => (
            enabled_state::ENABLED,
            operational_status::OK,
            "The host is up",
        ),
        Some(_) => (
            enabled_state::SHUTTING_DOWN,
            operational_status::STOPPING,
            "The host ends its systems, and then itself",
        ),
    };
    Instance::new(SYSTEM)
        .with("Caption", "Bulkhead host")
        .with(
            "Description",
            "A computer that runs virtual systems under the Bulkhead hypervisor",
        )
        .with("ElementName", host.name.clone())
        .with("CreationClassName", SYSTEM)
        .with("Name", host.name.clone())
        .with("NameFormat", "Other")
        .with("Dedicated", vec![0u16])
        .with("EnabledState", enabled)
        .with("EnabledDefault", enabled_state::NOT_APPLICABLE)
        .with(
            "RequestedState",
            stop.map_or(requested_state::NO_CHANGE, requested),
        )
        .with(
            "TransitioningToState",
            stop.map_or(requested_state::NO_CHANGE, requested),
        )
        .with("AvailableRequestedStates", available(stop, &HOST_STATES))
        .with("OperationalStatus", vec![status])
        .with("StatusDescriptions", vec![description])
        .with("HealthState", health_state::OK)
}

/// CIM_EnabledLogicalElementCapabilities of the host.
pub(super) fn capabilities(domain: &Domain) -> Instance {
    let states: Vec<u16> = HOST_STATES.iter().map(|(state, _)| *state).collect();
    let name = &domain.host().name;
    Instance::new(SYSTEM_CAPABILITIES)
        .with("ElementName", alloc::format!("What can be done to {name}"))
        .with("ElementNameEditSupported", false)
        .with("RequestedStatesSupported", states)
        .with("StateAwareness", vec![2u16, 3u16])
}

/// What of a table can be asked for: of a host that ends in order already, only that it hurries.
pub(crate) fn available(stop: Option<&HostStop>, table: &[(u16, HostRequest)]) -> Vec<u16> {
    let possible = |request: &HostRequest| match stop {
        None => true,
        Some(stop) => stop.request.manner == Manner::Orderly && request.manner == Manner::AtOnce,
    };
    let possible = table.iter().filter(|(_, request)| possible(request));
    possible.map(|(number, _)| *number).collect()
}

/// RequestedState of a stop.
const fn requested(stop: &HostStop) -> u16 {
    match (stop.request.end, stop.request.manner) {
        (HostEnd::PowerOff, Manner::Orderly) => requested_state::SHUT_DOWN,
        (HostEnd::PowerOff, Manner::AtOnce) => requested_state::DISABLED,
        (HostEnd::Restart, Manner::Orderly) => requested_state::REBOOT,
        (HostEnd::Restart, Manner::AtOnce) => requested_state::RESET,
    }
}

/// The power state of a stop, by the numbers of the method.
pub(crate) const fn power_of(stop: &HostStop) -> u16 {
    match (stop.request.end, stop.request.manner) {
        (HostEnd::PowerOff, Manner::Orderly) => 12,
        (HostEnd::PowerOff, Manner::AtOnce) => 6,
        (HostEnd::Restart, Manner::Orderly) => 14,
        (HostEnd::Restart, Manner::AtOnce) => 10,
    }
}
