//! Devices: of the host, and of systems that are on.

use crate::element::{Configuration, MEMORY, PCI_DEVICE, PROCESSOR, SERIAL_PORT, resource};
use crate::values::{enabled_state, health_state, operational_status, requested_state};
use alloc::format;
use alloc::string::String;
use alloc::vec;
use cim_domain::{AllocationId, ConsoleKind, Domain, Resource, State, SystemId};
use cim_model::Instance;

/// Family: other, which OtherFamilyDescription tells.
const OTHER_FAMILY: u16 = 1;
/// CPUStatus: enabled.
const CPU_ENABLED: u16 = 1;
/// Characteristics: 64-bit capable.
const WIDE: u16 = 2;
/// Bytes of a block of memory.
const BLOCK: u64 = 4096;
/// Access: read and write.
const READ_WRITE: u16 = 3;

/// What all devices have; the keys come from the path.
fn device(class: &'static str, name: String, enabled: u16) -> Instance {
    Instance::new(class)
        .with("ElementName", name)
        .with("EnabledState", enabled)
        .with("RequestedState", requested_state::NOT_APPLICABLE)
        .with("OperationalStatus", vec![operational_status::OK])
        .with("HealthState", health_state::OK)
}

/// EnabledState of the devices of a system.
fn enabled(domain: &Domain, system: SystemId) -> Option<u16> {
    let system = domain.system(system)?;
    system.active.as_ref()?;
    Some(match system.state {
        State::Paused => enabled_state::QUIESCE,
        _ => enabled_state::ENABLED,
    })
}

pub(super) fn host_processor(domain: &Domain, number: u32) -> Option<Instance> {
    let mut known = domain.host().processors.iter();
    let processor = known.find(|known| known.number == number)?;
    let name = format!("Processor {number}");
    let instance = device(PROCESSOR, name, enabled_state::ENABLED)
        .with("Family", OTHER_FAMILY)
        .with("OtherFamilyDescription", processor.model.clone())
        .with("CPUStatus", CPU_ENABLED)
        .with("Characteristics", vec![WIDE])
        .with("NumberOfEnabledCores", 1u16);
    Some(match processor.megahertz {
        0 => instance,
        clock => instance.with("CurrentClockSpeed", clock),
    })
}

pub(super) fn host_memory(domain: &Domain, node: u32) -> Option<Instance> {
    let nodes = &domain.host().nodes;
    let bytes = nodes.on(usize::try_from(node).ok()?);
    let name = match nodes.nodes() {
        0 | 1 => String::from("Memory for virtual systems"),
        _ => format!("Memory of NUMA node {node} for virtual systems"),
    };
    (bytes > 0).then(|| memory_of(device(MEMORY, name, enabled_state::ENABLED), bytes))
}

fn memory_of(instance: Instance, bytes: u64) -> Instance {
    instance
        .with("Volatile", true)
        .with("Access", READ_WRITE)
        .with("BlockSize", BLOCK)
        .with("NumberOfBlocks", bytes / BLOCK)
        .with("ConsumableBlocks", bytes / BLOCK)
}

pub(super) fn processor(domain: &Domain, system: SystemId, number: u32) -> Option<Instance> {
    let enabled = enabled(domain, system)?;
    let count = domain.system(system)?.active.as_ref()?.processors()?;
    (number < count).then(|| {
        device(PROCESSOR, format!("Virtual processor {number}"), enabled)
            .with("Family", OTHER_FAMILY)
            .with("OtherFamilyDescription", "Virtual x86-64 processor")
            .with("CPUStatus", CPU_ENABLED)
            .with("Characteristics", vec![WIDE])
            .with("NumberOfEnabledCores", 1u16)
    })
}

pub(super) fn memory(domain: &Domain, system: SystemId) -> Option<Instance> {
    let enabled = enabled(domain, system)?;
    let bytes = domain.system(system)?.active.as_ref()?.memory_bytes()?;
    Some(memory_of(
        device(MEMORY, "Virtual memory".into(), enabled),
        bytes,
    ))
}

pub(super) fn other(domain: &Domain, system: SystemId, id: AllocationId) -> Option<Instance> {
    let enabled = enabled(domain, system)?;
    // Virtual CPUs and memory have elements of their own.
    Some(match resource(domain, system, Configuration::State, id)? {
        Resource::Console(settings) => {
            let name = match settings.kind {
                ConsoleKind::Serial => "Serial console (COM1)",
                ConsoleKind::Virtio => "Virtio console",
            };
            device(SERIAL_PORT, name.into(), enabled)
        }
        Resource::Entropy => device(PCI_DEVICE, "Virtio entropy device".into(), enabled),
        Resource::Processor(_) | Resource::Memory(_) => return None,
    })
}
