//! The end of the host: RequestStateChange of its CIM_ComputerSystem, and RequestPowerStateChange for it.

use super::Call;
use crate::model::now;
use crate::shown::HOST_STATES;
use crate::values::{requested_state, return_code};
use alloc::format;
use alloc::string::String;
use cim_domain::{HostRequest, Problem, ProblemKind};
use cim_model::{CimError, CimStatus, Value};
use cim_ops::{MethodResult, Role};

impl Call<'_> {
    pub(super) fn host_state_change(&self) -> Result<MethodResult, CimError> {
        self.check_host_right()?;
        let number = self.argument("RequestedState").and_then(Value::as_u64);
        let known = HOST_STATES
            .iter()
            .find(|(state, _)| Some(u64::from(*state)) == number);
        if let Some((_, request)) = known {
            return Ok(self.end_host(*request));
        }
        let fix = "Ask for 3 (Disabled), 4 (Shut Down), 10 (Reboot), or 11 (Reset), which does not ask the guests";
        let (code, what) = match number {
            Some(number) if number == u64::from(requested_state::ENABLED) => {
                if self.model.read(|domain| domain.host_stop().is_none()) {
                    return Ok(Self::plain(return_code::COMPLETED));
                }
                let what = String::from("The host is about to end");
                (return_code::INVALID_STATE_TRANSITION, what)
            }
            Some(number @ 6..=9) => (
                return_code::NOT_SUPPORTED,
                format!("The state {number} is not supported for the host"),
            ),
            Some(number) => (
                return_code::INVALID_PARAMETER,
                format!("There is no state {number} to ask for"),
            ),
            None => (
                return_code::INVALID_PARAMETER,
                String::from("RequestedState is missing"),
            ),
        };
        let problem = Problem::new(ProblemKind::Unsupported, "BH-REQUESTED-STATE", what, fix);
        Ok(self.refusal(code, None, problem))
    }

    /// Whether the caller may end the host, which ends what everybody else has on it.
    ///
    /// # Errors
    /// ACCESS_DENIED.
    pub(super) fn check_host_right(&self) -> Result<(), CimError> {
        if self.context.caller.role >= Role::Administrator {
            return Ok(());
        }
        Err(CimError::new(
            CimStatus::AccessDenied,
            "Only administrators may end the host.",
        ))
    }

    /// Begins to end the host, within TimeoutPeriod.
    pub(super) fn end_host(&self, request: HostRequest) -> MethodResult {
        let limit = match self.time_limit() {
            Ok(limit) => limit,
            Err(problem) => {
                return self.refusal(return_code::INVALID_PARAMETER, None, problem);
            }
        };
        let clock = now(self.context.caller.clock);
        let begun = self
            .model
            .change(|domain| domain.request_host(request, limit, clock));
        match begun {
            Ok(job) => self.with_job(return_code::JOB_STARTED, job),
            Err(problem) => self.refusal(return_code::BUSY, None, problem),
        }
    }
}
