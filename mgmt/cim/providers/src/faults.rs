//! Problems as clients see them: as a CIM error with a CIM_Error instance, or in a job.

use alloc::string::ToString;
use alloc::vec;
use cim_domain::{Problem, ProblemKind};
use cim_model::{CimError, CimStatus, Instance};

/// ErrorType: software error, oversubscription, and the like.
const fn error_type(kind: ProblemKind) -> u16 {
    match kind {
        ProblemKind::Resources => 8,
        ProblemKind::NotFound => 9,
        ProblemKind::Unsupported => 10,
        ProblemKind::Machine => 5,
        _ => 4,
    }
}

/// ProbableCause.
const fn probable_cause(kind: ProblemKind) -> u16 {
    match kind {
        ProblemKind::Invalid | ProblemKind::Exists | ProblemKind::Unsupported => 8,
        ProblemKind::Resources => 44,
        ProblemKind::Guest => 48,
        ProblemKind::TimedOut => 113,
        ProblemKind::Store => 50,
        ProblemKind::NotFound => 75,
        ProblemKind::State | ProblemKind::Busy => 128,
        ProblemKind::Machine => 16,
    }
}

/// The status of a problem as a CIM error.
pub(crate) const fn status(kind: ProblemKind) -> CimStatus {
    match kind {
        ProblemKind::Invalid => CimStatus::InvalidParameter,
        ProblemKind::NotFound => CimStatus::NotFound,
        ProblemKind::Exists => CimStatus::AlreadyExists,
        ProblemKind::Unsupported => CimStatus::NotSupported,
        _ => CimStatus::Failed,
    }
}

/// A problem as a CIM_Error instance.
pub(crate) fn instance(problem: &Problem) -> Instance {
    const MAJOR: u16 = 5;
    let actions = (!problem.fix.is_empty()).then(|| vec![problem.fix.clone()]);
    let mut instance = Instance::new("CIM_Error")
        .with("ErrorType", error_type(problem.kind))
        .with("OwningEntity", "BH")
        .with("MessageID", problem.id)
        .with("Message", problem.to_string())
        .with("PerceivedSeverity", MAJOR)
        .with("ProbableCause", probable_cause(problem.kind))
        .with("CIMStatusCode", u32::from(status(problem.kind).code()));
    if let Some(actions) = actions {
        instance.set("RecommendedActions", actions);
    }
    instance
}

/// A problem as the CIM error that answers an operation.
pub(crate) fn error(problem: &Problem) -> CimError {
    CimError::new(status(problem.kind), problem.to_string()).with_instance(instance(problem))
}
