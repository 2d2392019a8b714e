//! Capabilities: of the service, of systems, and of allocations.

use super::allocation;
use crate::element::{
    ALLOCATION, ALLOCATION_CAPABILITIES, Element, Limit, PROCESSOR_ALLOCATION,
    SERVICE_CAPABILITIES, SYSTEM_CAPABILITIES,
};
use crate::values::resource_type;
use alloc::format;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use cim_domain::{
    Domain, HostFacts, MEMORY_INCREMENT, MemorySettings, Pool, PoolKind, ProcessorSettings,
    Request, System, VIRTUAL_SYSTEM_TYPE,
};
use cim_model::Instance;

/// Characters of a system's name.
const MAX_NAME: u16 = 256;

/// CIM_VirtualSystemManagementCapabilities.
pub(super) fn of_service() -> Instance {
    /// SynchronousMethodsSupported: DefineSystem, DestroySystem, ModifyResourceSettings, ModifySystemSettings,
    /// RemoveResources, AddResources.
    const METHODS: [u16; 6] = [2, 3, 5, 6, 7, 10];
    /// AsynchronousMethodsSupported: ModifyResourceSettings, where a guest has to give processors back.
    const ASYNCHRONOUS: [u16; 1] = [5];
    /// IndicationsSupported: VirtualResourceStateChange, ConcreteJobStateChange, VirtualSystemStateChange.
    const INDICATIONS: [u16; 3] = [2, 3, 4];
    Instance::new(SERVICE_CAPABILITIES)
        .with(
            "ElementName",
            "What the virtual system management service can do",
        )
        .with("VirtualSystemTypesSupported", vec![VIRTUAL_SYSTEM_TYPE])
        .with("SynchronousMethodsSupported", METHODS.to_vec())
        .with("AsynchronousMethodsSupported", ASYNCHRONOUS.to_vec())
        .with("IndicationsSupported", INDICATIONS.to_vec())
        .with("ElementNameEditSupported", false)
}

/// CIM_EnabledLogicalElementCapabilities of a virtual system.
pub(super) fn of_system(system: &System) -> Instance {
    let mut states: Vec<u16> = Request::ALL
        .into_iter()
        .map(super::system::requested)
        .collect();
    states.sort_unstable();
    Instance::new(SYSTEM_CAPABILITIES)
        .with(
            "ElementName",
            format!("What can be done to {}", system.defined.name),
        )
        .with("ElementNameEditSupported", true)
        .with("MaxElementNameLen", MAX_NAME)
        .with("RequestedStatesSupported", states)
        .with("StateAwareness", vec![2u16, 3u16])
}

/// CIM_AllocationCapabilities of a pool.
pub(super) fn of_pool(kind: PoolKind) -> Instance {
    /// RequestTypesSupported: general, which is to say amounts; and also certain devices.
    const GENERAL: u16 = 3;
    const BOTH: u16 = 4;
    const DEDICATED: u16 = 2;
    const SHARED: u16 = 3;
    let (name, number, sharing, requests) = match kind {
        PoolKind::Processor => (
            "Allocations of processors",
            resource_type::PROCESSOR,
            SHARED,
            BOTH,
        ),
        PoolKind::Memory => (
            "Allocations of memory",
            resource_type::MEMORY,
            DEDICATED,
            GENERAL,
        ),
    };
    Instance::new(ALLOCATION_CAPABILITIES)
        .with("ElementName", name)
        .with("ResourceType", number)
        .with("RequestTypesSupported", requests)
        .with("SharingMode", sharing)
        .with("SupportedAddStates", Vec::<u16>::new())
        .with("SupportedRemoveStates", Vec::<u16>::new())
}

/// A bound of allocations from a pool.
pub(super) fn limit(domain: &Domain, pool: &Pool, limit: Limit) -> Instance {
    let id = Element::AllocationLimit(pool.id, limit).instance_id();
    let (class, number) = match pool.id.kind() {
        PoolKind::Processor => (PROCESSOR_ALLOCATION, resource_type::PROCESSOR),
        PoolKind::Memory => (ALLOCATION, resource_type::MEMORY),
    };
    let instance = Instance::new(class)
        .with(
            "ElementName",
            format!("The {} of an allocation", limit.name()),
        )
        .with("InstanceID", id.unwrap_or_default())
        .with("ResourceType", number)
        .with("PoolID", pool.id.to_string());
    match pool.id.kind() {
        PoolKind::Processor => {
            allocation::processor(instance, &processors(domain.host(), pool, limit))
        }
        PoolKind::Memory => {
            let host = domain.host();
            let bytes = match limit {
                Limit::Default => domain.default_memory_bytes().min(pool.capacity),
                Limit::Minimum => host.min_memory_bytes,
                Limit::Maximum => pool.capacity,
                Limit::Increment => MEMORY_INCREMENT,
            };
            allocation::memory(
                instance,
                &MemorySettings {
                    bytes: Some(bytes),
                    node: None,
                },
            )
        }
    }
}

fn processors(host: &HostFacts, pool: &Pool, limit: Limit) -> ProcessorSettings {
    let most = host.max_processors;
    let physical = u32::try_from(pool.processors.len()).unwrap_or(u32::MAX);
    let promised = host.reservable(most.min(physical));
    let full = u64::from(most).saturating_mul(100);
    let (count, reservation, share, weight) = match limit {
        Limit::Default => (1, 0, 100, 100),
        Limit::Minimum => (1, 0, 1, 1),
        Limit::Maximum => (most, promised, full, 10_000),
        Limit::Increment => (1, 1, 1, 1),
    };
    ProcessorSettings {
        count: Some(count),
        reservation: Some(reservation),
        limit: Some(share),
        weight: Some(weight),
        ..ProcessorSettings::default()
    }
}
