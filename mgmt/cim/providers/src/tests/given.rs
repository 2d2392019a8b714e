//! What clients send.

use super::fixture::world;
use crate::element::Configuration;
use crate::{given, shown};
use cim_domain::{Patch, ResourceKind, SystemId};
use cim_model::{CimType, Instance, Value};

#[test]
fn what_is_shown_can_be_sent_back() {
    let domain = world();
    let system = domain.system(SystemId(4)).unwrap();
    let mut definition = system.defined.clone();
    let sent = shown::settings_instance(system, Configuration::Defined, &definition);
    let change = given::settings(sent).unwrap();
    assert_eq!(
        change.kernel,
        Patch::Set(definition.boot.kernel.take().unwrap())
    );
    assert_eq!(change.startup, Patch::Clear);
    for allocation in &system.active.as_ref().unwrap().allocations {
        for configuration in Configuration::ALL {
            let sent = shown::allocation_instance(&domain, system.id, configuration, allocation);
            let change = given::allocation(sent, |_| None).unwrap();
            assert_eq!(change.kind, Some(allocation.resource.kind()));
        }
    }
}

#[test]
fn old_clients_send_texts_and_single_values() {
    let sent = Instance::new("CIM_ResourceAllocationSettingData")
        .with("ResourceType", "4")
        .with("VirtualQuantity", 7u8)
        .with("Limit", Value::null(CimType::String));
    let change = given::allocation(sent, |_| None).unwrap();
    assert_eq!(change.kind, Some(ResourceKind::Memory));
    assert_eq!(change.quantity, Patch::Set(7));
    assert_eq!(change.limit, Patch::Clear);
    assert_eq!(change.weight, Patch::Keep);
    let subclass = Instance::new("CIM_ProcessorAllocationSettingData");
    assert_eq!(
        given::allocation(subclass, |_| None).unwrap().kind,
        Some(ResourceKind::Processor)
    );
}

#[test]
fn values_out_of_range_are_refused() {
    for (name, value) in [
        ("Weight", Value::from(-1i64)),
        ("VirtualQuantity", Value::from("many")),
        ("ResourceType", Value::from(70_000u32)),
        ("ElementName", Value::from(vec!["a"])),
        ("AutomaticAllocation", Value::from(false)),
        ("MappingBehavior", Value::from(1u16)),
    ] {
        let sent = Instance::new("BH_ProcessorAllocationSettingData").with(name, value);
        let problem = given::allocation(sent, |_| None).unwrap_err();
        assert_eq!(problem.place, name, "{problem}");
    }
}
