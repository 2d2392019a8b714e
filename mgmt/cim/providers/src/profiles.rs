//! The profiles that are implemented.

use crate::element::{
    ALLOCATION_CAPABILITIES, BOOT_CONFIG, CONSOLE_SERVICE, Element, JOB, MEMORY, METRIC_SERVICE,
    POOL, POWER_SERVICE, PROCESSOR, SYSTEM,
};
use crate::elements::pools;
use crate::model::Model;
use crate::setup::namespace;
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use cim_domain::{DeviceKind, Domain, PoolId, PoolKind};
use cim_model::{ClassName, InstancePath, Text};
use cim_ops::Stream;
use cim_ops::interop::{Central, Profile};

type Elements = fn(&Domain) -> Vec<Element>;

struct Row {
    id: &'static str,
    name: &'static str,
    version: &'static str,
    references: &'static [&'static str],
    class: &'static str,
    central: Elements,
}

const VIRTUALIZATION: &str = "BH:DSP1042-SystemVirtualization-1.0.0";
const VIRTUAL_SYSTEM: &str = "BH:DSP1057-VirtualSystem-1.0.0";
const COMPUTER_SYSTEM: &str = "BH:DSP1052-ComputerSystem-1.0.0";
const RESOURCE_ALLOCATION: &str = "BH:DSP1041-ResourceAllocation-1.1.0";
const ALLOCATIONS: &str = "BH:DSP1043-AllocationCapabilities-1.0.0";
const PROCESSORS: &str = "BH:DSP1044-ProcessorResourceVirtualization-1.0.0";
const MEMORIES: &str = "BH:DSP1045-MemoryResourceVirtualization-1.0.0";
const CPU: &str = "BH:DSP1022-CPU-1.0.0";
const SYSTEM_MEMORY: &str = "BH:DSP1026-SystemMemory-1.0.0";

const CONSOLES: &str = "BH:DSP1024-TextConsoleRedirection-1.0.0";
const POWER: &str = "BH:DSP1027-PowerStateManagement-1.0.0";
const BOOT: &str = "BH:DSP1012-BootControl-1.0.0";
const STORAGE: &str = "BH:DSP1047-StorageResourceVirtualization-1.0.0";
const ETHERNET: &str = "BH:DSP1050-EthernetPortResourceVirtualization-1.0.0";
const DEVICES: &str = "BH:DSP1059-GenericDeviceResourceVirtualization-1.0.0";
const METRICS: &str = "BH:DSP1053-BaseMetrics-1.0.0";
const JOBS: &str = "BH:DSP1103-JobControl-1.0.0";

