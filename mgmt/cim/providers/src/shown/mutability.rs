//! What of a system's allocations can be changed (DSP1043 at a virtual system): all that its pool allows in the definition of
//! one that is off, and of one that is on what the scheduler can do without the guest, and how many processors it can have.

use super::{allocation, capabilities};
use crate::element::{Configuration, Element, Limit};
use crate::elements;
use alloc::format;
use cim_domain::{Domain, MemorySettings, Pool, PoolId, PoolKind, Resource, System};
use cim_model::Instance;

pub(super) fn capabilities(system: &System, kind: PoolKind) -> Instance {
    let what = match kind {
        PoolKind::Processor => "processors",
        PoolKind::Memory => "memory",
    };
    let name = &system.defined.name;
    capabilities::of_pool(kind).with(
        "ElementName",
        format!("What can be changed of the {what} of {name}"),
    )
}

/// A bound of that.
pub(super) fn limit(
    domain: &Domain,
    system: &System,
    kind: PoolKind,
    limit: Limit,
) -> Option<Instance> {
    let id = Element::MutabilityLimit(system.id, kind, limit).instance_id()?;
    let pool = pool(domain, system, kind)?;
    let mut instance = capabilities::limit(domain, &pool, limit).with("InstanceID", id);
    let Some(active) = &system.active else {
        return Some(instance);
    };
    // As much as it has, and as many as its guest has room for; the default is what it has altogether. Shares are those of as many
    // processors as it has.
    let mut resources = active.allocations.iter().map(|known| &known.resource);
    let wanted = |resource: &&Resource| PoolKind::of(resource.kind()) == Some(kind);
    match resources.find(wanted)? {
        Resource::Processor(settings) => {
            let mut settings = settings.clone();
            let count = settings.count.unwrap_or(1);
            settings.count = match limit {
                Limit::Minimum => Some(1),
                Limit::Maximum => settings.maximum.or(settings.count),
                Limit::Default | Limit::Increment => settings.count,
            };
            let full = u64::from(count).saturating_mul(100);
            let physical = u32::try_from(pool.processors.len()).unwrap_or(u32::MAX);
            // What others were promised is theirs.
            let free = pool.capacity.saturating_sub(pool.reserved);
            let free = free.saturating_add(settings.reservation.unwrap_or(0));
            let promised = domain.host().reservable(count.min(physical)).min(free);
            let (reservation, share, weight) = match limit {
                Limit::Default => (settings.reservation, settings.limit, settings.weight),
                Limit::Minimum => (Some(0), Some(1), Some(1)),
                Limit::Maximum => (Some(promised), Some(full), Some(10_000)),
                Limit::Increment => return Some(instance),
            };
            settings.reservation = reservation;
            settings.limit = share;
            settings.weight = weight;
            instance = allocation::processor(instance, &settings);
        }
        Resource::Memory(settings) => {
            if limit != Limit::Increment {
                let bytes = settings.bytes;
                instance = allocation::memory(instance, &MemorySettings { bytes, node: None });
            }
        }
        Resource::Console(_) | Resource::Entropy => {}
    }
    Some(instance)
}

/// The pool that a system draws from, or would.
fn pool(domain: &Domain, system: &System, kind: PoolKind) -> Option<Pool> {
    let on = elements::allocations_in(system, Configuration::State);
    let drawn = on
        .iter()
        .filter_map(|allocation| elements::pool_behind(domain, allocation))
        .find(|id| id.kind() == kind);
    let mut defined = system.defined.allocations.iter();
    let named = defined.find_map(|allocation| {
        let is = PoolKind::of(allocation.resource.kind()) == Some(kind);
        let named = allocation.pool.as_deref().filter(|_| is)?;
        domain.ledger().find(named)
    });
    let id = drawn.or(named).unwrap_or(PoolId::Primordial(kind));
    domain.ledger().pool(id)
}
