//! From a path, or an InstanceID in it, to the element.

use super::{
    BOOT_SERVICE, CONSOLE, CONSOLE_NAME, CONSOLE_PORT, CONSOLE_SERVICE, Configuration, Element,
    IMAGE, IMAGE_LIBRARY, Limit, METRIC_SERVICE, ORGANIZATION, POOL_SERVICE, POWER_SERVICE,
    SERVICE, SNAPSHOT_SERVICE, SYSTEM,
};
use crate::metric::{Measured, Metric};
use cim_domain::{
    AllocationId, DeviceKind, Domain, ImageName, JobId, PoolId, PoolKind, SystemId, Uuid,
};
use cim_model::InstancePath;

impl Element {
    /// The element that a path names. That it is there is not yet said; its class is checked.
    #[must_use]
    pub fn of(path: &InstancePath, domain: &Domain) -> Option<Element> {
        let text = |key: &str| path.key(key).and_then(|value| value.as_str());
        let element = if let Some(id) = text("InstanceID") {
            Self::of_instance_id(id)?
        } else if let Some(id) = text("Id") {
            let id = id.strip_prefix(ORGANIZATION)?.strip_prefix("metric/")?;
            Element::MetricDefinition(Metric::from_id(id)?)
        } else if let Some(device) = text("DeviceID") {
            Self::of_device(text("SystemName")?, device, domain)?
        } else if path.class == *SYSTEM {
            match text("Name")? {
                name if name == domain.host().name => Element::Host,
                name => Element::System(domain.system_of(Uuid::parse(name)?)?.id),
            }
        } else {
            Self::of_name(
                path.class.as_str(),
                text("SystemName"),
                text("Name")?,
                domain,
            )?
        };
        // Also settles that the other keys are right.
        let own = element.path(domain)?;
        (own.class == path.class && own.keys() == path.keys()).then_some(element)
    }

    /// The element of a class whose key is a name; in whatever case the class is spelled.
    fn of_name(class: &str, system: Option<&str>, name: &str, domain: &Domain) -> Option<Element> {
        let named = |uuid: &str| domain.system_of(Uuid::parse(uuid)?).map(|system| system.id);
        let is = |known: &str| class.eq_ignore_ascii_case(known);
        Some(if is(SERVICE) {
            Element::Service
        } else if is(CONSOLE_SERVICE) {
            Element::ConsoleService
        } else if is(BOOT_SERVICE) {
            Element::BootService
        } else if is(METRIC_SERVICE) {
            Element::MetricService
        } else if is(SNAPSHOT_SERVICE) {
            Element::SnapshotService
        } else if is(POWER_SERVICE) {
            Element::PowerService
        } else if is(POOL_SERVICE) {
            Element::PoolService
        } else if is(CONSOLE) {
            Element::Console(named(system?)?)
        } else if is(CONSOLE_PORT) {
            Element::ConsolePort(named(name.strip_prefix(CONSOLE_NAME)?.strip_prefix('/')?)?)
        } else if is(IMAGE_LIBRARY) {
            Element::ImageLibrary
        } else if is(IMAGE) {
            Element::Image(ImageName::new(name)?)
        } else {
            return None;
        })
    }

