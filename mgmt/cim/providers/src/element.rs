//! [`Element`]: everything that shows as an instance, and the way from it to its path and, in `find`, back.

mod classes;
mod find;
mod uri;

pub(crate) use classes::*;

use crate::metric::{Measured, Metric};
use crate::values::resource_sub_type;
use alloc::format;
use alloc::string::{String, ToString};
use cim_domain::{
    AllocationId, Boot, ConsoleKind, DeviceKind, Domain, ImageName, JobId, PoolId, PoolKind,
    Resource, SystemId,
};
use cim_model::{ClassName, InstancePath};

/// The two configurations of a system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Configuration {
    /// What it is to be.
    Defined,
    /// What it is.
    State,
}

/// What a RASD that describes allocation capabilities is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    /// What an allocation gets that leaves the choice open.
    Default,
    /// The least.
    Minimum,
    /// The most.
    Maximum,
    /// The step between.
    Increment,
}

impl Limit {
    /// All of them.
    pub const ALL: [Limit; 4] = [
        Limit::Default,
        Limit::Minimum,
        Limit::Maximum,
        Limit::Increment,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Limit::Default => "default",
            Limit::Minimum => "minimum",
            Limit::Maximum => "maximum",
            Limit::Increment => "increment",
        }
    }
}

impl Configuration {
    /// Both.
    pub const ALL: [Configuration; 2] = [Configuration::Defined, Configuration::State];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Configuration::Defined => "defined",
            Configuration::State => "state",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }
}

/// Everything that shows as an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Element {
    /// The host system.
    Host,
    /// A virtual system.
    System(SystemId),
    /// The virtual system management service.
    Service,
    /// The capabilities of host and service.
    ServiceCapabilities,
    /// What the host can be asked for.
    HostCapabilities,
    /// The capabilities of a virtual system.
    SystemCapabilities(SystemId),
    /// A configuration of a virtual system.
    Settings(SystemId, Configuration),
    /// An allocation in a configuration.
    Allocation(SystemId, Configuration, AllocationId),
    /// A resource pool.
    Pool(PoolId),
    /// What a child pool has of its parent, as an allocation.
    PoolAllocation(PoolId),
    /// What can be allocated from a pool.
    AllocationCapabilities(PoolId),
    /// A bound of that.
    AllocationLimit(PoolId, Limit),
    /// A physical CPU.
    HostProcessor(u32),
    /// The memory for virtual systems of a NUMA node.
    HostMemory(u32),
    /// A virtual CPU of a system that is on.
    Processor(SystemId, u32),
    /// The memory of a system that is on.
    Memory(SystemId),
    /// Another device of a system that is on.
    Device(SystemId, AllocationId),
    /// A job.
    Job(JobId),
    /// The text redirection service.
    ConsoleService,
    /// The console of a system.
    Console(SystemId),
    /// The TCP port of the console of a system that is on.
    ConsolePort(SystemId),
    /// The image library.
    ImageLibrary,
    /// An image.
    Image(ImageName),
    /// The boot service.
    BootService,
    /// What it can do.
    BootCapabilities,
    /// What a configuration of a system boots; the state configuration has one while the system is on.
    BootConfig(SystemId, Configuration),
    /// The source that it boots from: a kernel with what belongs to it.
    BootSource(SystemId, Configuration),
    /// What of a system's allocations can be changed.
    Mutability(SystemId, PoolKind),
    /// A bound of that.
    MutabilityLimit(SystemId, PoolKind, Limit),
    /// The pool of a kind of devices.
    DevicePool(DeviceKind),
    /// What can be allocated from it.
    DeviceCapabilities(DeviceKind),
    /// A bound of that.
    DeviceLimit(DeviceKind, Limit),
    /// The metric service.
    MetricService,
    /// What it can do.
    MetricCapabilities,
    /// What is measured.
    MetricDefinition(Metric),
    /// What was measured on a system that is on, on a virtual CPU of one, or on the host.
    MetricValue(Measured, Metric),
    /// The snapshot service.
    SnapshotService,
    /// What it can do.
    SnapshotServiceCapabilities,
    /// Which snapshots can be taken of a virtual system.
    SnapshotCapabilities(SystemId),
    /// The power management service.
    PowerService,
    /// What it can do.
    PowerCapabilities,
    /// The service that divides resources into pools.
    PoolService,
    /// What it can do.
    PoolServiceCapabilities,
}

