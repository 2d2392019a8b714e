//! RequestPowerStateChange of the power management service (DSP1027).

use super::Call;
use crate::element::Element;
use crate::shown::{HOST_POWER_STATES, POWER_STATES};
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
        let system = match element {
            Some(Element::System(id)) => Some(id),
            Some(Element::Host) => None,
            _ => {
                let what = "ManagedElement names neither a virtual system nor the host";
                let problem = Problem::new(ProblemKind::Invalid, "BH-UNEXPECTED", what, "Name one");
                return Ok(self.refusal(return_code::INVALID_PARAMETER, None, problem));
            }
        };
        if system.is_none() {
            self.check_host_right()?;
        }
        if self.argument("Time").is_some() {
            let what = "Power changes at a later time are not supported";
            let problem =
                Problem::new(ProblemKind::Unsupported, "BH-TIMED", what, "Leave Time out");
            return Ok(self.refusal(return_code::NOT_SUPPORTED, system, problem));
        }
        let number = self.argument("PowerState").and_then(Value::as_u64);
        let asked = match system {
            Some(id) => find(&POWER_STATES, number).map(|request| self.request(id, request)),
            None => find(&HOST_POWER_STATES, number).map(|request| self.end_host(request)),
        };
        if let Some(answer) = asked {
            return Ok(answer);
        }
        if system.is_none()
            && number == Some(ON)
            && self.model.read(|domain| domain.host_stop().is_none())
        {
            return Ok(Self::plain(return_code::COMPLETED));
        }
        let what = match number {
            Some(number) => format!("The power state {number} is not supported"),
            None => "PowerState is missing".into(),
        };
        let fix = match system {
            Some(_) => {
                "Give 2 (On), 3 (Sleep - Light), 6 (Off - Hard), 8 (Off - Soft), 10 (Master Bus Reset), \
                 12 (Off - Soft Graceful), 14 or 15"
            }
            None => {
                "Give 6 (Off - Hard), 8 (Off - Soft), 10 (Master Bus Reset), 12 (Off - Soft Graceful), 14 or 15"
            }
        };
        let code = match number {
            Some(2..=16) => return_code::NOT_SUPPORTED,
            _ => return_code::INVALID_PARAMETER,
        };
        let problem = Problem::new(ProblemKind::Unsupported, "BH-POWER-STATE", what, fix);
        Ok(self.refusal(code, system, problem))
    }
}

/// On.
const ON: u64 = 2;

/// What a power state asks for.
fn find<T: Copy>(table: &[(u16, T)], number: Option<u64>) -> Option<T> {
    let mut table = table.iter();
    let (_, request) = table.find(|(state, _)| Some(u64::from(*state)) == number)?;
    Some(*request)
}
