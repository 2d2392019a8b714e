//! Pools: CIM_ResourcePool.

use super::allocation::{MEBIBYTE, PERCENT};
use crate::element::POOL;
use crate::values::{health_state, operational_status, resource_type};
use alloc::vec;
use cim_domain::{Domain, PoolKind};
use cim_model::Instance;

/// A pool with its book-keeping.
pub(super) fn instance(domain: &Domain, kind: PoolKind) -> Option<Instance> {
    let pool = domain.ledger().pool(kind.primordial())?;
    let (name, number, units) = match kind {
        PoolKind::Processor => ("Processors", resource_type::PROCESSOR, PERCENT),
        PoolKind::Memory => ("Memory", resource_type::MEMORY, MEBIBYTE),
    };
    let amount = |amount: u64| match kind {
        PoolKind::Processor => amount,
        PoolKind::Memory => amount >> 20,
    };
    Some(
        Instance::new(POOL)
            .with("Caption", "Primordial resource pool")
            .with("ElementName", name)
            .with("PoolID", pool.id.clone())
            .with("Primordial", true)
            .with("ResourceType", number)
            .with("AllocationUnits", units)
            .with("Capacity", amount(pool.capacity))
            .with("Reserved", amount(pool.reserved))
            .with("ConsumedResourceUnits", units)
            .with("CurrentlyConsumedResource", amount(pool.consumed))
            .with(
                "MaxConsumableResource",
                amount(domain.most_consumable(kind)),
            )
            .with("OperationalStatus", vec![operational_status::OK])
            .with("HealthState", health_state::OK),
    )
}
