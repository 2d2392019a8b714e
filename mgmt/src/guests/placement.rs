//! Where the hypervisor runs systems, and how much of a CPU they get.
//!
//! [`GuestMachine`](super::GuestMachine) calls it at the start of a system and whenever the domain divides the machine anew.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use bulkhead_abi::host::PartitionOrigin;
use bulkhead_abi::hypercall::Status;
use cim_domain::{MachineError, ProcessorOrder, SystemId};
use mgmt_hypercall::{PartitionId, Refusal, Shares, field_text};

use super::Host;
use crate::report;

/// Physical CPUs, a bit each.
pub fn mask(cpus: &[u32]) -> Result<[u64; 4], MachineError> {
    let mut mask = [0; 4];
    for number in cpus {
        let word = usize::try_from(number / 64).ok();
        let Some(word) = word.and_then(|word| mask.get_mut(word)) else {
            let what = format!("the hypervisor cannot confine a system to processor {number}");
            return Err(MachineError::Failed(what));
        };
        *word |= 1u64 << (number % 64);
    }
    Ok(mask)
}

/// The physical CPUs of a mask.
fn numbers(mask: &[u64; 4]) -> impl Iterator<Item = u32> {
    let words = (0u32..).step_by(64).zip(mask);
    words.flat_map(|(first, word)| {
        let bits = (0..64).filter(move |bit| word >> bit & 1 != 0);
        bits.map(move |bit| first + bit)
    })
}

/// What a system gets of physical CPUs, as the hypervisor has it.
pub fn shares(processors: &ProcessorOrder) -> Shares {
    let narrow = |percent: u64| u32::try_from(percent).unwrap_or(u32::MAX);
    let full = u64::from(processors.count).saturating_mul(100);
    Shares {
        weight: processors.weight,
        reservation_percent: narrow(processors.reservation),
        // More than all of its CPUs can use is no limit.
        limit_percent: match processors.limit {
            limit if limit >= full => 0,
            limit => narrow(limit),
        },
    }
}

/// The partitions that the machine was started with: what each physical CPU runs besides systems.
pub fn held(host: &Host) -> Result<BTreeMap<u32, String>, Refusal> {
    let mut held: BTreeMap<u32, String> = BTreeMap::new();
    for id in (0..host.hypervisor.partition_count()?).map(PartitionId) {
        let Ok(info) = host.info(id) else {
            // Ids have gaps.
            continue;
        };
        if info.origin != PartitionOrigin::Configuration as u32 {
            continue;
        }
        let name = field_text(&info.name);
        for number in numbers(&info.cpus) {
            let names = held.entry(number).or_default();
            let gap = if names.is_empty() { "" } else { ", " };
            names.push_str(gap);
            names.push_str(&name);
        }
    }
    Ok(held)
}

/// Has a system run as the domain says, wholly or as it ran before: on these physical CPUs (none: any), with these shares.
pub fn tune(
    host: &Host,
    id: PartitionId,
    processors: &ProcessorOrder,
    cpus: &[u32],
) -> Result<(), MachineError> {
    let before = host.info(id);
    let before = before.map_err(|refusal| MachineError::Failed(refusal.to_string()))?;
    let former = before.present_vcpus;
    let changed = count(host, id, processors, cpus)
        .and_then(|()| settle(host, id, processors, cpus))
        .and_then(|()| {
            let changed = host.hypervisor.partition_shares(id, shares(processors));
            changed.map_err(|refusal| refused(&refusal, processors))
        });
    if changed.is_err() {
        // What was so a moment ago can be so again.
        let back = |page| host.hypervisor.partition_vcpus(id, former, page);
        let _ = host.with_record(&before.cpus, back);
        let back = |page| host.hypervisor.partition_affinity(id, None, page);
        let _ = host.with_record(&before.cpus, back);
        let shares = Shares {
            weight: before.weight,
            reservation_percent: before.reservation_percent,
            limit_percent: before.limit_percent,
        };
        let _ = host.hypervisor.partition_shares(id, shares);
    }
    changed
}

/// Has a system have so many CPUs. Shares that fit only to another number are made to fit on the way.
pub fn count(
    host: &Host,
    id: PartitionId,
    processors: &ProcessorOrder,
    cpus: &[u32],
) -> Result<(), MachineError> {
    let info = host.info(id);
    let info = info.map_err(|refusal| MachineError::Failed(refusal.to_string()))?;
    if info.present_vcpus == processors.count {
        return Ok(());
    }
    if info.reservation_percent > shares(processors).reservation_percent {
        // What is promised to many may be more than few can be promised.
        let fewer = Shares {
            reservation_percent: shares(processors).reservation_percent,
            weight: info.weight,
            limit_percent: info.limit_percent,
        };
        let changed = host.hypervisor.partition_shares(id, fewer);
        changed.map_err(|refusal| refused(&refusal, processors))?;
    }
    let call = |page| host.hypervisor.partition_vcpus(id, processors.count, page);
    let changed = host.with_record(&mask(cpus)?, call);
    changed.map_err(|refusal| refused(&refusal, processors))
}

/// Has the CPUs of a system where they may be. As many as there are of it get one each, in the order of their numbers.
pub fn settle(
    host: &Host,
    id: PartitionId,
    processors: &ProcessorOrder,
    cpus: &[u32],
) -> Result<(), MachineError> {
    let place = |vcpu, cpus: &[u32]| {
        let call = |page| host.hypervisor.partition_affinity(id, vcpu, page);
        let placed = host.with_record(&mask(cpus)?, call);
        placed.map_err(|refusal| refused(&refusal, processors))
    };
    if u32::try_from(cpus.len()) == Ok(processors.count) {
        let each = (0..).zip(cpus);
        let placed: Result<Vec<u16>, _> =
            each.map(|(vcpu, cpu)| place(Some(vcpu), &[*cpu])).collect();
        if !matches!(placed, Err(MachineError::Resources(_))) {
            return placed.map(|_| ());
        }
        // Others reserve too much of one of them; there may be another arrangement.
    }
    place(None, cpus)?;
    Ok(())
}

fn refused(refusal: &Refusal, processors: &ProcessorOrder) -> MachineError {
    match refusal.status {
        Some(Status::NoResource) => MachineError::Resources(format!(
            "its processors cannot promise it {} percent",
            processors.reservation
        )),
        Some(Status::Busy) => MachineError::Busy(refusal.to_string()),
        _ => MachineError::Failed(refusal.to_string()),
    }
}

/// Says how the hypervisor runs a system, in its own numbers.
pub fn report(host: &Host, system: SystemId, id: PartitionId) {
    let Ok(info) = host.info(id) else {
        return;
    };
    let cpus: Vec<String> = numbers(&info.cpus).map(|cpu| cpu.to_string()).collect();
    report!(
        "system {} runs on processors {} with weight {}, reservation {} %, limit {} %",
        system.0,
        cpus.join(", "),
        info.weight,
        info.reservation_percent,
        info.limit_percent,
    );
    let nodes = info.node_memory.iter().enumerate();
    let nodes = nodes.filter(|(_, bytes)| **bytes > 0);
    let nodes: Vec<String> = nodes
        .map(|(node, bytes)| format!("node {node}: {bytes} bytes"))
        .collect();
    report!("memory of system {} is on {}", system.0, nodes.join(", "));
}
