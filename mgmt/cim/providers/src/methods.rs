//! Methods, and changes of instances.
//!
//! What is wrong with a request is a CIM error. What a right request meets (a state, a lack of resources) is the return
//! code of the profile, with a job that has failed as its output: GetError of that job says why.

mod boot;
mod host;
mod job;
mod metrics;
mod pools;
mod power;
mod service;
mod snapshots;
mod system;

use crate::element::{Configuration, Element};
use crate::faults;
use crate::given;
use crate::model::{Model, now};
use alloc::format;
use cim_domain::{
    AllocationChange, AllocationId, DefinitionChange, JobId, NewAllocation, Patch, Problem,
    ProblemKind, Resource, SystemId,
};
use cim_model::{CimError, CimStatus, CimType, Instance, MethodName, Value};
use cim_ops::{Argument, Context, MethodResult};

/// Invokes a method of an element.
pub(crate) fn invoke(
    model: &Model,
    context: &Context<'_>,
    element: &Element,
    method: &MethodName,
    arguments: &[Argument],
) -> Result<MethodResult, CimError> {
    let call = Call {
        model,
        context,
        arguments,
    };
    match element {
        Element::System(id) if *method == "RequestStateChange" => call.request_state_change(*id),
        Element::Host if *method == "RequestStateChange" => call.host_state_change(),
        Element::Service => call.service(method),
        Element::PoolService => call.pools(method),
        Element::PowerService => call.power(method),
        Element::BootService => call.boot(method),
        Element::BootConfig(id, configuration) => call.boot_config(*id, *configuration, method),
        Element::MetricService => call.metrics(method),
        Element::SnapshotService => call.snapshots(method),
        Element::Job(id) => call.job(*id, method),
        _ => Err(not_available(context, method)),
    }
}

/// A method call under way.
struct Call<'a> {
    model: &'a Model,
    context: &'a Context<'a>,
    arguments: &'a [Argument],
}

impl Call<'_> {
    /// The value of an argument; `None` if it is NULL.
    fn argument(&self, name: &str) -> Option<&Value> {
        cim_ops::argument(self.arguments, name)
    }

    /// A return code with a job that says why.
    fn refusal(&self, code: u32, system: Option<SystemId>, problem: Problem) -> MethodResult {
        let clock = self.context.caller.clock;
        let refuse = |domain: &mut cim_domain::Domain| domain.refuse(system, problem, now(clock));
        let job = self.model.change(refuse);
        self.with_job(code, job)
    }

    /// A return code with a job.
    fn with_job(&self, code: u32, job: JobId) -> MethodResult {
        let path = self.model.read(|domain| Element::Job(job).path(domain));
        let path = path.map(|path| path.with_namespace(self.context.namespace.clone()));
        let job = Value::or_null(path, CimType::Reference);
        MethodResult::new(code).with(Argument::new("Job", job))
    }

    /// A return code without a job.
    fn plain(code: u32) -> MethodResult {
        let none = Value::null(CimType::Reference);
        MethodResult::new(code).with(Argument::new("Job", none))
    }
}

fn not_available(context: &Context<'_>, method: &MethodName) -> CimError {
    CimError::new(
        CimStatus::MethodNotAvailable,
        format!("The method {method} of {} is not available.", context.class),
    )
}

