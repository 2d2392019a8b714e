//! Elements as instances.

mod allocation;
mod boot;
mod capabilities;
mod console;
mod device;
mod device_pool;
mod host;
mod image;
mod job;
mod metric;
mod mutability;
mod pool;
mod power;
mod settings;
mod snapshot;
mod system;

pub(crate) use allocation::instance as allocation_instance;
pub(crate) use host::{
    HOST_POWER_STATES, HOST_STATES, available as host_available, instance as host_instance,
    power_of as power_of_stop,
};
pub(crate) use job::instance as job_instance;
pub(crate) use pool::instance as pool_instance;
pub(crate) use power::{
    NO_TRANSITION, NONE_REQUESTED, POWER_STATES, power_state, requested_power_state, shifted,
    transitioning_power_state,
};
pub(crate) use settings::instance as settings_instance;
pub(crate) use system::virtual_system as system_instance;

use crate::element::{Configuration, Element, POOL_SERVICE, SERVICE};
use crate::values::{enabled_state, health_state, operational_status, requested_state};
use alloc::borrow::Cow;
use alloc::vec;
use cim_domain::{Definition, Domain, System};
use cim_model::{DateTime, Instance, Value, ValueType};
use core::time::Duration;

/// The instance of an element, with its path; `None` when it is not there.
pub(crate) fn instance(domain: &Domain, element: &Element) -> Option<Instance> {
    let path = element.path(domain)?;
    let instance = match element {
        Element::Host => host::host(domain),
        Element::HostCapabilities => host::capabilities(domain),
        Element::System(id) => system::virtual_system(domain.system(*id)?),
        Element::Service => service("Virtual system management", SERVICE),
        Element::ServiceCapabilities => capabilities::of_service(),
        Element::SystemCapabilities(id) => capabilities::of_system(domain.system(*id)?),
        Element::Settings(id, configuration) => {
            let system = domain.system(*id)?;
            settings::instance(
                system,
                *configuration,
                &shown(domain, system, *configuration),
            )
        }
        Element::Allocation(id, configuration, allocation) => {
            let system = domain.system(*id)?;
            let definition = match configuration {
                Configuration::Defined => &system.defined,
                Configuration::State => system.active.as_ref()?,
            };
            allocation::instance(
                domain,
                *id,
                *configuration,
                definition.allocation(*allocation)?,
            )
        }
        Element::Pool(id) => pool::instance(domain, &domain.ledger().pool(*id)?),
        Element::PoolAllocation(id) => pool::allocation(domain, *id)?,
        Element::AllocationCapabilities(id) => {
            domain.ledger().pool(*id)?;
            capabilities::of_pool(id.kind())
        }
        Element::AllocationLimit(id, limit) => {
            capabilities::limit(domain, &domain.ledger().pool(*id)?, *limit)
        }
        Element::HostProcessor(number) => device::host_processor(domain, *number)?,
        Element::HostMemory(node) => device::host_memory(domain, *node)?,
        Element::Processor(id, number) => device::processor(domain, *id, *number)?,
        Element::Memory(id) => device::memory(domain, *id)?,
        Element::Device(id, allocation) => device::other(domain, *id, *allocation)?,
        Element::Job(id) => job::instance(domain.job(*id)?),
        Element::ConsoleService => console::service(domain),
        Element::Console(id) => console::console(domain, domain.system(*id)?),
        Element::ConsolePort(id) => console::port(domain, domain.system(*id)?)?,
        Element::ImageLibrary => image::library(domain),
        Element::Image(name) => image::image(domain, name)?,
        Element::BootService => boot::service(),
        Element::BootCapabilities => boot::capabilities(),
        Element::BootConfig(id, configuration) => boot::config(domain.system(*id)?, *configuration),
        Element::BootSource(id, configuration) => boot::source(domain, *id, *configuration)?,
        Element::Mutability(id, kind) => mutability::capabilities(domain.system(*id)?, *kind),
        Element::MutabilityLimit(id, kind, limit) => {
            mutability::limit(domain, domain.system(*id)?, *kind, *limit)?
        }
        Element::DevicePool(kind) => device_pool::pool(domain, *kind),
        Element::DeviceCapabilities(kind) => device_pool::capabilities(*kind),
        Element::DeviceLimit(kind, limit) => device_pool::limit(*kind, *limit),
        Element::MetricService => metric::service(),
        Element::MetricCapabilities => metric::capabilities(),
        Element::MetricDefinition(metric) => metric::definition(*metric),
        Element::MetricValue(owner, metric) => metric::value(domain, *owner, *metric)?,
        Element::SnapshotService => snapshot::service(),
        Element::SnapshotServiceCapabilities => snapshot::service_capabilities(),
        Element::SnapshotCapabilities(id) => snapshot::capabilities(domain.system(*id)?),
        Element::PowerService => power::service(),
        Element::PowerCapabilities => power::capabilities(),
        Element::PoolService => service("Resource pool configuration", POOL_SERVICE),
        Element::PoolServiceCapabilities => pool::capabilities(),
    };
    let mut instance = instance;
    for key in path.keys() {
        if let Some(text) = key.value.as_str() {
            instance.set(key.name.clone(), cim_model::Text::copy(text));
        }
    }
    Some(instance.with_path(path))
}

/// What a configuration of a system shows: the state configuration of a system that is off holds no resources, and else
/// what the next start would choose.
fn shown<'a>(
    domain: &Domain,
    system: &'a System,
    configuration: Configuration,
) -> Cow<'a, Definition> {
    match (configuration, &system.active) {
        (Configuration::Defined, _) => Cow::Borrowed(&system.defined),
        (Configuration::State, Some(active)) => Cow::Borrowed(active),
        (Configuration::State, None) => Cow::Owned(domain.resolved(&system.defined)),
    }
}

/// A service that runs as long as the host; the keys come from the path.
fn service(name: &'static str, class: &'static str) -> Instance {
    Instance::new(class)
        .with("ElementName", name)
        .with("EnabledState", enabled_state::ENABLED)
        .with("RequestedState", requested_state::NOT_APPLICABLE)
        .with("OperationalStatus", vec![operational_status::OK])
        .with("HealthState", health_state::OK)
        .with("Started", true)
}

/// A moment; NULL where it does not lie in the calendar.
pub(crate) fn moment(unix_micros: i64) -> Value {
    let ty = ValueType::scalar(cim_model::CimType::DateTime);
    Value::or_null(DateTime::from_unix_micros(unix_micros).ok(), ty)
}

/// A length of time; NULL where it is longer than CIM can say.
fn interval(length: Duration) -> Value {
    let micros = u64::try_from(length.as_micros()).ok();
    let interval = micros.and_then(|micros| DateTime::from_interval_micros(micros).ok());
    Value::or_null(interval, ValueType::scalar(cim_model::CimType::DateTime))
}