/// Names of what there is one of.
pub(crate) const SERVICE_NAME: &str = "virtual-system-management";
const CONSOLE_SERVICE_NAME: &str = "text-redirection";
const BOOT_SERVICE_NAME: &str = "boot";
const METRIC_SERVICE_NAME: &str = "metrics";
const SNAPSHOT_SERVICE_NAME: &str = "virtual-system-snapshots";
const POWER_SERVICE_NAME: &str = "power-management";
const POOL_SERVICE_NAME: &str = "resource-pool-configuration";
const IMAGE_LIBRARY_NAME: &str = "image-library";
/// Name of a system's console, within the system.
const CONSOLE_NAME: &str = "console";

/// What every InstanceID begins with.
const ORGANIZATION: &str = "BH:";

impl Element {
    /// The class of the instance; `None` for what is not there.
    #[must_use]
    pub fn class(&self, domain: &Domain) -> Option<ClassName> {
        Some(ClassName::from_static(match self {
            Element::Host | Element::System(_) => SYSTEM,
            Element::Service => SERVICE,
            Element::ServiceCapabilities => SERVICE_CAPABILITIES,
            Element::SystemCapabilities(_) | Element::HostCapabilities => SYSTEM_CAPABILITIES,
            Element::Settings(..) => SETTINGS,
            Element::Allocation(system, configuration, id) => {
                match resource(domain, *system, *configuration, *id)? {
                    Resource::Processor(_) => PROCESSOR_ALLOCATION,
                    _ => ALLOCATION,
                }
            }
            Element::Pool(_) => POOL,
            Element::AllocationCapabilities(_) => ALLOCATION_CAPABILITIES,
            Element::AllocationLimit(pool, _) | Element::PoolAllocation(pool) => {
                match pool.kind() {
                    PoolKind::Processor => PROCESSOR_ALLOCATION,
                    PoolKind::Memory => ALLOCATION,
                }
            }
            Element::HostProcessor(_) | Element::Processor(..) => PROCESSOR,
            Element::HostMemory(_) | Element::Memory(_) => MEMORY,
            Element::Device(system, id) => {
                match resource(domain, *system, Configuration::State, *id)? {
                    Resource::Console(_) => SERIAL_PORT,
                    _ => PCI_DEVICE,
                }
            }
            Element::Job(_) => JOB,
            Element::ConsoleService => CONSOLE_SERVICE,
            Element::Console(_) => CONSOLE,
            Element::ConsolePort(_) => CONSOLE_PORT,
            Element::ImageLibrary => IMAGE_LIBRARY,
            Element::Image(_) => IMAGE,
            Element::BootService => BOOT_SERVICE,
            Element::BootCapabilities => BOOT_CAPABILITIES,
            Element::BootConfig(system, configuration) => {
                boot(domain, *system, *configuration)?;
                BOOT_CONFIG
            }
            Element::BootSource(system, configuration) => {
                boot(domain, *system, *configuration)?.kernel.as_ref()?;
                BOOT_SOURCE
            }
            Element::Mutability(..) => ALLOCATION_CAPABILITIES,
            Element::MutabilityLimit(_, PoolKind::Processor, _) => PROCESSOR_ALLOCATION,
            Element::MutabilityLimit(..) => ALLOCATION,
            Element::DevicePool(_) => POOL,
            Element::DeviceCapabilities(_) => ALLOCATION_CAPABILITIES,
            Element::DeviceLimit(DeviceKind::Disk, _) => DISK_ALLOCATION,
            Element::DeviceLimit(DeviceKind::NetworkCard, _) => NETWORK_CARD_ALLOCATION,
            Element::DeviceLimit(..) => ALLOCATION,
            Element::MetricService => METRIC_SERVICE,
            Element::MetricCapabilities => METRIC_CAPABILITIES,
            Element::MetricDefinition(_) => METRIC_DEFINITION,
            Element::MetricValue(owner, metric) => {
                if let Measured::System(id) = owner {
                    domain.system(*id)?.active.as_ref()?;
                }
                owner.element().path(domain)?;
                owner.metrics().contains(metric).then_some(())?;
                METRIC_VALUE
            }
            Element::SnapshotService => SNAPSHOT_SERVICE,
            Element::SnapshotServiceCapabilities => SNAPSHOT_SERVICE_CAPABILITIES,
            Element::SnapshotCapabilities(_) => SNAPSHOT_CAPABILITIES,
            Element::PowerService => POWER_SERVICE,
            Element::PowerCapabilities => POWER_CAPABILITIES,
            Element::PoolService => POOL_SERVICE,
            Element::PoolServiceCapabilities => POOL_SERVICE_CAPABILITIES,
        }))
    }

