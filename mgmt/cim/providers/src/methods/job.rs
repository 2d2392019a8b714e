//! Methods of jobs.

use super::Call;
use crate::element::Element;
use crate::faults;
use crate::model::{Model, now};
use crate::values::return_code;
use cim_domain::{JobId, Problem, ProblemKind};
use cim_model::{CimError, CimType, DateTime, Instance, MethodName, Value, ValueType};
use cim_ops::{Argument, MethodResult};
use core::time::Duration;

/// RequestedState of jobs.
const TERMINATE: u64 = 4;
const KILL: u64 = 5;
/// Return codes of KillJob.
const KILL_FAILED: u32 = 4;

impl Call<'_> {
    pub(super) fn job(&self, id: JobId, method: &MethodName) -> Result<MethodResult, CimError> {
        if *method == "GetError" {
            let error = self.error_of(id);
            let error = Value::or_null(error, CimType::String);
            Ok(MethodResult::new(return_code::COMPLETED).with(embedded("Error", error)))
        } else if *method == "GetErrors" {
            let errors = match self.error_of(id) {
                Some(error) => Value::array(CimType::String, [error]),
                None => Value::Null(ValueType::array(CimType::String)),
            };
            Ok(MethodResult::new(return_code::COMPLETED).with(embedded("Errors", errors)))
        } else if *method == "RequestStateChange" {
            Ok(MethodResult::new(self.request_job_state(id)))
        } else if *method == "KillJob" {
            let delete = self.argument("DeleteOnKill").and_then(Value::as_bool) == Some(true);
            Ok(MethodResult::new(match self.kill(id, delete) {
                Ok(()) => return_code::COMPLETED,
                Err(_) => KILL_FAILED,
            }))
        } else {
            Err(self.unavailable(method))
        }
    }

    fn error_of(&self, id: JobId) -> Option<Instance> {
        let model = self.model;
        model.read(|domain| {
            let job = domain.job(id)?;
            let source = job
                .system
                .and_then(|system| Element::System(system).path(domain));
            let mut error = faults::instance(job.problem()?);
            if let Some(source) = source {
                const OBJECT_PATH: u16 = 2;
                let source = source.with_namespace(self.context.namespace.clone());
                error.set(
                    "ErrorSource",
                    source.to_uri(cim_model::UriFormat::Canonical),
                );
                error.set("ErrorSourceFormat", OBJECT_PATH);
            }
            Some(error)
        })
    }

    fn request_job_state(&self, id: JobId) -> u32 {
        let clock = now(self.context.caller.clock);
        match self.argument("RequestedState").and_then(Value::as_u64) {
            Some(TERMINATE | KILL) => {
                match self.model.change(|domain| domain.terminate_job(id, clock)) {
                    Ok(()) => return_code::COMPLETED,
                    Err(_) => return_code::INVALID_STATE_TRANSITION,
                }
            }
            // Start, suspend and service.
            Some(2 | 3 | 6) => return_code::NOT_SUPPORTED,
            _ => return_code::INVALID_PARAMETER,
        }
    }

    fn kill(&self, id: JobId, delete: bool) -> Result<(), Problem> {
        let clock = now(self.context.caller.clock);
        self.model.change(|domain| {
            let ended = domain.job(id).is_some_and(|job| !job.is_running());
            if !ended {
                domain.terminate_job(id, clock)?;
            }
            match delete {
                true => domain.remove_job(id),
                false => Ok(()),
            }
        })
    }
}

/// An output of embedded instances, also when it is NULL.
fn embedded(name: &'static str, value: Value) -> Argument {
    Argument::new(name, value)
}

/// ModifyInstance: TimeBeforeRemoval.
pub(super) fn modify(model: &Model, id: JobId, change: &Instance) -> Result<(), Problem> {
    for property in &change.properties {
        let interval = match property.value.as_datetime() {
            Some(DateTime::Interval(interval)) if property.name == "TimeBeforeRemoval" => interval,
            _ => {
                let what = "Only the TimeBeforeRemoval of a job can be modified, to an interval";
                let problem = Problem::new(ProblemKind::Unsupported, "BH-READ-ONLY", what, "");
                return Err(problem.at(property.name.as_str()));
            }
        };
        let kept = Duration::from_micros(interval.micros());
        model.change(|domain| domain.keep_job(id, kept))?;
    }
    Ok(())
}
