//! Systems: CIM_ComputerSystem.

use crate::element::SYSTEM;
use crate::values::{enabled_state, health_state, operational_status, requested_state};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use cim_domain::{LastEnd, Request, State, System};
use cim_model::Instance;

/// The RequestedState of a request.
pub(crate) const fn requested(request: Request) -> u16 {
    match request {
        Request::Enable => requested_state::ENABLED,
        Request::Disable => requested_state::DISABLED,
        Request::ShutDown => requested_state::SHUT_DOWN,
        Request::Pause => requested_state::QUIESCE,
        Request::Reboot => requested_state::REBOOT,
        Request::Reset => requested_state::RESET,
    }
}

/// A virtual system.
pub(crate) fn virtual_system(system: &System) -> Instance {
    let (statuses, descriptions) = status(system);
    let crashed = matches!(system.state, State::Crashed | State::Crashing);
    let available: Vec<u16> = system.available_requests().map(requested).collect();
    let uuid = system.defined.uuid.to_string();
    let mut instance = Instance::new(SYSTEM)
        .with("Caption", "Virtual system")
        .with("ElementName", system.defined.name.clone())
        .with("CreationClassName", SYSTEM)
        .with("Name", uuid.clone())
        .with("NameFormat", "UUID")
        .with("OtherIdentifyingInfo", vec![uuid, system.identifier()])
        .with(
            "IdentifyingDescriptions",
            vec!["CIM:GUID", "BH:VirtualSystemIdentifier"],
        )
        .with("Dedicated", vec![0u16])
        .with("EnabledState", enabled(system.state))
        .with("EnabledDefault", enabled_state::DISABLED)
        .with(
            "RequestedState",
            system
                .requested
                .map_or(requested_state::NO_CHANGE, requested),
        )
        .with("TransitioningToState", transitioning(system))
        .with("AvailableRequestedStates", available)
        .with("OperationalStatus", statuses)
        .with("StatusDescriptions", descriptions)
        .with(
            "HealthState",
            if crashed {
                health_state::MAJOR_FAILURE
            } else {
                health_state::OK
            },
        )
        .with("InstallDate", super::moment(system.defined.created))
        .with("TimeOfLastStateChange", super::moment(system.changed));
    if let Some(description) = &system.defined.description {
        instance.set("Description", description.clone());
    }
    instance
}

/// EnabledState.
const fn enabled(state: State) -> u16 {
    match state {
        State::Off | State::Crashed => enabled_state::DISABLED,
        State::Starting | State::Resetting => enabled_state::STARTING,
        State::Running | State::Pausing => enabled_state::ENABLED,
        State::Paused | State::Resuming => enabled_state::QUIESCE,
        State::ShuttingDown | State::Stopping | State::Crashing => enabled_state::SHUTTING_DOWN,
    }
}

/// TransitioningToState.
fn transitioning(system: &System) -> u16 {
    match system.state {
        State::Off | State::Running | State::Paused | State::Crashed => requested_state::NO_CHANGE,
        State::Starting | State::Resuming => requested_state::ENABLED,
        State::Pausing => requested_state::QUIESCE,
        State::Resetting => requested_state::RESET,
        State::Stopping | State::Crashing => requested_state::DISABLED,
        State::ShuttingDown => match system.requested {
            Some(Request::Reboot) => requested_state::REBOOT,
            _ => requested_state::SHUT_DOWN,
        },
    }
}

/// OperationalStatus with its StatusDescriptions.
fn status(system: &System) -> (Vec<u16>, Vec<String>) {
    let plain = |status: u16| {
        let phrase = system.state.phrase();
        (vec![status], vec![format!("The system {phrase}")])
    };
    match (system.state, &system.last_end) {
        (State::Crashed | State::Crashing, end) => {
            let reason = match end {
                Some(LastEnd::Crashed(crash)) => format!("The guest crashed: {}", crash.reason),
                _ => "The guest crashed".to_string(),
            };
            let record = match end {
                Some(LastEnd::Crashed(crash)) => crash.record.clone(),
                _ => String::new(),
            };
            let statuses = vec![operational_status::ERROR, operational_status::ABORTED];
            (statuses, vec![reason, record])
        }
        (State::Off, Some(LastEnd::NotStarted(reason))) => {
            let text = format!("The system is off; its last start failed: {reason}");
            (vec![operational_status::STOPPED], vec![text])
        }
        (State::Off, Some(LastEnd::PoweredOff)) => {
            let text = "The system is off; its guest powered it off".to_string();
            (vec![operational_status::STOPPED], vec![text])
        }
        (State::Off, _) => plain(operational_status::STOPPED),
        (State::Starting | State::Resetting, _) => plain(operational_status::STARTING),
        (State::Running | State::Pausing | State::Resuming, _) => plain(operational_status::OK),
        (State::Paused, _) => plain(operational_status::DORMANT),
        (State::ShuttingDown | State::Stopping, _) => plain(operational_status::STOPPING),
    }
}
