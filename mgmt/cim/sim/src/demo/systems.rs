//! The computer systems of the demonstration world.

use super::{HOST, key};
use cim_model::{
    CimError, CimStatus, CimType, Instance, InstancePath, MethodName, ObjectPath, Value,
};
use cim_ops::{Argument, Context, MethodResult, Provider, Stream, argument};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

const CLASS: &str = "CIM_ComputerSystem";
/// EnabledState: enabled and disabled.
const ENABLED: u16 = 2;
const DISABLED: u16 = 3;
/// Return codes of RequestStateChange: completed, and invalid parameter.
const COMPLETED: u32 = 0;
const INVALID_PARAMETER: u32 = 5;

/// The systems by name, with their enabled states.
pub(crate) struct Systems {
    pub(crate) states: RefCell<BTreeMap<String, u16>>,
}

pub(crate) fn path(name: &str) -> InstancePath {
    InstancePath::new(CLASS)
        .with_key("CreationClassName", CLASS)
        .with_key("Name", name.to_string())
}

fn instance(name: &str, state: u16) -> Instance {
    Instance::new(CLASS)
        .with("Caption", "A system of the demonstration")
        .with("ElementName", format!("System {name}"))
        .with("CreationClassName", CLASS)
        .with("Name", name.to_string())
        .with("EnabledState", state)
        .with("OperationalStatus", vec![ENABLED])
        .with(
            "OtherIdentifyingInfo",
            vec![
                format!("<{name}> & \"co\""),
                "\u{e4}\u{4e2d}\u{1f600}".to_string(),
            ],
        )
}

impl Systems {
    pub(crate) fn names(&self) -> Vec<String> {
        self.states.borrow().keys().cloned().collect()
    }
}

/// Shows the systems as instances.
pub(crate) struct SystemProvider(pub(crate) Rc<Systems>);

impl Provider for SystemProvider {
    fn enumerate(&self, _: &Context<'_>) -> Result<Stream<Instance>, CimError> {
        let systems = Rc::clone(&self.0);
        Ok(Box::new(self.0.names().into_iter().filter_map(
            move |name| {
                let state = *systems.states.borrow().get(&name)?;
                Some(Ok(instance(&name, state)))
            },
        )))
    }

    fn get(&self, _: &Context<'_>, path: &InstancePath) -> Result<Option<Instance>, CimError> {
        let name = key(path, "Name");
        if key(path, "CreationClassName") != CLASS {
            return Ok(None);
        }
        Ok(self
            .0
            .states
            .borrow()
            .get(name)
            .map(|state| instance(name, *state)))
    }

    fn create(&self, _: &Context<'_>, new: Instance) -> Result<InstancePath, CimError> {
        let name = new
            .get("Name")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_string();
        if name.is_empty() {
            return Err(CimError::new(
                CimStatus::InvalidParameter,
                "A system needs a Name.",
            ));
        }
        let state = new
            .get("EnabledState")
            .and_then(Value::as_u64)
            .and_then(|state| state.try_into().ok());
        if self.0.states.borrow().contains_key(&name) {
            return Err(CimError::new(
                CimStatus::AlreadyExists,
                "There is a system of that name.",
            ));
        }
        self.0
            .states
            .borrow_mut()
            .insert(name.clone(), state.unwrap_or(DISABLED));
        Ok(path(&name))
    }

    fn modify(
        &self,
        _: &Context<'_>,
        path: &InstancePath,
        change: Instance,
    ) -> Result<(), CimError> {
        for property in &change.properties {
            let state = property
                .value
                .as_u64()
                .and_then(|state| u16::try_from(state).ok());
            match state {
                Some(state) if property.name == "EnabledState" => {
                    self.0
                        .states
                        .borrow_mut()
                        .insert(key(path, "Name").to_string(), state);
                }
                _ => {
                    return Err(CimError::new(
                        CimStatus::NotSupported,
                        format!("The property {} cannot be modified.", property.name),
                    ));
                }
            }
        }
        Ok(())
    }

    fn delete(&self, _: &Context<'_>, path: &InstancePath) -> Result<(), CimError> {
        let name = key(path, "Name");
        if name == HOST {
            return Err(CimError::new(
                CimStatus::NotSupported,
                "The host cannot be deleted.",
            ));
        }
        self.0.states.borrow_mut().remove(name);
        Ok(())
    }

    fn invoke(
        &self,
        _: &Context<'_>,
        object: &ObjectPath,
        method: &MethodName,
        arguments: &[Argument],
    ) -> Result<MethodResult, CimError> {
        let ObjectPath::Instance(path) = object else {
            return Err(CimStatus::InvalidParameter.into());
        };
        if *method != "RequestStateChange" {
            return Err(CimError::new(
                CimStatus::MethodNotAvailable,
                format!("The method {method} is not available."),
            ));
        }
        let state = argument(arguments, "RequestedState").and_then(Value::as_u64);
        let Some(state @ (ENABLED | DISABLED)) = state.and_then(|state| u16::try_from(state).ok())
        else {
            return Ok(MethodResult::new(INVALID_PARAMETER));
        };
        self.0
            .states
            .borrow_mut()
            .insert(key(path, "Name").to_string(), state);
        let job = Argument::new("Job", Value::null(CimType::Reference));
        Ok(MethodResult::new(COMPLETED).with(job))
    }
}
