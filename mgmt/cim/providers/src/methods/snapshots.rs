//! Methods of the snapshot service (DSP1042), which say that there are no snapshots yet.

use super::Call;
use crate::element::Element;
use crate::values::return_code;
use cim_domain::{Problem, ProblemKind};
use cim_model::{CimError, MethodName, Value};
use cim_ops::MethodResult;

impl Call<'_> {
    pub(super) fn snapshots(&self, method: &MethodName) -> Result<MethodResult, CimError> {
        let methods = ["CreateSnapshot", "DestroySnapshot", "ApplySnapshot"];
        if !methods.iter().any(|known| *method == **known) {
            return Err(self.unavailable(method));
        }
        let path = self.argument("AffectedSystem");
        let path = path.and_then(Value::as_instance_path);
        let element = path.and_then(|path| self.model.read(|domain| Element::of(path, domain)));
        let system = match element {
            Some(Element::System(id)) => Some(id),
            _ => None,
        };
        let what = "This host takes no snapshots of virtual systems, and so has none";
        let fix = "Read the snapshot service's capabilities, which list what it can do";
        let problem = Problem::new(ProblemKind::Unsupported, "BH-SNAPSHOTS", what, fix);
        Ok(self.refusal(return_code::NOT_SUPPORTED, system, problem))
    }
}
