//! Power management (DSP1027): the service, its capabilities, and power states.

use crate::element::{POWER_CAPABILITIES, POWER_SERVICE};
use alloc::vec::Vec;
use cim_domain::{Request, State, System};
use cim_model::Instance;

/// Power states of the service's method, with what they ask of a system. Those of
/// CIM_AssociatedPowerManagementService.RequestedPowerState are one higher from 12 on.
pub(crate) const POWER_STATES: [(u16, Request); 8] = [
    // On.
    (2, Request::Enable),
    // Sleep - light.
    (3, Request::Pause),
    // Off - hard, and off - soft, which here is the same.
    (6, Request::Disable),
    (8, Request::Disable),
    // Master bus reset.
    (10, Request::Reset),
    // Off - soft graceful.
    (12, Request::ShutDown),
    // Master bus reset graceful, and power cycle (off - soft graceful), which here is the same.
    (14, Request::Reboot),
    (15, Request::Reboot),
];

/// RequestedPowerState: not applicable.
pub(crate) const NONE_REQUESTED: u16 = 12;
/// TransitioningToPowerState: no change.
pub(crate) const NO_TRANSITION: u16 = 19;

pub(super) fn service() -> Instance {
    super::service("Power of the host and its virtual systems", POWER_SERVICE)
}

pub(super) fn capabilities() -> Instance {
    /// PowerChangeCapabilities: power state settable, hardware reset, graceful shutdown.
    const CHANGES: [u16; 3] = [3, 7, 8];
    let states: Vec<u16> = POWER_STATES.iter().map(|(state, _)| *state).collect();
    Instance::new(POWER_CAPABILITIES)
        .with("ElementName", "What the power of systems can be set to")
        .with("PowerStatesSupported", Vec::from([2u16, 3, 6]))
        .with("RequestedPowerStatesSupported", states)
        .with("PowerChangeCapabilities", CHANGES.to_vec())
}

/// PowerState of a system.
pub(crate) const fn power_state(system: &System) -> u16 {
    match system.state {
        // Off - hard.
        State::Off | State::Crashed => 6,
        // Sleep - light.
        State::Paused | State::Resuming => 3,
        _ => 2,
    }
}

/// The power state of a request, by the numbers of the method.
const fn number(request: Request) -> u16 {
    match request {
        Request::Enable => 2,
        Request::Pause => 3,
        Request::Disable => 6,
        Request::Reset => 10,
        Request::ShutDown => 12,
        Request::Reboot => 14,
    }
}

/// By the numbers of RequestedPowerState and TransitioningToPowerState, which have one for "not applicable" between.
pub(crate) const fn shifted(number: u16) -> u16 {
    match number {
        12.. => number.saturating_add(1),
        _ => number,
    }
}

/// RequestedPowerState of a system.
pub(crate) fn requested_power_state(system: &System) -> u16 {
    let shifted = |request| shifted(number(request));
    system.requested.map_or(NONE_REQUESTED, shifted)
}

/// TransitioningToPowerState of a system; its numbers are those of PowerState.
pub(crate) fn transitioning_power_state(system: &System) -> u16 {
    match system.state {
        State::Off | State::Running | State::Paused | State::Crashed => NO_TRANSITION,
        State::Starting | State::Resuming => number(Request::Enable),
        State::Pausing => number(Request::Pause),
        State::Resetting => number(Request::Reset),
        State::Stopping | State::Crashing => number(Request::Disable),
        State::ShuttingDown => number(system.requested.unwrap_or(Request::ShutDown)),
    }
}
