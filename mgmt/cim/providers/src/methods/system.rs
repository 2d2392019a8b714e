//! RequestStateChange of a virtual system.

use super::Call;
use crate::model::now;
use crate::values::{requested_state, return_code};
use alloc::format;
use cim_domain::{Problem, ProblemKind, Request, Requested, SystemId, TimeLimit};
use cim_model::{CimError, DateTime, MethodName, Value};
use cim_ops::MethodResult;
use core::time::Duration;

impl Call<'_> {
    pub(super) fn request_state_change(&self, id: SystemId) -> Result<MethodResult, CimError> {
        let number = self.argument("RequestedState").and_then(Value::as_u64);
        let number = number.and_then(|number| u16::try_from(number).ok());
        let request = match number {
            Some(requested_state::ENABLED) => Request::Enable,
            Some(requested_state::DISABLED) => Request::Disable,
            Some(requested_state::SHUT_DOWN) => Request::ShutDown,
            Some(requested_state::QUIESCE) => Request::Pause,
            Some(requested_state::REBOOT) => Request::Reboot,
            Some(requested_state::RESET) => Request::Reset,
            // Offline, test and defer.
            Some(other @ 6..=8) => {
                let what = format!("The state {other} is not supported");
                let problem = unsupported(what);
                return Ok(self.refusal(return_code::NOT_SUPPORTED, Some(id), problem));
            }
            Some(other) => {
                let problem = unsupported(format!("There is no state {other} to ask for"));
                return Ok(self.refusal(return_code::INVALID_PARAMETER, Some(id), problem));
            }
            None => {
                let problem = unsupported("RequestedState is missing".into());
                return Ok(self.refusal(return_code::INVALID_PARAMETER, Some(id), problem));
            }
        };
        Ok(self.request(id, request))
    }

    /// Asks a system for another state, within TimeoutPeriod.
    pub(super) fn request(&self, id: SystemId, request: Request) -> MethodResult {
        let limit = match self.time_limit() {
            Ok(limit) => limit,
            Err(problem) => {
                return self.refusal(return_code::INVALID_PARAMETER, Some(id), problem);
            }
        };
        let clock = now(self.context.caller.clock);
        let outcome = self
            .model
            .change(|domain| domain.request(id, request, limit, clock));
        match outcome {
            Ok(Requested::Done) => Self::plain(return_code::COMPLETED),
            Ok(Requested::Job(job)) => self.with_job(return_code::JOB_STARTED, job),
            Err(problem) => {
                let code = match problem.kind {
                    ProblemKind::State => return_code::INVALID_STATE_TRANSITION,
                    ProblemKind::Busy => return_code::BUSY,
                    ProblemKind::Unsupported => return_code::NOT_SUPPORTED,
                    _ => return_code::STATE_CHANGE_FAILED,
                };
                self.refusal(code, Some(id), problem)
            }
        }
    }

    /// What TimeoutPeriod says.
    pub(super) fn time_limit(&self) -> Result<TimeLimit, Problem> {
        match self.argument("TimeoutPeriod").and_then(Value::as_datetime) {
            None => Ok(TimeLimit::Default),
            Some(DateTime::Interval(interval)) if interval.micros() == 0 => Ok(TimeLimit::Default),
            Some(DateTime::Interval(interval)) => {
                let limit = Duration::from_micros(interval.micros());
                Ok(TimeLimit::Within(limit))
            }
            Some(_) => {
                let what = "TimeoutPeriod is a moment, not an interval";
                let fix = "Give an interval as in \"00000000000130.000000:000\", or NULL";
                Err(Problem::new(ProblemKind::Invalid, "BH-INTERVAL", what, fix))
            }
        }
    }

    /// The method is none that the element has here.
    pub(super) fn unavailable(&self, method: &MethodName) -> CimError {
        super::not_available(self.context, method)
    }
}

fn unsupported(what: alloc::string::String) -> Problem {
    let fix =
        "Ask for 2 (Enabled), 3 (Disabled), 4 (Shut Down), 9 (Quiesce), 10 (Reboot) or 11 (Reset)";
    Problem::new(ProblemKind::Unsupported, "BH-REQUESTED-STATE", what, fix)
}
