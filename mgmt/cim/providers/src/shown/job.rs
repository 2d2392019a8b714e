//! Jobs: CIM_ConcreteJob.

use crate::element::{Element, JOB};
use crate::values::{health_state, operational_status};
use alloc::string::ToString;
use alloc::vec;
use cim_domain::{Job, JobState};
use cim_model::{CimType, Instance, Value};

/// JobState: running, completed, terminated, exception.
const RUNNING: u16 = 4;
const COMPLETED: u16 = 7;
const TERMINATED: u16 = 8;
const EXCEPTION: u16 = 10;

/// ErrorCode of a job that has failed; its CIM_Error tells the rest.
const FAILED: u16 = 1;

/// A job.
pub(crate) fn instance(job: &Job) -> Instance {
    let id = Element::Job(job.id).instance_id().unwrap_or_default();
    let (state, statuses, status) = match &job.state {
        JobState::Running => (
            RUNNING,
            vec![operational_status::OK],
            "It is being done".to_string(),
        ),
        JobState::Completed => (
            COMPLETED,
            vec![operational_status::COMPLETED, operational_status::OK],
            "It is done".to_string(),
        ),
        JobState::Terminated => (
            TERMINATED,
            vec![operational_status::STOPPED],
            "A client ended the job".to_string(),
        ),
        JobState::Failed(problem) => (
            EXCEPTION,
            vec![operational_status::COMPLETED, operational_status::ERROR],
            problem.to_string(),
        ),
    };
    let error = job.problem().map(ToString::to_string);
    let code = match job.problem() {
        Some(_) => FAILED,
        None => 0,
    };
    Instance::new(JOB)
        .with("ElementName", job.kind.name())
        .with("InstanceID", id)
        .with("Name", job.kind.name())
        .with("JobState", state)
        .with("JobStatus", status)
        .with("OperationalStatus", statuses)
        .with("HealthState", health_state::OK)
        .with("PercentComplete", u16::from(job.percent))
        .with("TimeSubmitted", super::moment(job.started))
        .with("StartTime", super::moment(job.started))
        .with("TimeOfLastStateChange", super::moment(job.changed))
        .with(
            "ElapsedTime",
            job.elapsed
                .map_or(Value::null(CimType::DateTime), super::interval),
        )
        .with("TimeBeforeRemoval", super::interval(job.kept))
        .with("DeleteOnCompletion", true)
        .with("ErrorCode", code)
        .with("ErrorDescription", Value::or_null(error, CimType::String))
        .with("LocalOrUtcTime", 2u16)
}