const ROWS: [Row; 17] = [
    Row {
        id: VIRTUALIZATION,
        name: "System Virtualization",
        version: "1.0.0",
        references: &[
            VIRTUAL_SYSTEM,
            RESOURCE_ALLOCATION,
            ALLOCATIONS,
            PROCESSORS,
            MEMORIES,
            STORAGE,
            ETHERNET,
            DEVICES,
            CPU,
            SYSTEM_MEMORY,
            CONSOLES,
            POWER,
            BOOT,
            METRICS,
            JOBS,
        ],
        class: SYSTEM,
        central: |_| Vec::from([Element::Host]),
    },
    Row {
        id: VIRTUAL_SYSTEM,
        name: "Virtual System Profile",
        version: "1.0.0",
        references: &[CPU, SYSTEM_MEMORY, CONSOLES, POWER, BOOT, METRICS],
        class: SYSTEM,
        central: |domain| systems(domain).collect(),
    },
    Row {
        id: COMPUTER_SYSTEM,
        name: "Computer System",
        version: "1.0.0",
        references: &[CPU, SYSTEM_MEMORY],
        class: SYSTEM,
        central: |domain| {
            core::iter::once(Element::Host)
                .chain(systems(domain))
                .collect()
        },
    },
    Row {
        id: RESOURCE_ALLOCATION,
        name: "Resource Allocation",
        version: "1.1.0",
        references: &[],
        class: POOL,
        central: |domain| of_class(domain, POOL),
    },
    Row {
        id: ALLOCATIONS,
        name: "Allocation Capabilities",
        version: "1.0.0",
        references: &[],
        class: ALLOCATION_CAPABILITIES,
        central: |domain| of_class(domain, ALLOCATION_CAPABILITIES),
    },
    Row {
        id: PROCESSORS,
        name: "Processor Resource Virtualization",
        version: "1.0.0",
        references: &[RESOURCE_ALLOCATION, ALLOCATIONS],
        class: POOL,
        central: |domain| pools_of(domain, PoolKind::Processor),
    },
    Row {
        id: MEMORIES,
        name: "Memory Resource Virtualization",
        version: "1.0.0",
        references: &[RESOURCE_ALLOCATION, ALLOCATIONS],
        class: POOL,
        central: |domain| pools_of(domain, PoolKind::Memory),
    },
    Row {
        id: CPU,
        name: "CPU",
        version: "1.0.0",
        references: &[],
        class: PROCESSOR,
        central: |domain| of_class(domain, PROCESSOR),
    },
    Row {
        id: SYSTEM_MEMORY,
        name: "System Memory",
        version: "1.0.0",
        references: &[],
        class: MEMORY,
        central: |domain| of_class(domain, MEMORY),
    },
    Row {
        id: CONSOLES,
        name: "Text Console Redirection",
        version: "1.0.0",
        references: &[],
        class: CONSOLE_SERVICE,
        central: |_| Vec::from([Element::ConsoleService]),
    },
    Row {
        id: POWER,
        name: "Power State Management",
        version: "1.0.0",
        references: &[],
        class: POWER_SERVICE,
        central: |_| Vec::from([Element::PowerService]),
    },
    Row {
        id: BOOT,
        name: "Boot Control",
        version: "1.0.0",
        references: &[],
        class: BOOT_CONFIG,
        central: |domain| of_class(domain, BOOT_CONFIG),
    },
    // Disks and networks come; their pools are there and have nothing.
    Row {
        id: STORAGE,
        name: "Storage Resource Virtualization",
        version: "1.0.0",
        references: &[RESOURCE_ALLOCATION, ALLOCATIONS],
        class: POOL,
        central: |_| device_pools(&[DeviceKind::Disk]),
    },
    Row {
        id: ETHERNET,
        name: "Ethernet Port Resource Virtualization",
        version: "1.0.0",
        references: &[RESOURCE_ALLOCATION, ALLOCATIONS],
        class: POOL,
        central: |_| device_pools(&[DeviceKind::NetworkCard]),
    },
    Row {
        id: DEVICES,
        name: "Generic Device Resource Virtualization",
        version: "1.0.0",
        references: &[RESOURCE_ALLOCATION, ALLOCATIONS],
        class: POOL,
        central: |_| {
            device_pools(&[
                DeviceKind::SerialPort,
                DeviceKind::VirtioConsole,
                DeviceKind::Entropy,
            ])
        },
    },
    Row {
        id: METRICS,
        name: "Base Metrics",
        version: "1.0.0",
        references: &[],
        class: METRIC_SERVICE,
        central: |_| Vec::from([Element::MetricService]),
    },
    Row {
        id: JOBS,
        name: "Job Control",
        version: "1.0.0",
        references: &[],
        class: JOB,
        central: |domain| of_class(domain, JOB),
    },
];

fn systems(domain: &Domain) -> impl Iterator<Item = Element> {
    domain.systems().map(|system| Element::System(system.id))
}

fn pools_of(domain: &Domain, kind: PoolKind) -> Vec<Element> {
    let of_kind = pools(domain).filter(|id: &PoolId| id.kind() == kind);
    of_kind.map(Element::Pool).collect()
}

fn device_pools(kinds: &[DeviceKind]) -> Vec<Element> {
    kinds.iter().copied().map(Element::DevicePool).collect()
}

fn of_class(domain: &Domain, class: &'static str) -> Vec<Element> {
    crate::elements::of_class(domain, &ClassName::from_static(class))
}

/// Every profile.
pub(crate) fn all(model: &Model) -> Vec<Profile> {
    ROWS.iter().map(|row| profile(model, row)).collect()
}

fn profile(model: &Model, row: &Row) -> Profile {
    let model = model.clone();
    let elements = row.central;
    let central = move |_: &cim_ops::Context<'_>| {
        let paths: Vec<_> = model.read(|domain| {
            let elements = elements(domain).into_iter();
            elements
                .filter_map(|element| element.path(domain))
                .map(Ok)
                .collect()
        });
        Ok(Box::new(paths.into_iter()) as Stream<InstancePath>)
    };
    Profile {
        id: Text::from_static(row.id),
        name: Text::from_static(row.name),
        version: Text::from_static(row.version),
        references: row
            .references
            .iter()
            .map(|id| Text::from_static(id))
            .collect(),
        central: Vec::from([Central {
            namespace: namespace(),
            class: ClassName::from_static(row.class),
            elements: Rc::new(central),
        }]),
    }
}
