//! What the host chooses where a client has left the choice open.

use crate::allocation::{Allocation, Mapping, ProcessorSettings, Resource, Topology};
use crate::definition::{
    Definition, RecoveryAction, ShutdownAction, StartupAction, VIRTUAL_SYSTEM_TYPE,
};
use crate::host::HostFacts;
use crate::node_memory::NodeMemory;
use crate::order::{BootOrder, ConsoleOrder, ProcessorOrder, StartOrder};
use crate::problem::{Problem, ProblemKind};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

/// RAM of a system whose definition does not say.
pub(crate) const DEFAULT_MEMORY: u64 = 256 << 20;
/// Weight of virtual CPUs whose definition does not say.
pub(crate) const DEFAULT_WEIGHT: u32 = 100;
/// Where a flat binary goes when its definition does not say: behind the first MiB.
pub(crate) const DEFAULT_LOAD_ADDRESS: u64 = 0x10_0000;

/// The definition with every choice made.
pub(crate) fn resolved(definition: &Definition, host: &HostFacts) -> Definition {
    let mut all = definition.clone();
    all.identifier
        .get_or_insert_with(|| definition.uuid.to_string());
    all.system_type
        .get_or_insert_with(|| VIRTUAL_SYSTEM_TYPE.into());
    all.startup.action.get_or_insert(StartupAction::None);
    all.startup.delay.get_or_insert(Duration::ZERO);
    all.startup.sequence.get_or_insert(0);
    all.shutdown.get_or_insert(ShutdownAction::ShutDown);
    all.recovery.get_or_insert(RecoveryAction::None);
    if all.boot.kernel.is_some() {
        all.boot.command_line.get_or_insert_with(String::new);
    }
    for allocation in &mut all.allocations {
        resolve_allocation(allocation, host);
    }
    all
}

fn resolve_allocation(allocation: &mut Allocation, host: &HostFacts) {
    match &mut allocation.resource {
        Resource::Processor(settings) => {
            let count = *settings.count.get_or_insert_with(|| {
                let topology = settings.topology.and_then(Topology::count);
                topology.unwrap_or(1)
            });
            let maximum = *settings.maximum.get_or_insert(count);
            let full = u64::from(count).saturating_mul(100);
            let promised = match settings.mapping {
                Some(Mapping::Dedicated) => full,
                _ => 0,
            };
            settings.reservation.get_or_insert(promised);
            settings.limit.get_or_insert(full);
            if !settings.cpus.is_empty() {
                settings.mapping.get_or_insert(Mapping::HardAffinity);
            }
            settings.weight.get_or_insert(DEFAULT_WEIGHT);
            settings.topology.get_or_insert(Topology {
                sockets: 1,
                cores: maximum,
                threads: 1,
            });
        }
        Resource::Memory(settings) => {
            let most = DEFAULT_MEMORY.min(host.memory_bytes);
            settings.bytes.get_or_insert(most);
        }
        Resource::Console(_) | Resource::Entropy => {}
    }
}

/// What a definition says of its virtual CPUs.
pub(crate) fn processor_settings(definition: &Definition) -> Option<&ProcessorSettings> {
    let mut known = definition.allocations.iter();
    known.find_map(|allocation| match &allocation.resource {
        Resource::Processor(settings) => Some(settings),
        _ => None,
    })
}

/// The NUMA node that a definition names for its memory.
pub(crate) fn memory_node(definition: &Definition) -> Option<usize> {
    let mut known = definition.allocations.iter();
    let node = known.find_map(|allocation| match &allocation.resource {
        Resource::Memory(settings) => Some(settings.node),
        _ => None,
    });
    usize::try_from(node??).ok()
}

/// What the virtual CPUs of a definition are promised, in percent of one physical CPU.
pub(crate) fn reservation(definition: &Definition) -> u64 {
    let settings = processor_settings(definition);
    settings
        .and_then(|settings| settings.reservation)
        .unwrap_or(0)
}

/// The virtual CPUs of a definition whose choices are all made.
pub(crate) fn processors(active: &Definition) -> ProcessorOrder {
    let settings = processor_settings(active).cloned().unwrap_or_default();
    let count = settings.count.unwrap_or(1);
    let maximum = settings.maximum.unwrap_or(count).max(count);
    ProcessorOrder {
        count,
        maximum,
        topology: settings.topology.unwrap_or(Topology {
            sockets: 1,
            cores: maximum,
            threads: 1,
        }),
        weight: settings.weight.unwrap_or(DEFAULT_WEIGHT),
        reservation: match settings.mapping {
            // Nobody contends for a CPU of one's own.
            Some(Mapping::Dedicated) => 0,
            _ => settings.reservation.unwrap_or(0),
        },
        limit: settings
            .limit
            .unwrap_or(u64::from(count).saturating_mul(100)),
    }
}

/// The order to start a definition whose choices are all made, on any physical CPU and NUMA node.
///
/// # Errors
/// [`ProblemKind::Invalid`] for a definition without a kernel.
pub(crate) fn order(active: &Definition) -> Result<StartOrder, Problem> {
    let Some(kernel) = active.boot.kernel.clone() else {
        return Err(Problem::new(
            ProblemKind::Invalid,
            "BH-NO-KERNEL",
            "The system has nothing to boot: its definition names no kernel",
            "Set the property Kernel by ModifySystemSettings",
        ));
    };
    let load_address = active.boot.load_address.unwrap_or(DEFAULT_LOAD_ADDRESS);
    let mut consoles = Vec::new();
    let mut entropy = Vec::new();
    for allocation in &active.allocations {
        match &allocation.resource {
            Resource::Console(settings) => consoles.push(ConsoleOrder {
                allocation: allocation.id,
                kind: settings.kind,
            }),
            Resource::Entropy => entropy.push(allocation.id),
            Resource::Processor(_) | Resource::Memory(_) => {}
        }
    }
    Ok(StartOrder {
        name: active.name.clone(),
        uuid: active.uuid,
        processors: processors(active),
        cpus: Vec::new(),
        memory_bytes: active.memory_bytes().unwrap_or(DEFAULT_MEMORY),
        nodes: NodeMemory::default(),
        boot: BootOrder {
            kernel,
            initrd: active.boot.initrd.clone(),
            command_line: active.boot.command_line.clone().unwrap_or_default(),
            format: active.boot.format,
            modules: active.boot.modules.clone(),
            load_address,
            entry_address: active.boot.entry_address.unwrap_or(load_address),
        },
        consoles,
        entropy,
    })
}
