//! The one table of what can be asked of a system in each state.

use crate::id::JobId;
use crate::job::JobKind;
use crate::problem::{Problem, ProblemKind};
use crate::state::{Request, State};
use alloc::format;
use core::time::Duration;

/// The answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requested {
    /// It is so already.
    Done,
    /// This job does it.
    Job(JobId),
}

/// How long a client gives a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeLimit {
    /// What is customary.
    Default,
    /// At most this long.
    Within(Duration),
}

/// What a request begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing: the system is what it is asked to be.
    Nothing,
    /// A job.
    Begin(JobKind),
}

const RESUME_FIRST: &str = "Ask for 2 (Enabled) first, so that it runs";
const START_FIRST: &str = "Ask for 2 (Enabled) to start it";
const WAIT: &str = "Wait for its job, or ask for 3 (Disabled) to turn it off at once";

/// What a request begins in a state.
///
/// # Errors
/// [`ProblemKind::State`] where the state does not allow it, [`ProblemKind::Busy`] where it will later.
pub(crate) fn step(state: State, request: Request) -> Result<Step, Problem> {
    use Request::{Disable, Enable, Pause, Reboot, Reset, ShutDown};
    let begin = |kind| Ok(Step::Begin(kind));
    match (state, request) {
        (State::Off | State::Crashed, Enable) => begin(JobKind::Start),
        (State::Off, Disable | ShutDown) | (State::Running, Enable) | (State::Paused, Pause) => {
            Ok(Step::Nothing)
        }
        // Takes note of the crash.
        (State::Crashed, Disable | ShutDown) => Ok(Step::Nothing),
        (State::Off | State::Crashed, Pause | Reboot | Reset) => {
            Err(impossible(state, START_FIRST))
        }
        (State::Running, ShutDown) => begin(JobKind::ShutDown),
        (State::Running, Pause) => begin(JobKind::Pause),
        (State::Running, Reboot) => begin(JobKind::Reboot),
        (State::Running | State::Paused, Reset) => begin(JobKind::Reset),
        (State::Paused, Enable) => begin(JobKind::Resume),
        (State::Paused, ShutDown | Reboot) => Err(impossible(state, RESUME_FIRST)),
        (State::Stopping | State::Crashing, _) => Err(busy(state, "Wait until it is off")),
        (_, Disable) => begin(JobKind::TurnOff),
        (State::ShuttingDown, Reset) => begin(JobKind::Reset),
        _ => Err(busy(state, WAIT)),
    }
}

fn impossible(state: State, fix: &str) -> Problem {
    Problem::new(
        ProblemKind::State,
        "BH-STATE",
        format!("This cannot be done while the system {}", state.phrase()),
        fix,
    )
}

fn busy(state: State, fix: &str) -> Problem {
    Problem::new(
        ProblemKind::Busy,
        "BH-BUSY",
        format!("The system {}", state.phrase()),
        fix,
    )
}

/// The requests that a state allows.
pub(crate) fn available(state: State) -> impl Iterator<Item = Request> {
    Request::ALL
        .into_iter()
        .filter(move |request| matches!(step(state, *request), Ok(Step::Begin(_))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_holds_resources_and_is_not_ending_can_be_turned_off() {
        for state in State::ALL {
            let ending = matches!(state, State::Stopping | State::Crashing);
            let off = step(state, Request::Disable);
            assert_eq!(off.is_err(), ending, "{state:?}");
            assert_eq!(
                off == Ok(Step::Begin(JobKind::TurnOff)),
                state.is_active() && !ending,
                "{state:?}"
            );
        }
    }

    #[test]
    fn what_is_available_in_each_state() {
        let of = |state| available(state).collect::<Vec<_>>();
        use Request::*;
        assert_eq!(of(State::Off), [Enable]);
        assert_eq!(of(State::Crashed), [Enable]);
        assert_eq!(
            of(State::Running),
            [Disable, ShutDown, Pause, Reboot, Reset]
        );
        assert_eq!(of(State::Paused), [Enable, Disable, Reset]);
        assert_eq!(of(State::ShuttingDown), [Disable, Reset]);
        for state in [
            State::Starting,
            State::Pausing,
            State::Resuming,
            State::Resetting,
        ] {
            assert_eq!(of(state), [Disable], "{state:?}");
        }
        assert_eq!(of(State::Stopping), []);
    }

    #[test]
    fn busy_states_differ_from_impossible_requests() {
        let kind = |state, request| step(state, request).unwrap_err().kind;
        assert_eq!(kind(State::Off, Request::Pause), ProblemKind::State);
        assert_eq!(kind(State::Paused, Request::Reboot), ProblemKind::State);
        assert_eq!(kind(State::Starting, Request::Pause), ProblemKind::Busy);
        assert_eq!(kind(State::Stopping, Request::Enable), ProblemKind::Busy);
    }
}
