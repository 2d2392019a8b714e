//! The processors of the demonstration world: made while they are looked at, so there may be millions.

use super::{VIRTUAL_SYSTEMS, key};
use cim_model::{CimError, Instance, InstancePath};
use cim_ops::{Context, Link, Provider, Stream};

const CLASS: &str = "CIM_Processor";

/// The provider.
pub(crate) struct Processors {
    pub(crate) count: usize,
}

fn system_of(index: usize) -> String {
    format!("vm{}", index % VIRTUAL_SYSTEMS)
}

fn path(index: usize) -> InstancePath {
    InstancePath::new(CLASS)
        .with_key("SystemCreationClassName", "CIM_ComputerSystem")
        .with_key("SystemName", system_of(index))
        .with_key("CreationClassName", CLASS)
        .with_key("DeviceID", format!("cpu{index}"))
}

fn instance(index: usize) -> Instance {
    let load = u16::try_from(index % 100).unwrap_or_default();
    Instance::new(CLASS)
        .with("ElementName", format!("Processor {index}"))
        .with("EnabledState", 2u16)
        .with("SystemCreationClassName", "CIM_ComputerSystem")
        .with("SystemName", system_of(index))
        .with("CreationClassName", CLASS)
        .with("DeviceID", format!("cpu{index}"))
        .with("LoadPercentage", load)
}

/// The links from a system to its processors.
pub(crate) fn of_system(name: &str, count: usize) -> Stream<Link> {
    let first = name
        .strip_prefix("vm")
        .and_then(|number| number.parse::<usize>().ok());
    match first {
        Some(first) if first < VIRTUAL_SYSTEMS => {
            let indices = (first..count).step_by(VIRTUAL_SYSTEMS);
            Box::new(indices.map(|index| Ok(Link::from(path(index)))))
        }
        _ => Box::new(std::iter::empty()),
    }
}

impl Provider for Processors {
    fn enumerate(&self, _: &Context<'_>) -> Result<Stream<Instance>, CimError> {
        Ok(Box::new((0..self.count).map(|index| Ok(instance(index)))))
    }

    fn get(&self, _: &Context<'_>, wanted: &InstancePath) -> Result<Option<Instance>, CimError> {
        let number = key(wanted, "DeviceID").strip_prefix("cpu");
        let index = number.and_then(|number| number.parse::<usize>().ok());
        Ok(index
            .filter(|index| *index < self.count && path(*index).keys() == wanted.keys())
            .map(instance))
    }
}
