//! Notices of the domain as life-cycle events.

use crate::element::{Configuration, Element};
use crate::shown;
use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;
use cim_domain::{Definition, Domain, HostStop, Job, Notice, Pool, System};
use cim_model::{Instance, InstancePath, NamespaceName};
use cim_ops::{Event, EventKind, EventQueue};

/// Raises what a notice means for clients.
pub(crate) fn raise(
    domain: &Domain,
    notice: &Notice,
    queue: &EventQueue,
    namespace: &NamespaceName,
) {
    let (before, after) = match notice {
        Notice::SystemCreated(system) => (Vec::new(), of_system(domain, system)),
        Notice::SystemModified { before, after } => {
            (of_system(domain, before), of_system(domain, after))
        }
        Notice::SystemDeleted(system) => (of_system(domain, system), Vec::new()),
        Notice::HostModified { before, after } => {
            let host = |stop: &Option<Box<HostStop>>| of_host(domain, stop.as_deref());
            (host(before), host(after))
        }
        Notice::PoolsModified { before, after } => {
            (of_pools(domain, before), of_pools(domain, after))
        }
        Notice::JobCreated(job) => (Vec::new(), of_job(job)),
        Notice::JobModified { before, after } => (of_job(before), of_job(after)),
        Notice::JobDeleted(job) => (of_job(job), Vec::new()),
    };
    for kind in differences(before, after) {
        let namespace = namespace.clone();
        queue.raise(Event {
            kind: in_namespace(kind, &namespace),
            namespace,
        });
    }
}

/// What happened between two lists of instances with their paths.
fn differences(before: Vec<Instance>, after: Vec<Instance>) -> Vec<EventKind> {
    let find = |list: &[Instance], wanted: &Instance| {
        let mut list = list.iter();
        list.find(|known| known.path == wanted.path).cloned()
    };
    let mut events = Vec::new();
    for instance in &after {
        match find(&before, instance) {
            None => events.push(EventKind::Created(instance.clone())),
            Some(old) if old != *instance => events.push(EventKind::Modified {
                before: old,
                after: instance.clone(),
            }),
            Some(_) => {}
        }
    }
    let gone = before.into_iter().filter(|old| find(&after, old).is_none());
    events.extend(gone.map(EventKind::Deleted));
    events
}

fn in_namespace(kind: EventKind, namespace: &NamespaceName) -> EventKind {
    let placed = |mut instance: Instance| {
        let path = instance.path.take();
        instance.path = path.map(|path| path.with_namespace(namespace.clone()));
        instance
    };
    match kind {
        EventKind::Created(instance) => EventKind::Created(placed(instance)),
        EventKind::Modified { before, after } => EventKind::Modified {
            before: placed(before),
            after: placed(after),
        },
        EventKind::Deleted(instance) => EventKind::Deleted(placed(instance)),
        EventKind::Raised(instance) => EventKind::Raised(placed(instance)),
    }
}

/// A system with its configurations. It may have gone from the domain, so its paths are made here.
fn of_system(domain: &Domain, system: &System) -> Vec<Instance> {
    let with_id = |instance: Instance| {
        let id = instance.get("InstanceID").and_then(|value| value.as_str());
        let id = cim_model::Text::copy(id.unwrap_or_default());
        let path = InstancePath::new(instance.class.clone()).with_key("InstanceID", id);
        instance.with_path(path)
    };
    let resolved: Box<Definition> = Box::new(match &system.active {
        Some(active) => active.clone(),
        None => domain.resolved(&system.defined),
    });
    let mut instances = Vec::new();
    let system_path = InstancePath::new(crate::element::SYSTEM)
        .with_key("CreationClassName", crate::element::SYSTEM)
        .with_key("Name", system.defined.uuid.to_string());
    instances.push(shown::system_instance(system).with_path(system_path));
    for configuration in Configuration::ALL {
        let definition = match configuration {
            Configuration::Defined => &system.defined,
            Configuration::State => &*resolved,
        };
        let settings = shown::settings_instance(system, configuration, definition);
        instances.push(with_id(settings));
        if configuration == Configuration::State && system.active.is_none() {
            continue;
        }
        for allocation in &definition.allocations {
            let instance = shown::allocation_instance(domain, system.id, configuration, allocation);
            instances.push(with_id(instance));
        }
    }
    instances
}

fn of_host(domain: &Domain, stop: Option<&HostStop>) -> Vec<Instance> {
    let path = Element::Host.path(domain).into_iter();
    path.map(|path| shown::host_instance(domain, stop).with_path(path))
        .collect()
}

fn of_pools(domain: &Domain, pools: &[Pool]) -> Vec<Instance> {
    let instance = |pool: &Pool| {
        let id = Element::Pool(pool.id).instance_id().unwrap_or_default();
        let path = InstancePath::new(crate::element::POOL).with_key("InstanceID", id.clone());
        shown::pool_instance(domain, pool)
            .with("InstanceID", id)
            .with_path(path)
    };
    pools.iter().map(instance).collect()
}

fn of_job(job: &Job) -> Vec<Instance> {
    let id = Element::Job(job.id).instance_id().unwrap_or_default();
    let path = InstancePath::new(crate::element::JOB).with_key("InstanceID", id);
    Vec::from([shown::job_instance(job).with_path(path)])
}