    /// The path of the instance, without host and namespace; `None` for what is not there.
    #[must_use]
    pub fn path(&self, domain: &Domain) -> Option<InstancePath> {
        let class = self.class(domain)?;
        let path = InstancePath::new(class.clone());
        Some(match self {
            Element::Host => path
                .with_key("CreationClassName", SYSTEM)
                .with_key("Name", domain.host().name.clone()),
            Element::System(id) => path
                .with_key("CreationClassName", SYSTEM)
                .with_key("Name", domain.system(*id)?.defined.uuid.to_string()),
            Element::ImageLibrary => path
                .with_key("CSCreationClassName", SYSTEM)
                .with_key("CSName", domain.host().name.clone())
                .with_key("CreationClassName", IMAGE_LIBRARY)
                .with_key("Name", IMAGE_LIBRARY_NAME),
            Element::Image(name) => path
                .with_key("CSCreationClassName", SYSTEM)
                .with_key("CSName", domain.host().name.clone())
                .with_key("FSCreationClassName", IMAGE_LIBRARY)
                .with_key("FSName", IMAGE_LIBRARY_NAME)
                .with_key("CreationClassName", IMAGE)
                .with_key("Name", name.as_str().to_string()),
            Element::MetricDefinition(metric) => {
                path.with_key("Id", format!("{ORGANIZATION}metric/{}", metric.id()))
            }
            Element::Service
            | Element::ConsoleService
            | Element::BootService
            | Element::MetricService
            | Element::SnapshotService
            | Element::PowerService
            | Element::PoolService
            | Element::Console(_)
            | Element::ConsolePort(_) => {
                let (owner, name) = self.name_in_system(domain)?;
                path.with_key("SystemCreationClassName", SYSTEM)
                    .with_key("SystemName", owner_name(owner, domain)?)
                    .with_key("CreationClassName", class.text().clone())
                    .with_key("Name", name)
            }
            _ => match self.device() {
                Some((owner, id)) => path
                    .with_key("SystemCreationClassName", SYSTEM)
                    .with_key("SystemName", owner_name(owner, domain)?)
                    .with_key("CreationClassName", class.text().clone())
                    .with_key("DeviceID", format!("{ORGANIZATION}{id}")),
                None => path.with_key("InstanceID", self.instance_id()?),
            },
        })
    }

    /// For a service or an access point: the system that it belongs to, `None` for the host, and its name.
    fn name_in_system(&self, domain: &Domain) -> Option<(Option<SystemId>, String)> {
        Some(match self {
            Element::Service => (None, SERVICE_NAME.into()),
            Element::ConsoleService => (None, CONSOLE_SERVICE_NAME.into()),
            Element::BootService => (None, BOOT_SERVICE_NAME.into()),
            Element::MetricService => (None, METRIC_SERVICE_NAME.into()),
            Element::SnapshotService => (None, SNAPSHOT_SERVICE_NAME.into()),
            Element::PowerService => (None, POWER_SERVICE_NAME.into()),
            Element::PoolService => (None, POOL_SERVICE_NAME.into()),
            Element::Console(id) => (Some(*id), CONSOLE_NAME.into()),
            Element::ConsolePort(id) => {
                let uuid = domain.system(*id)?.defined.uuid;
                (None, format!("{CONSOLE_NAME}/{uuid}"))
            }
            _ => return None,
        })
    }

    /// For a device: the system that it belongs to, `None` for the host, and its DeviceID without organization.
    pub(crate) fn device(&self) -> Option<(Option<SystemId>, String)> {
        Some(match self {
            Element::HostProcessor(number) => (None, format!("processor/{number}")),
            Element::HostMemory(0) => (None, "memory".into()),
            Element::HostMemory(node) => (None, format!("memory/{node}")),
            Element::Processor(system, number) => (Some(*system), format!("processor/{number}")),
            Element::Memory(system) => (Some(*system), "memory".into()),
            Element::Device(system, id) => (Some(*system), format!("device/{id}")),
            _ => return None,
        })
    }

