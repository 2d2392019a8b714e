//! Allocations: CIM_ResourceAllocationSettingData and its subclass for processors.

use crate::element::{ALLOCATION, Configuration, Element, PROCESSOR_ALLOCATION, sub_type};
use crate::values::{mapping_behavior, resource_type};
use alloc::string::String;
use alloc::vec::Vec;
use cim_domain::{
    Allocation, ConsoleKind, DeviceKind, Domain, Mapping, MemorySettings, PoolKind,
    ProcessorSettings, Resource, SystemId,
};
use cim_model::{CimType, Instance, Value};

/// Units of memory, as a programmatic unit.
pub(crate) const MEBIBYTE: &str = "byte * 2^20";
/// Units of reservations and limits of processors.
pub(crate) const PERCENT: &str = "percent";
pub(crate) const COUNT: &str = "count";
/// ConsumerVisibility: virtualized.
const VIRTUALIZED: u16 = 3;

/// The ResourceType of a resource.
pub(crate) const fn resource_type(resource: &Resource) -> u16 {
    match resource {
        Resource::Processor(_) => resource_type::PROCESSOR,
        Resource::Memory(_) => resource_type::MEMORY,
        Resource::Console(settings) => match settings.kind {
            ConsoleKind::Serial => resource_type::SERIAL_PORT,
            ConsoleKind::Virtio => resource_type::IO_DEVICE,
        },
        Resource::Entropy => resource_type::IO_DEVICE,
    }
}

/// What a resource is called that has no name.
const fn customary_name(resource: &Resource) -> &'static str {
    match resource {
        Resource::Processor(_) => "Processors",
        Resource::Memory(_) => "Memory",
        Resource::Console(settings) => match settings.kind {
            ConsoleKind::Serial => "Serial console",
            ConsoleKind::Virtio => "Virtio console",
        },
        Resource::Entropy => "Source of random numbers",
    }
}

/// An allocation in a configuration.
pub(crate) fn instance(
    domain: &Domain,
    system: SystemId,
    configuration: Configuration,
    allocation: &Allocation,
) -> Instance {
    let resource = &allocation.resource;
    let class = match resource {
        Resource::Processor(_) => PROCESSOR_ALLOCATION,
        _ => ALLOCATION,
    };
    let id = Element::Allocation(system, configuration, allocation.id).instance_id();
    let name = allocation.name.clone();
    let name = name.unwrap_or_else(|| String::from(customary_name(resource)));
    let pool = allocation.pool.clone().or_else(|| match configuration {
        Configuration::Defined => None,
        Configuration::State => match DeviceKind::of(resource) {
            Some(device) => Some(device.pool().into()),
            None => PoolKind::of(resource.kind()).map(|kind| kind.primordial().into()),
        },
    });
    let instance = Instance::new(class)
        .with("ElementName", name)
        .with("InstanceID", id.unwrap_or_default())
        .with("ConfigurationName", configuration.name())
        .with("ResourceType", resource_type(resource))
        .with(
            "ResourceSubType",
            Value::or_null(sub_type(resource), CimType::String),
        )
        .with("PoolID", Value::or_null(pool, CimType::String))
        .with("ConsumerVisibility", VIRTUALIZED)
        .with("AutomaticAllocation", true)
        .with("AutomaticDeallocation", true);
    match resource {
        Resource::Processor(settings) => {
            let instance = processor(instance, settings);
            match settings.cpus.is_empty() {
                true => instance,
                false => instance.with("HostResource", hosts(domain, &settings.cpus)),
            }
        }
        Resource::Memory(settings) => {
            let instance = memory(instance, settings);
            let node = settings.node.map(Element::HostMemory);
            let instance = match node.and_then(|node| node.uri(domain)) {
                Some(uri) => instance.with("HostResource", Vec::from([uri])),
                None => instance,
            };
            match configuration {
                Configuration::State => instance,
                // Nobody chose them: they are what the quantity is, also after a client has changed only that.
                Configuration::Defined => instance
                    .with("Reservation", Value::null(CimType::Uint64))
                    .with("Limit", Value::null(CimType::Uint64)),
            }
        }
        Resource::Console(_) | Resource::Entropy => instance
            .with("AllocationUnits", COUNT)
            .with("VirtualQuantity", 1u64)
            .with("VirtualQuantityUnits", COUNT),
    }
}

/// The URIs of physical CPUs.
pub(super) fn hosts(domain: &Domain, numbers: &[u32]) -> Vec<String> {
    let numbers = numbers.iter();
    numbers
        .filter_map(|number| Element::HostProcessor(*number).uri(domain))
        .collect()
}

const fn mapping_behavior(mapping: Mapping) -> u16 {
    match mapping {
        Mapping::Dedicated => mapping_behavior::DEDICATED,
        Mapping::SoftAffinity => mapping_behavior::SOFT_AFFINITY,
        Mapping::HardAffinity => mapping_behavior::HARD_AFFINITY,
    }
}

/// Adds what is known of virtual CPUs.
pub(crate) fn processor(instance: Instance, settings: &ProcessorSettings) -> Instance {
    let topology = settings.topology;
    let part = |part: Option<u32>| Value::or_null(part, CimType::Uint32);
    instance
        .with("AllocationUnits", PERCENT)
        .with(
            "VirtualQuantity",
            Value::or_null(settings.count.map(u64::from), CimType::Uint64),
        )
        .with("VirtualQuantityUnits", COUNT)
        .with(
            "Reservation",
            Value::or_null(settings.reservation, CimType::Uint64),
        )
        .with("Limit", Value::or_null(settings.limit, CimType::Uint64))
        .with("Weight", Value::or_null(settings.weight, CimType::Uint32))
        .with(
            "MappingBehavior",
            Value::or_null(settings.mapping.map(mapping_behavior), CimType::Uint16),
        )
        .with("ProcessorArchitecture", "DMTF:x86")
        .with("InstructionSet", "DMTF:x86:64")
        .with("MaximumQuantity", part(settings.maximum))
        .with("Sockets", part(topology.map(|topology| topology.sockets)))
        .with(
            "CoresPerSocket",
            part(topology.map(|topology| topology.cores)),
        )
        .with(
            "ThreadsPerCore",
            part(topology.map(|topology| topology.threads)),
        )
}

/// Adds what is known of memory.
pub(crate) fn memory(instance: Instance, settings: &MemorySettings) -> Instance {
    let amount = Value::or_null(settings.bytes.map(|bytes| bytes >> 20), CimType::Uint64);
    instance
        .with("AllocationUnits", MEBIBYTE)
        .with("VirtualQuantity", amount.clone())
        .with("VirtualQuantityUnits", MEBIBYTE)
        .with("Reservation", amount.clone())
        .with("Limit", amount)
}
