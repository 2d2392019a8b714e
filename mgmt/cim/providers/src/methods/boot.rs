//! Methods of boot control (DSP1012).
//!
//! A system boots what its definition names. Clients change that by ModifySystemSettings, or by ModifyInstance of the boot
//! source; configurations of their own, and lists of sources to try, there are none.

use super::Call;
use crate::element::{Configuration, Element};
use crate::model::now;
use cim_domain::{Problem, ProblemKind, Request, Requested, SystemId, TimeLimit};
use cim_model::{CimError, MethodName, Value};
use cim_ops::MethodResult;

/// Return codes of the profile's methods.
mod code {
    pub(super) const COMPLETED: u32 = 0;
    pub(super) const NOT_SUPPORTED: u32 = 1;
    pub(super) const FAILED: u32 = 2;
    pub(super) const BUSY: u32 = 3;
    pub(super) const INVALID_REFERENCE: u32 = 4;
    pub(super) const INVALID_PARAMETER: u32 = 5;
    pub(super) const JOB_STARTED: u32 = 4096;
    /// Of ValidateSettings.
    pub(super) const CONFLICTING: u32 = 1;
}

/// What the service's capabilities do not list.
const NOT_SUPPORTED: [&str; 3] = [
    "CreateBootConfigSetting",
    "SetBootConfigRole",
    "SetBootConfigUsage",
];

impl Call<'_> {
    /// Methods of the service.
    pub(super) fn boot(&self, method: &MethodName) -> Result<MethodResult, CimError> {
        if *method == "ApplyBootConfigSetting" {
            return Ok(self.apply_boot_config());
        }
        if NOT_SUPPORTED.iter().any(|known| *method == **known) {
            let what = "A system has the one boot configuration that its definition says";
            let fix = "Change that by ModifySystemSettings, or the BootString of its boot source by ModifyInstance";
            return Ok(self.boot_refusal(code::NOT_SUPPORTED, None, what, fix));
        }
        Err(self.unavailable(method))
    }

    /// Methods of a boot configuration.
    pub(super) fn boot_config(
        &self,
        id: SystemId,
        configuration: Configuration,
        method: &MethodName,
    ) -> Result<MethodResult, CimError> {
        if *method == "ValidateSettings" {
            let valid = self.model.read(|domain| {
                let system = domain.system(id)?;
                let definition = match configuration {
                    Configuration::Defined => &system.defined,
                    Configuration::State => system.active.as_ref()?,
                };
                domain.check_boot(definition).ok()
            });
            return Ok(MethodResult::new(match valid {
                Some(()) => code::COMPLETED,
                None => code::CONFLICTING,
            }));
        }
        if *method == "ChangeBootOrder" {
            let what = "A system has one boot source, so that there is no order to change";
            return Ok(self.boot_refusal(code::NOT_SUPPORTED, Some(id), what, ""));
        }
        Err(self.unavailable(method))
    }

    /// Boots a system with what it has booted, or with what it is to boot next.
    fn apply_boot_config(&self) -> MethodResult {
        let element = |name: &str| {
            let path = self.argument(name).and_then(Value::as_instance_path)?;
            self.model.read(|domain| Element::of(path, domain))
        };
        let Some(Element::System(id)) = element("ScopingComputerSystem") else {
            let what = "ScopingComputerSystem names no virtual system";
            return self.boot_refusal(code::INVALID_REFERENCE, None, what, "Name one");
        };
        let configuration = match element("ApplyBootConfig") {
            Some(Element::BootConfig(owner, configuration)) if owner == id => configuration,
            Some(Element::BootConfig(..)) => {
                let what = "ApplyBootConfig is the boot configuration of another system";
                let fix = "Name one of this system";
                return self.boot_refusal(code::INVALID_PARAMETER, Some(id), what, fix);
            }
            _ => {
                let what = "ApplyBootConfig names no boot configuration";
                return self.boot_refusal(code::INVALID_REFERENCE, Some(id), what, "Name one");
            }
        };
        // A system that is on boots again what it was started with.
        let (is_on, is_same) = self.model.read(|domain| {
            let system = domain.system(id);
            let active = system.and_then(|system| system.active.as_ref());
            let next = system.map(|system| domain.resolved(&system.defined).boot);
            let same = active.map(|active| &active.boot) == next.as_ref();
            (active.is_some(), same)
        });
        if is_on && configuration == Configuration::Defined && !is_same {
            let what = "The system is on, and was started with something else";
            let fix = "Turn it off first: ask for 4 (Shut Down) or 3 (Disabled)";
            return self.boot_refusal(code::BUSY, Some(id), what, fix);
        }
        let request = if is_on {
            Request::Reset
        } else {
            Request::Enable
        };
        let clock = now(self.context.caller.clock);
        let outcome = self
            .model
            .change(|domain| domain.request(id, request, TimeLimit::Default, clock));
        match outcome {
            Ok(Requested::Done) => Self::plain(code::COMPLETED),
            Ok(Requested::Job(job)) => self.with_job(code::JOB_STARTED, job),
            Err(problem) => {
                let code = match problem.kind {
                    ProblemKind::State | ProblemKind::Busy => code::BUSY,
                    _ => code::FAILED,
                };
                self.refusal(code, Some(id), problem)
            }
        }
    }

    fn boot_refusal(
        &self,
        code: u32,
        system: Option<SystemId>,
        what: &str,
        fix: &str,
    ) -> MethodResult {
        let kind = match code {
            code::NOT_SUPPORTED => ProblemKind::Unsupported,
            code::BUSY => ProblemKind::State,
            _ => ProblemKind::Invalid,
        };
        let problem = Problem::new(kind, "BH-BOOT", what, fix);
        self.refusal(code, system, problem)
    }
}