    /// The element of an InstanceID.
    #[must_use]
    pub fn of_instance_id(id: &str) -> Option<Element> {
        let local = id.strip_prefix(ORGANIZATION)?;
        let (kind, rest) = local.split_once('/')?;
        let element = match kind {
            "system" => {
                let (system, rest) = rest.split_once('/')?;
                let system = SystemId(system.parse().ok()?);
                match rest.split_once("/allocation/") {
                    None => Element::Settings(system, Configuration::from_name(rest)?),
                    Some((configuration, allocation)) => Element::Allocation(
                        system,
                        Configuration::from_name(configuration)?,
                        AllocationId(allocation.parse().ok()?),
                    ),
                }
            }
            "capabilities" => match rest.split_once('/') {
                None if rest == "power-management" => Element::PowerCapabilities,
                None if rest == "resource-pool-configuration" => Element::PoolServiceCapabilities,
                None if rest == "host" => Element::HostCapabilities,
                None if rest == "boot" => Element::BootCapabilities,
                None if rest == "metrics" => Element::MetricCapabilities,
                None if rest == "snapshots" => Element::SnapshotServiceCapabilities,
                Some(("change", rest)) => {
                    let (system, pool) = of_system(rest)?;
                    Element::Mutability(system, pool)
                }
                Some(("devices", id)) => Element::DeviceCapabilities(DeviceKind::of_pool(id)?),
                Some(("snapshots-of", id)) => {
                    Element::SnapshotCapabilities(SystemId(id.parse().ok()?))
                }
                None => Element::ServiceCapabilities,
                Some(("system", id)) => Element::SystemCapabilities(SystemId(id.parse().ok()?)),
                Some((_, id)) => Element::AllocationCapabilities(PoolId::parse(id)?),
            },
            "limit" => {
                let (limit, id) = rest.split_once('/')?;
                let mut limits = Limit::ALL.into_iter();
                let limit = limits.find(|known| known.name() == limit)?;
                Element::AllocationLimit(PoolId::parse(id)?, limit)
            }
            "pool" => Element::Pool(PoolId::parse(rest)?),
            "pool-allocation" => Element::PoolAllocation(PoolId::parse(rest)?),
            "boot" | "boot-source" => {
                let (system, configuration) = rest.split_once('/')?;
                let system = SystemId(system.parse().ok()?);
                let configuration = Configuration::from_name(configuration)?;
                match kind {
                    "boot" => Element::BootConfig(system, configuration),
                    _ => Element::BootSource(system, configuration),
                }
            }
            "change-limit" => {
                let (limit, rest) = rest.split_once('/')?;
                let mut limits = Limit::ALL.into_iter();
                let limit = limits.find(|known| known.name() == limit)?;
                let (system, pool) = of_system(rest)?;
                Element::MutabilityLimit(system, pool, limit)
            }
            "device-pool" => Element::DevicePool(DeviceKind::of_pool(rest)?),
            "device-limit" => {
                let (limit, id) = rest.split_once('/')?;
                let mut limits = Limit::ALL.into_iter();
                let limit = limits.find(|known| known.name() == limit)?;
                Element::DeviceLimit(DeviceKind::of_pool(id)?, limit)
            }
            "metric-value" => {
                let (owner, metric) = rest.rsplit_once('/')?;
                let owner = match owner.split_once("/processor/") {
                    None if owner == "host" => Measured::Host,
                    None => Measured::System(SystemId(owner.parse().ok()?)),
                    Some((id, number)) => {
                        let id = SystemId(id.parse().ok()?);
                        Measured::Processor(id, number.parse().ok()?)
                    }
                };
                Element::MetricValue(owner, Metric::from_id(metric)?)
            }
            "job" => Element::Job(JobId(rest.parse().ok()?)),
            _ => return None,
        };
        // Numbers can be spelled in several ways, and only one of them is ours.
        (element.instance_id().as_deref() == Some(id)).then_some(element)
    }

    fn of_device(system: &str, device: &str, domain: &Domain) -> Option<Element> {
        let local = device.strip_prefix(ORGANIZATION)?;
        let owner = match system {
            name if name == domain.host().name => None,
            name => Some(domain.system_of(Uuid::parse(name)?)?.id),
        };
        Some(match (owner, local.split_once('/')) {
            (None, None) => Element::HostMemory(0),
            (None, Some(("memory", node))) => Element::HostMemory(node.parse().ok()?),
            (Some(system), None) => Element::Memory(system),
            (None, Some((_, number))) => Element::HostProcessor(number.parse().ok()?),
            (Some(system), Some(("processor", number))) => {
                Element::Processor(system, number.parse().ok()?)
            }
            (Some(system), Some((_, id))) => {
                Element::Device(system, AllocationId(id.parse().ok()?))
            }
        })
    }
}

/// A system with a kind of primordial pool.
fn of_system(text: &str) -> Option<(SystemId, PoolKind)> {
    let (system, pool) = text.split_once('/')?;
    let mut kinds = PoolKind::ALL.into_iter();
    let kind = kinds.find(|kind| kind.primordial() == pool)?;
    Some((SystemId(system.parse().ok()?), kind))
}
