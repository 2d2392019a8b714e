//! Pools: CIM_ResourcePool, what a child pool has of its parent, and what the service for them can do.

use super::allocation::{self, MEBIBYTE, PERCENT};
use crate::element::{ALLOCATION, Element, POOL, POOL_SERVICE_CAPABILITIES, PROCESSOR_ALLOCATION};
use crate::elements;
use crate::values::{health_state, mapping_behavior, operational_status, resource_type};
use alloc::format;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use cim_domain::{Domain, Mapping, MemorySettings, Pool, PoolId, PoolKind, ProcessorSettings};
use cim_model::Instance;

/// A pool with its book-keeping.
pub(crate) fn instance(domain: &Domain, pool: &Pool) -> Instance {
    let (name, number, units) = match pool.id.kind() {
        PoolKind::Processor => ("Processors", resource_type::PROCESSOR, PERCENT),
        PoolKind::Memory => ("Memory", resource_type::MEMORY, MEBIBYTE),
    };
    let amount = |amount: u64| match pool.id.kind() {
        PoolKind::Processor => amount,
        PoolKind::Memory => amount >> 20,
    };
    let name = pool.name.clone().unwrap_or_else(|| name.into());
    let primordial = matches!(pool.id, PoolId::Primordial(_));
    let caption = if primordial {
        "Primordial resource pool"
    } else {
        "Child resource pool"
    };
    Instance::new(POOL)
        .with("Caption", caption)
        .with("ElementName", name)
        .with("PoolID", pool.id.to_string())
        .with("Primordial", primordial)
        .with("ResourceType", number)
        .with("AllocationUnits", units)
        .with("Capacity", amount(pool.capacity))
        .with("Reserved", amount(pool.reserved))
        .with("ConsumedResourceUnits", units)
        .with("CurrentlyConsumedResource", amount(pool.consumed))
        .with(
            "MaxConsumableResource",
            amount(domain.most_consumable(pool)),
        )
        .with("OperationalStatus", vec![operational_status::OK])
        .with("HealthState", health_state::OK)
}

/// What a child pool has of its parent, as an allocation (DSP1041).
pub(super) fn allocation(domain: &Domain, id: PoolId) -> Option<Instance> {
    let pool = domain.ledger().pool(id)?;
    let parent = pool.parent?;
    let (class, number) = match id.kind() {
        PoolKind::Processor => (PROCESSOR_ALLOCATION, resource_type::PROCESSOR),
        PoolKind::Memory => (ALLOCATION, resource_type::MEMORY),
    };
    let own = Element::PoolAllocation(id).instance_id()?;
    let instance = Instance::new(class)
        .with("ElementName", format!("The share of {id}"))
        .with("InstanceID", own)
        .with("ResourceType", number)
        .with("PoolID", parent.to_string())
        .with("MappingBehavior", mapping_behavior::DEDICATED);
    Some(match id.kind() {
        PoolKind::Memory => {
            let settings = MemorySettings {
                bytes: Some(pool.capacity),
                node: None,
            };
            let instance = allocation::memory(instance, &settings);
            let nodes = elements::memory_of(&pool.memory);
            let uris: Vec<_> = nodes.filter_map(|node| node.uri(domain)).collect();
            match uris.len() {
                1 => instance.with("HostResource", uris),
                _ => instance,
            }
        }
        PoolKind::Processor => {
            let count = u32::try_from(pool.processors.len()).ok();
            let settings = ProcessorSettings {
                count,
                reservation: Some(pool.capacity),
                limit: Some(pool.capacity),
                mapping: Some(Mapping::Dedicated),
                ..ProcessorSettings::default()
            };
            let devices = allocation::hosts(domain, &pool.processors);
            allocation::processor(instance, &settings).with("HostResource", devices)
        }
    })
}

/// CIM_ResourcePoolConfigurationCapabilities.
pub(super) fn capabilities() -> Instance {
    /// SynchronousMethodsSupported: CreateChildResourcePool, DeleteResourcePool, AddResourcesToResourcePool,
    /// RemoveResourcesFromResourcePool, ChangeParentResourcePool.
    const METHODS: [u32; 5] = [3, 4, 5, 6, 7];
    Instance::new(POOL_SERVICE_CAPABILITIES)
        .with("ElementName", "What can be done to resource pools")
        .with("SynchronousMethodsSupported", METHODS.to_vec())
        .with("AsynchronousMethodsSupported", Vec::<u32>::new())
}