    /// For elements that have one: the InstanceID.
    #[must_use]
    pub fn instance_id(&self) -> Option<String> {
        let local = match self {
            Element::ServiceCapabilities => "capabilities/virtual-system-management".into(),
            Element::HostCapabilities => "capabilities/host".into(),
            Element::SystemCapabilities(id) => format!("capabilities/system/{id}"),
            Element::Settings(id, configuration) => {
                format!("system/{id}/{}", configuration.name())
            }
            Element::Allocation(system, configuration, id) => {
                format!("system/{system}/{}/allocation/{id}", configuration.name())
            }
            Element::Pool(id) => format!("pool/{id}"),
            Element::PoolAllocation(id) => format!("pool-allocation/{id}"),
            Element::AllocationCapabilities(id) => format!("capabilities/pool/{id}"),
            Element::AllocationLimit(id, limit) => format!("limit/{}/{id}", limit.name()),
            Element::Job(id) => format!("job/{id}"),
            Element::BootCapabilities => "capabilities/boot".into(),
            Element::BootConfig(id, configuration) => {
                format!("boot/{id}/{}", configuration.name())
            }
            Element::BootSource(id, configuration) => {
                format!("boot-source/{id}/{}", configuration.name())
            }
            Element::Mutability(id, kind) => {
                format!("capabilities/change/{id}/{}", kind.primordial())
            }
            Element::MutabilityLimit(id, kind, limit) => {
                format!("change-limit/{}/{id}/{}", limit.name(), kind.primordial())
            }
            Element::DevicePool(kind) => format!("device-pool/{}", kind.pool()),
            Element::DeviceCapabilities(kind) => format!("capabilities/devices/{}", kind.pool()),
            Element::DeviceLimit(kind, limit) => {
                format!("device-limit/{}/{}", limit.name(), kind.pool())
            }
            Element::MetricCapabilities => "capabilities/metrics".into(),
            Element::MetricValue(owner, metric) => {
                let owner = match owner {
                    Measured::Host => "host".into(),
                    Measured::System(id) => id.to_string(),
                    Measured::Processor(id, number) => format!("{id}/processor/{number}"),
                };
                format!("metric-value/{owner}/{}", metric.id())
            }
            Element::SnapshotServiceCapabilities => "capabilities/snapshots".into(),
            Element::SnapshotCapabilities(id) => format!("capabilities/snapshots-of/{id}"),
            Element::PowerCapabilities => "capabilities/power-management".into(),
            Element::PoolServiceCapabilities => "capabilities/resource-pool-configuration".into(),
            _ => return None,
        };
        Some(format!("{ORGANIZATION}{local}"))
    }
}

/// Name of a virtual system, or of the host.
fn owner_name(owner: Option<SystemId>, domain: &Domain) -> Option<String> {
    Some(match owner {
        None => domain.host().name.clone(),
        Some(id) => domain.system(id)?.defined.uuid.to_string(),
    })
}

/// What a configuration of a system boots; the state configuration has nothing while the system is off.
pub(crate) fn boot(
    domain: &Domain,
    system: SystemId,
    configuration: Configuration,
) -> Option<&Boot> {
    let system = domain.system(system)?;
    Some(match configuration {
        Configuration::Defined => &system.defined.boot,
        Configuration::State => &system.active.as_ref()?.boot,
    })
}

/// The resource behind an allocation, if it is there.
pub(crate) fn resource(
    domain: &Domain,
    system: SystemId,
    configuration: Configuration,
    id: AllocationId,
) -> Option<&Resource> {
    let system = domain.system(system)?;
    let definition = match configuration {
        Configuration::Defined => &system.defined,
        Configuration::State => system.active.as_ref()?,
    };
    Some(&definition.allocation(id)?.resource)
}

/// ResourceSubType of a resource.
pub(crate) const fn sub_type(resource: &Resource) -> Option<&'static str> {
    match resource {
        Resource::Console(settings) => match settings.kind {
            ConsoleKind::Serial => None,
            ConsoleKind::Virtio => Some(resource_sub_type::VIRTIO_CONSOLE),
        },
        Resource::Entropy => Some(resource_sub_type::VIRTIO_ENTROPY),
        Resource::Processor(_) | Resource::Memory(_) => None,
    }
}