/// ModifyInstance: what ModifySystemSettings and ModifyResourceSettings do, a system's name, what it boots, and how long a
/// job stays.
pub(crate) fn modify(
    model: &Model,
    context: &Context<'_>,
    element: &Element,
    change: Instance,
) -> Result<(), CimError> {
    let device = |uri: &str| model.read(|domain| Element::host_device(uri, domain));
    let outcome = match element {
        Element::System(id) => given_name(change).and_then(|name| {
            let change = DefinitionChange {
                name,
                ..DefinitionChange::default()
            };
            model.change(|domain| domain.modify(*id, change))
        }),
        Element::Settings(id, Configuration::Defined) => given::settings(change)
            .and_then(|change| model.change(|domain| domain.modify(*id, change))),
        Element::Allocation(system, Configuration::Defined, id) => {
            given::allocation(change, device).and_then(|change: AllocationChange| {
                let place = alloc::string::String::new();
                let change = NewAllocation { place, change };
                let changes = alloc::vec![(*system, *id, change)];
                model.change(|domain| domain.modify_allocations(changes))
            })
        }
        Element::Allocation(system, Configuration::State, id) => given::allocation(change, device)
            .and_then(|change: AllocationChange| {
                let place = alloc::string::String::new();
                let change = NewAllocation { place, change };
                at_once(model, *system, *id, &change.change)?;
                let clock = now(context.caller.clock);
                model.change(|domain| domain.modify_active([(*system, *id, change)], clock))
            })
            .map(|_| ()),
        Element::BootSource(id, Configuration::Defined) => given::boot_source(change)
            .and_then(|change| model.change(|domain| domain.modify(*id, change))),
        Element::Job(id) => job::modify(model, *id, &change),
        _ => Err(Problem::new(
            ProblemKind::Unsupported,
            "BH-READ-ONLY",
            format!("Instances of {} cannot be modified here", context.class),
            "",
        )),
    };
    outcome.map_err(|problem| faults::error(&problem))
}

/// Refuses what a guest would have to do first: nobody would hear of the job.
fn at_once(
    model: &Model,
    system: SystemId,
    id: AllocationId,
    change: &AllocationChange,
) -> Result<(), Problem> {
    let count = model.read(|domain| {
        let active = domain.system(system)?.active.as_ref()?;
        match &active.allocation(id)?.resource {
            Resource::Processor(settings) => settings.count,
            _ => None,
        }
    });
    match (count, change.quantity.given()) {
        (Some(count), Some(wanted)) if *wanted < count.into() => {
            let what =
                "Processors of a running system are given back by its guest, which takes time";
            let fix = "Use ModifyResourceSettings, which answers with a job";
            let kind = ProblemKind::Unsupported;
            Err(Problem::new(kind, "BH-TAKES-TIME", what, fix))
        }
        _ => Ok(()),
    }
}

/// A change of a virtual system, of which only the name can be one.
fn given_name(change: Instance) -> Result<Patch<alloc::string::String>, Problem> {
    let mut name = Patch::Keep;
    for property in change.properties {
        match property.value.as_str() {
            Some(text) if property.name == "ElementName" => name = Patch::Set(text.into()),
            _ => {
                let what = "Only the ElementName of a system can be modified";
                let fix = "Use RequestStateChange for its state, and ModifySystemSettings for its definition";
                return Err(
                    Problem::new(ProblemKind::Unsupported, "BH-READ-ONLY", what, fix)
                        .at(property.name.as_str()),
                );
            }
        }
    }
    Ok(name)
}

/// DeleteInstance: jobs that have ended, and images that are not in use.
pub(crate) fn delete(
    model: &Model,
    context: &Context<'_>,
    element: &Element,
) -> Result<(), CimError> {
    let outcome = match element {
        Element::Job(id) => model.change(|domain| domain.remove_job(*id)),
        Element::Image(name) => model.change(|domain| domain.remove_image(name)),
        Element::System(_) => Err(Problem::new(
            ProblemKind::Unsupported,
            "BH-DELETE",
            "Systems are not deleted as instances",
            "Use the method DestroySystem",
        )),
        Element::Allocation(..) => Err(Problem::new(
            ProblemKind::Unsupported,
            "BH-DELETE",
            "Allocations are not deleted as instances",
            "Use the method RemoveResourceSettings",
        )),
        _ => Err(Problem::new(
            ProblemKind::Unsupported,
            "BH-DELETE",
            format!("Instances of {} cannot be deleted", context.class),
            "",
        )),
    };
    outcome.map_err(|problem| faults::error(&problem))
}
