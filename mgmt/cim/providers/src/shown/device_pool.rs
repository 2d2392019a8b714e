//! Pools of devices besides processors and memory (DSP1047, DSP1050, DSP1059), and what can be allocated from them.

use super::allocation::COUNT;
use crate::element::{
    ALLOCATION, ALLOCATION_CAPABILITIES, DISK_ALLOCATION, Element, Limit, NETWORK_CARD_ALLOCATION,
    POOL,
};
use crate::values::{health_state, operational_status, resource_sub_type, resource_type};
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use cim_domain::{DeviceKind, Domain};
use cim_model::{CimType, Instance, Value};

/// What people call the devices, their ResourceType and their ResourceSubType.
const fn facts(kind: DeviceKind) -> (&'static str, u16, Option<&'static str>) {
    match kind {
        DeviceKind::SerialPort => ("Serial ports", resource_type::SERIAL_PORT, None),
        DeviceKind::VirtioConsole => (
            "Virtio consoles",
            resource_type::IO_DEVICE,
            Some(resource_sub_type::VIRTIO_CONSOLE),
        ),
        DeviceKind::Entropy => (
            "Sources of random numbers",
            resource_type::IO_DEVICE,
            Some(resource_sub_type::VIRTIO_ENTROPY),
        ),
        DeviceKind::Disk => ("Disks", resource_type::LOGICAL_DISK, None),
        DeviceKind::NetworkCard => ("Network cards", resource_type::ETHERNET_ADAPTER, None),
    }
}

pub(super) fn pool(domain: &Domain, kind: DeviceKind) -> Instance {
    let (name, number, sub_type) = facts(kind);
    let capacity = kind.capacity(domain.host());
    let in_use = domain.devices_in_use(kind);
    Instance::new(POOL)
        .with("Caption", "Primordial resource pool")
        .with("ElementName", name)
        .with("PoolID", kind.pool())
        .with("Primordial", true)
        .with("ResourceType", number)
        .with("ResourceSubType", Value::or_null(sub_type, CimType::String))
        .with("AllocationUnits", COUNT)
        .with("Capacity", capacity)
        .with("Reserved", in_use)
        .with("ConsumedResourceUnits", COUNT)
        .with("CurrentlyConsumedResource", in_use)
        .with("MaxConsumableResource", capacity)
        .with("OperationalStatus", vec![operational_status::OK])
        .with("HealthState", health_state::OK)
}

pub(super) fn capabilities(kind: DeviceKind) -> Instance {
    /// RequestTypesSupported: general, which is to say not certain devices of the host.
    const GENERAL: u16 = 3;
    /// SharingMode: dedicated.
    const DEDICATED: u16 = 2;
    let (name, number, sub_type) = facts(kind);
    Instance::new(ALLOCATION_CAPABILITIES)
        .with("ElementName", format!("Allocations of {name}"))
        .with("ResourceType", number)
        .with("ResourceSubType", Value::or_null(sub_type, CimType::String))
        .with("RequestTypesSupported", GENERAL)
        .with("SharingMode", DEDICATED)
        .with("SupportedAddStates", Vec::<u16>::new())
        .with("SupportedRemoveStates", Vec::<u16>::new())
}

/// A bound of one allocation, which is of one device where there are any.
pub(super) fn limit(kind: DeviceKind, limit: Limit) -> Instance {
    let id = Element::DeviceLimit(kind, limit).instance_id();
    let (_, number, sub_type) = facts(kind);
    let class = match kind {
        DeviceKind::Disk => DISK_ALLOCATION,
        DeviceKind::NetworkCard => NETWORK_CARD_ALLOCATION,
        DeviceKind::SerialPort | DeviceKind::VirtioConsole | DeviceKind::Entropy => ALLOCATION,
    };
    let quantity = match limit {
        Limit::Increment => 1,
        Limit::Default | Limit::Minimum | Limit::Maximum => kind.most_of_a_system().min(1),
    };
    Instance::new(class)
        .with(
            "ElementName",
            format!("The {} of an allocation", limit.name()),
        )
        .with("InstanceID", id.unwrap_or_default())
        .with("ResourceType", number)
        .with("ResourceSubType", Value::or_null(sub_type, CimType::String))
        .with("PoolID", kind.pool())
        .with("AllocationUnits", COUNT)
        .with("VirtualQuantity", quantity)
        .with("VirtualQuantityUnits", COUNT)
}
