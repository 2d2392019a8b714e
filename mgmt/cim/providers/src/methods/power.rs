//! RequestPowerStateChange of the power management service (DSP1027).

use super::Call;
use crate::element::Element;
use crate::shown::POWER_STATES;
use crate::values::return_code;
use alloc::format;
use cim_domain::{Problem, ProblemKind};
use cim_model::{CimError, MethodName, Value};
use cim_ops::MethodResult;

impl Call<'_> {
    pub(super) fn power(&self, method: &MethodName) -> Result<MethodResult, CimError> {
        if *method != "RequestPowerStateChange" {
            return Err(self.unavailable(method));
        }
        let path = self
            .argument("ManagedElement")
            .and_then(Value::as_instance_path);
        let element = path.and_then(|path| self.model.read(|domain| Element::of(path, domain)));
        let Some(Element::System(id)) = element else {
            let what = "ManagedElement names no virtual system";
            let problem = Problem::new(ProblemKind::Invalid, "BH-UNEXPECTED", what, "Name one");
            return Ok(self.refusal(return_code::INVALID_PARAMETER, None, problem));
        };
        if self.argument("Time").is_some() {
            let what = "Power changes at a later time are not supported";
            let problem =
                Problem::new(ProblemKind::Unsupported, "BH-TIMED", what, "Leave Time out");
            return Ok(self.refusal(return_code::NOT_SUPPORTED, Some(id), problem));
        }
        let number = self.argument("PowerState").and_then(Value::as_u64);
        let known = POWER_STATES
            .iter()
            .find(|(state, _)| Some(u64::from(*state)) == number);
        let Some((_, request)) = known else {
            let what = match number {
                Some(number) => format!("The power state {number} is not supported"),
                None => "PowerState is missing".into(),
            };
            let fix = "Give 2 (On), 3 (Sleep - Light), 6 (Off - Hard), 8 (Off - Soft), 10 (Master Bus Reset), \
                       12 (Off - Soft Graceful), 14 or 15";
            let code = match number {
                Some(2..=16) => return_code::NOT_SUPPORTED,
                _ => return_code::INVALID_PARAMETER,
            };
            let problem = Problem::new(ProblemKind::Unsupported, "BH-POWER-STATE", what, fix);
            return Ok(self.refusal(code, Some(id), problem));
        };
        Ok(self.request(id, *request))
    }
}
