//! Methods of the virtual system management service (DSP1042).

use super::Call;
use crate::element::{Configuration, Element};
use crate::faults;
use crate::given::{self, invalid};
use crate::model::now;
use crate::values::return_code;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use cim_domain::{
    AllocationId, DefinitionChange, HostDevice, NewAllocation, Problem, ProblemKind, Requested,
    SystemId,
};
use cim_model::{CimError, CimType, Instance, InstancePath, MethodName, Scalar, Value};
use cim_ops::{Argument, MethodResult};

impl Call<'_> {
    pub(super) fn service(&self, method: &MethodName) -> Result<MethodResult, CimError> {
        let outcome = if *method == "DefineSystem" {
            self.define()
        } else if *method == "DestroySystem" {
            self.destroy()
        } else if *method == "ModifySystemSettings" {
            self.modify_system()
        } else if *method == "AddResourceSettings" {
            self.add_resources()
        } else if *method == "ModifyResourceSettings" {
            self.modify_resources()
        } else if *method == "RemoveResourceSettings" {
            self.remove_resources()
        } else {
            return Err(self.unavailable(method));
        };
        outcome.or_else(|Refused { problem, system }| match problem.kind {
            ProblemKind::State | ProblemKind::Busy => {
                Ok(self.refusal(return_code::INVALID_STATE, system, problem))
            }
            ProblemKind::Resources | ProblemKind::Store | ProblemKind::Machine => {
                Ok(self.refusal(return_code::FAILED, system, problem))
            }
            _ => Err(faults::error(&problem)),
        })
    }

    fn define(&self) -> Result<MethodResult, Refused> {
        let settings = match self.argument("SystemSettings") {
            None => DefinitionChange::default(),
            Some(value) => self.settings(value)?,
        };
        let allocations = self.new_allocations()?;
        let reference = match self.argument("ReferenceConfiguration") {
            None => None,
            Some(_) => Some(self.configuration("ReferenceConfiguration")?.0),
        };
        let clock = now(self.context.caller.clock);
        let define = |domain: &mut cim_domain::Domain| {
            domain.define(settings, allocations, reference, clock)
        };
        let id = self.model.change(define)?;
        let system = Argument::new("ResultingSystem", self.reference(&Element::System(id)));
        Ok(Self::plain(return_code::COMPLETED).with(system))
    }

    fn destroy(&self) -> Result<MethodResult, Refused> {
        let id = match self.required("AffectedSystem")? {
            Element::System(id) => id,
            Element::Host => {
                let what = "The host is no virtual system, and cannot be destroyed";
                return Err(invalid("BH-HOST", what, "Name a virtual system")
                    .at("AffectedSystem")
                    .into());
            }
            _ => return Err(unexpected("AffectedSystem", "a virtual system").into()),
        };
        let destroyed = self.model.change(|domain| domain.destroy(id));
        destroyed.map_err(|problem| Refused::of(problem, id))?;
        Ok(Self::plain(return_code::COMPLETED))
    }

    fn modify_system(&self) -> Result<MethodResult, Refused> {
        const PARAMETER: &str = "SystemSettings";
        let value = self.argument(PARAMETER).ok_or_else(|| missing(PARAMETER))?;
        let id = value
            .as_instance()
            .and_then(|instance| instance.get("InstanceID"));
        let id = id.and_then(Value::as_str);
        let Some(id) = id else {
            let what = "It does not say which configuration to change";
            let fix = "Give the InstanceID of a defined configuration";
            return Err(invalid("BH-INSTANCE-ID", what, fix)
                .at(format!("{PARAMETER}.InstanceID"))
                .into());
        };
        let system = match Element::of_instance_id(id) {
            Some(Element::Settings(system, configuration)) => {
                self.known(system)
                    .map_err(|problem| problem.at(PARAMETER))?;
                self.only_defined(system, configuration)?;
                system
            }
            _ => return Err(unknown_id(id).at(format!("{PARAMETER}.InstanceID")).into()),
        };
        let change = self.settings(value)?;
        let modified = self.model.change(|domain| domain.modify(system, change));
        modified.map_err(|problem| Refused::of(problem, system))?;
        Ok(Self::plain(return_code::COMPLETED))
    }

    fn add_resources(&self) -> Result<MethodResult, Refused> {
        let (system, configuration) = self.configuration("AffectedConfiguration")?;
        self.only_defined(system, configuration)?;
        let new = self.new_allocations()?;
        let added = self
            .model
            .change(|domain| domain.add_allocations(system, new));
        let added = added.map_err(|problem| Refused::of(problem, system))?;
        Ok(self.resulting(configuration, added.into_iter().map(|id| (system, id))))
    }

    fn modify_resources(&self) -> Result<MethodResult, Refused> {
        let mut changes = Vec::new();
        let mut configurations = Vec::new();
        for (index, instance) in self.embedded("ResourceSettings")?.into_iter().enumerate() {
            let place = format!("ResourceSettings[{index}]");
            let id = instance.get("InstanceID").and_then(Value::as_str);
            let Some(id) = id else {
                let what = "It does not say which allocation to change";
                let fix = "Give the InstanceID of an allocation in a defined configuration";
                let problem = invalid("BH-INSTANCE-ID", what, fix);
                return Err(problem.at("InstanceID").at(place).into());
            };
            let (system, allocation) = match Element::of_instance_id(id) {
                Some(Element::Allocation(system, configuration, allocation)) => {
                    self.known(system).map_err(|problem| problem.at(&place))?;
                    configurations.push(configuration);
                    (system, allocation)
                }
                _ => return Err(unknown_id(id).at("InstanceID").at(place).into()),
            };
            let change = given::allocation(instance, |uri| self.host_device(uri))
                .map_err(|problem| problem.at(&place))?;
            changes.push((system, allocation, NewAllocation { place, change }));
        }
        let configuration = configurations.first().copied();
        let configuration = configuration.unwrap_or(Configuration::Defined);
        if configurations.iter().any(|other| *other != configuration) {
            let what = "It changes defined configurations and the state of systems at once";
            let fix = "Call the method for each of the two";
            return Err(invalid("BH-MIXED", what, fix).at("ResourceSettings").into());
        }
        let ids: Vec<_> = changes
            .iter()
            .map(|(system, id, _)| (*system, *id))
            .collect();
        let system = ids.first().map(|(system, _)| *system);
        let clock = now(self.context.caller.clock);
        let modified = self.model.change(|domain| match configuration {
            Configuration::Defined => domain.modify_allocations(changes).map(|()| Requested::Done),
            Configuration::State => domain.modify_active(changes, clock),
        });
        match modified.map_err(|problem| Refused { problem, system })? {
            Requested::Done => Ok(self.resulting(configuration, ids.into_iter())),
            Requested::Job(job) => Ok(self.with_job(return_code::JOB_STARTED, job)),
        }
    }

    fn remove_resources(&self) -> Result<MethodResult, Refused> {
        const PARAMETER: &str = "ResourceSettings";
        let value = self.argument(PARAMETER).ok_or_else(|| missing(PARAMETER))?;
        let mut wanted = Vec::new();
        for (index, item) in value.as_array().unwrap_or_default().iter().enumerate() {
            let place = format!("{PARAMETER}[{index}]");
            let path = item.as_ref().and_then(Scalar::as_instance_path);
            match path.and_then(|path| self.element(path)) {
                Some(Element::Allocation(system, configuration, id)) => {
                    self.only_defined(system, configuration)?;
                    wanted.push((system, id));
                }
                _ => return Err(unexpected(&place, "an allocation that exists").into()),
            }
        }
        self.model
            .change(|domain| domain.remove_allocations(&wanted))?;
        Ok(Self::plain(return_code::COMPLETED))
    }

    /// Reads an embedded VSSD.
    fn settings(&self, value: &Value) -> Result<DefinitionChange, Problem> {
        let instance = value.as_instance().cloned();
        let instance =
            instance.ok_or_else(|| unexpected("SystemSettings", "an embedded instance"))?;
        given::settings(instance).map_err(|problem| problem.at("SystemSettings"))
    }

    /// Reads embedded RASDs.
    fn new_allocations(&self) -> Result<Vec<NewAllocation>, Problem> {
        let instances = self.embedded("ResourceSettings")?.into_iter().enumerate();
        instances
            .map(|(index, instance)| {
                let place = format!("ResourceSettings[{index}]");
                let change = given::allocation(instance, |uri| self.host_device(uri))
                    .map_err(|problem| problem.at(&place))?;
                Ok(NewAllocation { place, change })
            })
            .collect()
    }

    /// The embedded instances of an array parameter; none when it is NULL.
    pub(super) fn embedded(&self, parameter: &str) -> Result<Vec<Instance>, Problem> {
        let items = self.argument(parameter).and_then(Value::as_array);
        let items = items.unwrap_or_default().iter().enumerate();
        items
            .map(|(index, item)| {
                let instance = item.as_ref().and_then(Scalar::as_instance).cloned();
                let place = format!("{parameter}[{index}]");
                instance.ok_or_else(|| unexpected(&place, "an embedded instance"))
            })
            .collect()
    }

    /// The configuration that a reference parameter names.
    fn configuration(&self, parameter: &str) -> Result<(SystemId, Configuration), Problem> {
        match self.required(parameter)? {
            Element::Settings(id, configuration) => Ok((id, configuration)),
            _ => Err(unexpected(
                parameter,
                "the configuration of a virtual system",
            )),
        }
    }

    /// The element that a reference parameter names.
    pub(super) fn required(&self, parameter: &str) -> Result<Element, Problem> {
        let value = self.argument(parameter).ok_or_else(|| missing(parameter))?;
        let element = value.as_instance_path().and_then(|path| self.element(path));
        element.ok_or_else(|| {
            let what = "There is no such instance";
            let problem = Problem::new(ProblemKind::NotFound, "BH-REFERENCE", what, "");
            problem.at(parameter)
        })
    }

    /// The element of a path, if it is there.
    pub(super) fn element(&self, path: &InstancePath) -> Option<Element> {
        self.model.read(|domain| {
            let element = Element::of(path, domain)?;
            crate::shown::instance(domain, &element).map(|_| element)
        })
    }

    /// The device of the host that a URI names.
    pub(super) fn host_device(&self, uri: &str) -> Option<HostDevice> {
        self.model.read(|domain| Element::host_device(uri, domain))
    }

    fn known(&self, system: SystemId) -> Result<(), Problem> {
        let known = self.model.read(|domain| domain.system(system).is_some());
        known.then_some(()).ok_or_else(|| {
            let what = format!("There is no system {system}");
            Problem::new(ProblemKind::NotFound, "BH-SYSTEM-UNKNOWN", what, "")
        })
    }

    /// The state configuration follows the system, not the client.
    fn only_defined(&self, id: SystemId, configuration: Configuration) -> Result<(), Refused> {
        match configuration {
            Configuration::Defined => Ok(()),
            Configuration::State => Err(Refused::of(
                Problem::new(
                    ProblemKind::State,
                    "BH-STATE-CONFIGURATION",
                    "The state configuration of a system gets no other settings, and neither more nor fewer resources",
                    "Change its defined configuration, which counts from the next start on; of processors that it has, \
                     ModifyResourceSettings changes number and shares at once",
                ),
                id,
            )),
        }
    }

    /// Success with the paths of allocations.
    fn resulting(
        &self,
        configuration: Configuration,
        allocations: impl Iterator<Item = (SystemId, AllocationId)>,
    ) -> MethodResult {
        let paths = allocations.filter_map(|(system, id)| {
            let element = Element::Allocation(system, configuration, id);
            self.path(&element)
        });
        let paths = Value::array(CimType::Reference, paths);
        Self::plain(return_code::COMPLETED).with(Argument::new("ResultingResourceSettings", paths))
    }

    pub(super) fn reference(&self, element: &Element) -> Value {
        Value::or_null(self.path(element), CimType::Reference)
    }

    fn path(&self, element: &Element) -> Option<InstancePath> {
        let path = self.model.read(|domain| element.path(domain))?;
        Some(path.with_namespace(self.context.namespace.clone()))
    }
}

/// A problem and the system that it is about.
struct Refused {
    problem: Problem,
    system: Option<SystemId>,
}

impl Refused {
    const fn of(problem: Problem, system: SystemId) -> Self {
        Refused {
            problem,
            system: Some(system),
        }
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Refused {
            problem,
            system: None,
        }
    }
}

pub(super) fn missing(parameter: &str) -> Problem {
    invalid("BH-MISSING", "The parameter is missing", "Give it").at(parameter)
}

pub(super) fn unexpected(parameter: &str, wanted: &str) -> Problem {
    let what = String::from("This is not what belongs here");
    invalid("BH-UNEXPECTED", what, format!("Give {wanted}")).at(parameter)
}

fn unknown_id(id: &str) -> Problem {
    let what = format!("There is no instance with the InstanceID \"{id}\"");
    Problem::new(
        ProblemKind::NotFound,
        "BH-INSTANCE-ID",
        what,
        "Give one that a client has read",
    )
}
